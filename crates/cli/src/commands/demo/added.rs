//! The heart of the story: jobs are added to the second push, by its own action.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, Policy, Verdict};
use taskgraft_engine::trigger::{Ask, Left, Offer, Prepared, send};
use taskgraft_engine::{Artifacts, Cache, Followed, Lookups, Push};

use super::checks;
use super::decision::Decided;
use super::lander::DECISION_QUEUE;
use super::story::Story;
use crate::action_worker::ActionWorker;
use crate::asking::{self, Wishes};
use crate::embedded::Embedded;
use crate::env::Env;
use crate::exit::Failure;
use crate::follow;
use crate::offer::ADD;
use crate::output::{self, Out, span};
use crate::progress::Progress;
use crate::through::Through;

/// What is asked for: labels, and how often.
const ASKED: [(&[&str], u32); 2] = [(&["test-unit-3", "package-opt"], 1), (&["test-asan-1"], 3)];
/// All the rights that it takes.
const RIGHTS: &str = "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*";

/// Who asks, and of which push.
struct Asker<'a> {
    client: Client,
    artifacts: Artifacts,
    push: Push,
    out: &'a Out,
}

/// Asks for jobs: shows the plans, has them made by the push's hook and an action worker, follows them to green, and
/// checks all that was said.
pub(super) async fn add(
    embedded: &Embedded,
    first: &Decided,
    second: &Decided,
    scratch: &Path,
    story: &mut Story<'_>,
    env: &Env,
    out: &Out,
) -> Result<(), Failure> {
    let client = embedded.client(embedded.may(&[RIGHTS]))?;
    let artifacts = Artifacts::Queue(client.clone(), Cache::open(&scratch.join("cache"))?);
    let push = Push::load(&client, &artifacts, second.id).await?;
    let offer = Offer::load(&client, &artifacts, second.id).await?;
    let asker = Asker { client, artifacts, push, out };
    let mut asked = Vec::new();
    for (labels, times) in ASKED {
        asked.push((asker.plan(labels, times).await?, labels, times));
    }
    let plans = || asked.iter().map(|(plan, ..)| plan);
    let reused = plans().flat_map(|plan| &plan.verdicts).filter(|entry| matches!(entry.verdict, Verdict::Reuse(_)));
    let new: usize = plans().map(|plan| plan.tasks.len()).sum();
    story.did(&format!(
        "you ask for: test-unit-3, package-opt, test-asan-1 ×3; planned: {new} new, {} reused",
        reused.count()
    ))?;

    let worker = ActionWorker::start(embedded, DECISION_QUEUE, &scratch.join("actions"))?;
    let through = Through { client: &asker.client, artifacts: &asker.artifacts, offer: &offer, env, out };
    let mut actions = Vec::new();
    for (plan, labels, times) in &asked {
        actions.push(ask(&through, plan, labels, *times).await?);
    }
    story.did(&format!(
        "you trigger the push's hook, with the right to that and no other: {} action tasks",
        actions.len()
    ))?;

    let created = done(&through, &actions, story).await?;
    // It stops by itself, once the poll that it has open is answered: nothing here needs to wait for that.
    drop(worker);

    let bar = Progress::bar(out, created.len());
    let ends = follow::follow(&asker.client, &created, &bar).await?;
    drop(bar);
    follow::judge(&created, &ends)?;
    let labels: Vec<&str> = ASKED.iter().flat_map(|(labels, _)| labels.iter().copied()).collect();
    checks::group(&asker.client, first, second, &labels, &actions, &created).await?;
    story.did(&format!("followed to green: {0} of {0}; build-asan was made once for three copies", created.len()))
}

impl Asker<'_> {
    /// What it would come to, shown.
    async fn plan(&self, labels: &[&str], times: u32) -> Result<Plan, Failure> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let wishes = Wishes { labels, times, ..Wishes::default() };
        let request = wishes.request(&self.push, TaskId::from_bytes(rand::random()).into())?;
        let lookups = Lookups::Online(self.client.clone(), self.artifacts.clone());
        let planned = asking::plan(&lookups, &self.push, &request, Policy::Graft).await?;
        let heading = asking::heading(&self.push);
        let shown = output::plan::text(&heading, &planned.plan, planned.facts.now, self.out);
        self.out.say(&format!("\n$ taskgraft add {}\n{shown}", typed(&wishes, heading.name.as_deref())))?;
        Ok(planned.plan)
    }
}

/// What one would type for it.
fn typed(wishes: &Wishes, push: Option<&str>) -> String {
    let times = if wishes.times > 1 { format!(" --times {}", wishes.times) } else { String::new() };
    format!("{}{times} --decision-id {}", wishes.labels.join(" "), push.unwrap_or_default())
}

/// Triggers the push's hook, for the plan that was shown and no other.
async fn ask(through: &Through<'_>, plan: &Plan, labels: &[&str], times: u32) -> Result<Followed, Failure> {
    let ask = Ask {
        action: ADD.to_owned(),
        subject: None,
        input: json!({"tasks": labels, "times": times}),
        key: plan.request.id.to_string(),
        undone: 0,
        fresh: true,
        shown: Some(plan.outline()),
    };
    let prepared = Prepared::new(through.client, through.offer, ask).await?;
    through.allowed(&prepared).await?;
    let sent = send(through.client, through.offer, &prepared).await;
    let sent = sent.map_err(|error| through.unsent(error, &prepared))?;
    Ok(Followed { label: prepared.action, id: sent.task() })
}

/// Follows the action tasks to their end; the jobs that they made.
async fn done(through: &Through<'_>, actions: &[Followed], story: &mut Story<'_>) -> Result<Vec<Followed>, Failure> {
    let ends = follow::follow(through.client, actions, &Progress::bar(through.out, actions.len())).await?;
    let mut created = Vec::new();
    let (mut waited, mut took) = (SignedDuration::ZERO, SignedDuration::ZERO);
    for (action, end) in actions.iter().zip(ends) {
        let left = Left::of(through.client, through.artifacts, action.id).await?;
        through.judge(action.id, Some(end), &left).await?;
        created.extend(left.jobs);
        let status = through.client.queue().status(action.id).await?;
        if let Some(run) = status.runs.last()
            && let (Some(started), Some(resolved)) = (run.started, run.resolved)
        {
            waited = waited.max(started.0.duration_since(run.scheduled.0));
            took = took.max(resolved.0.duration_since(started.0));
        }
    }
    let positive = |duration: SignedDuration| span(Duration::try_from(duration).unwrap_or_default());
    story.did(&format!(
        "action worker: claimed in {}, done in {}; {} jobs created, needs first",
        positive(waited),
        positive(took),
        created.len()
    ))?;
    Ok(created)
}
