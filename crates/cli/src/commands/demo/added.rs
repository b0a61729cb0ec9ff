//! The heart of the story: jobs are added to the second push.

use std::path::Path;

use taskgraft_client::Client;
use taskgraft_core::frontier::{Frontier, Limits};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, Policy, Verdict};
use taskgraft_engine::{Artifacts, Cache, Lookups, Plans, Progress, Push};

use super::checks;
use super::decision::Decided;
use super::story::Story;
use crate::asking::{self, Wishes};
use crate::creating;
use crate::env::Env;
use crate::exit::Failure;
use crate::follow::{self, Followed};
use crate::output::{self, Out};
use crate::progress;

/// What is asked for: labels, and how often.
const ASKED: [(&[&str], u32); 2] = [(&["test-unit-3", "package-opt"], 1), (&["test-asan-1"], 3)];

/// Asks for jobs, shows the plans, creates them, follows them to green, and checks all that was said.
pub(super) async fn add(
    client: &Client,
    first: &Decided,
    second: &Decided,
    scratch: &Path,
    story: &mut Story<'_>,
    env: &Env,
    out: &Out,
) -> Result<(), Failure> {
    let artifacts = Artifacts::Queue(client.clone(), Cache::open(&scratch.join("cache"))?);
    let push = Push::load(client, &artifacts, second.id).await?;
    let lookups = Lookups::Online(client.clone(), artifacts.clone());
    let mut plans = Vec::new();
    for (labels, times) in ASKED {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let wishes = Wishes { labels, times, ..Wishes::default() };
        let request = wishes.request(&push, TaskId::from_bytes(rand::random()).into())?;
        let planned = asking::plan(&lookups, &push, &request, Policy::Graft).await?;
        let heading = asking::heading(&push);
        let shown = output::plan::text(&heading, &planned.plan, planned.facts.now, out);
        out.say(&format!("\n$ taskgraft plan {}\n{shown}", typed(&wishes, heading.name.as_deref())))?;
        asking::check_scopes(client, &artifacts, &push, &planned.plan, env).await?;
        plans.push(planned.plan);
    }
    let count = |test: fn(&Verdict) -> bool| {
        plans.iter().flat_map(|plan| &plan.verdicts).filter(|entry| test(&entry.verdict)).count()
    };
    let new: usize = plans.iter().map(|plan| plan.tasks.len()).sum();
    story.did(&format!(
        "you ask for: test-unit-3, package-opt, test-asan-1 ×3; planned: {new} new, {} reused",
        count(|verdict| matches!(verdict, Verdict::Reuse(_)))
    ))?;

    let store = Plans::open(&scratch.join("plans"))?;
    let mut created = Vec::new();
    for plan in plans {
        created.extend(create(client, &store, plan).await?);
    }
    story.did("created in dependency order")?;

    let bar = progress::Progress::bar(out, created.len());
    let ends = follow::follow(client, &created, &bar).await?;
    drop(bar);
    follow::judge(&created, &ends)?;
    let asked: Vec<&str> = ASKED.iter().flat_map(|(labels, _)| labels.iter().copied()).collect();
    checks::group(client, first, second, &asked).await?;
    story.did(&format!("followed to green: {0} of {0}; build-asan was made once for three copies", created.len()))
}

/// What one would type for it.
fn typed(wishes: &Wishes, push: Option<&str>) -> String {
    let times = if wishes.times > 1 { format!(" --times {}", wishes.times) } else { String::new() };
    format!("{}{times} --decision-id {}", wishes.labels.join(" "), push.unwrap_or_default())
}

async fn create(client: &Client, store: &Plans, plan: Plan) -> Result<Vec<Followed>, Failure> {
    let frontier = Frontier::new(plan, Limits::default()).map_err(|why| Failure::other(why.to_string()))?;
    store.save(frontier.plan())?;
    store.note(&frontier.report())?;
    let mut order = Vec::new();
    let watch = |progress| {
        if let Progress::Task { at, created: true, .. } = progress {
            order.push(at);
        }
    };
    let frontier = taskgraft_engine::create(client, frontier, None, std::future::pending(), watch).await?;
    let report = frontier.report();
    store.note(&report)?;
    creating::judge(&report)?;
    checks::dependencies_first(&frontier, &order)?;
    Ok(report.tasks.into_iter().map(|task| Followed { label: task.label, id: task.task_id }).collect())
}
