//! From what somebody typed to a request, and from there to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use taskgraft_client::Client;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{self, MAX_TIMES, Moved, Plan, PlannedTask, Policy, Request, Verdict};
use taskgraft_engine::{
    Artifacts, Lookups, Planned, PlannerError, Plans, PlansError, Project, Push, PushError, preflight,
};

use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING, NOTHING_MORE};
use crate::output::Out;
use crate::output::plan::Heading;
use crate::{connect, offer, output};

/// How long plans are kept that nobody needs to finish.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many characters of a plan's hash are shown: enough to find it again.
const HASH_CHARS: usize = 12;

/// Which rules a plan follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Rules {
    /// Those of taskgraft itself
    #[default]
    Graft,
    /// Exactly those of the reference package, for comparing the two
    Reference,
}

impl From<Rules> for Policy {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules::Graft => Self::Graft,
            Rules::Reference => Self::Reference,
        }
    }
}

/// Which jobs, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Wishes {
    /// The jobs: labels of the push's graph; `*` stands for anything, `?` for one character
    #[arg(value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// How many copies of each job; what they need is made once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TIMES)))]
    pub(crate) times: u32,
    /// Go on with the other jobs where some don't exist or can't be had
    #[arg(long)]
    pub(crate) partial: bool,
    /// Run needed tasks that failed on this push again, instead of making new ones
    #[arg(long)]
    pub(crate) rerun_failed: bool,
    /// Which rules the plan follows
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    pub(crate) policy: Rules,
    /// The project's task graph directory (taskcluster/ in a checkout), for a job with more than 64 routes: its config.yml
    /// says who inserts the index paths that the queue doesn't take
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

impl Wishes {
    /// The push with its project's configuration, where a checkout was named.
    pub(crate) fn configured(&self, push: Push) -> Result<Push, Failure> {
        let Some(root) = &self.root else { return Ok(push) };
        push.of_project(&Project::read(root)?)
            .map_err(|why| Failure::mistake(format!("failed to {why}")).closing(NOTHING))
    }

    /// The request, for the labels that the patterns stand for.
    pub(crate) fn request(&self, push: &Push, id: RequestId) -> Result<Request, Failure> {
        let labels = taskgraft_engine::expand(push, &self.labels).map_err(|none| {
            Failure::mistake(none.to_string()).note("list them", list_command("", push)).closing(NOTHING)
        })?;
        Ok(Request {
            partial: self.partial,
            rerun_failed: self.rerun_failed,
            ..Request::add(id, push.decision, push.group, &labels).repeated(self.times)
        })
    }
}

/// The key of a request: given, or that of the task that this runs in, or a fresh one.
pub(crate) fn request_id(given: Option<&str>, task: Option<&str>) -> Result<RequestId, Failure> {
    match given.or(task) {
        Some(text) => text
            .parse()
            .map_err(|why: taskgraft_core::ids::InvalidRequestId| Failure::mistake(why.to_string()).closing(NOTHING)),
        None => Ok(TaskId::from_bytes(rand::random()).into()),
    }
}

/// Where this user's plans are kept.
pub(crate) fn plans(env: &Env) -> Result<Plans, Failure> {
    let dir = env.state_dir.as_ref().ok_or_else(|| {
        Failure::mistake("no directory to keep plans in").note("set one", "HOME or XDG_STATE_HOME").closing(NOTHING)
    })?;
    let plans = Plans::open(&dir.join("plans"))?;
    plans.tidy(KEPT)?;
    Ok(plans)
}

/// Plans a request; a failure names the way out.
pub(crate) async fn plan(
    lookups: &Lookups,
    push: &Push,
    request: &Request,
    policy: Policy,
) -> Result<Planned, Failure> {
    let planned = taskgraft_engine::plan(lookups, push, request, policy).await;
    planned.map_err(|error| explain(error, push).closing(NOTHING))
}

/// Why there is no plan, with the way out.
pub(crate) fn explain(error: PlannerError, push: &Push) -> Failure {
    if let PlannerError::UnknownLabels(unknown) = &error { unknown_labels(unknown, push) } else { explain_plain(error) }
}

/// The same where there is no push to look around in.
pub(crate) fn explain_plain(error: PlannerError) -> Failure {
    match error {
        PlannerError::UnknownLabels(_) => Failure::mistake(error.to_string()),
        PlannerError::UnknownDependency { .. } => Failure::mistake(format!("failed to {error}")),
        PlannerError::Push(error) => error.into(),
        PlannerError::Client(error) => error.into(),
        PlannerError::Graph(error) => PushError::from(error).into(),
        PlannerError::Plan(error) => Failure::mistake(error.to_string()),
        PlannerError::Endless => Failure::other(error.to_string()),
    }
}

fn unknown_labels(unknown: &BTreeMap<String, Vec<String>>, push: &Push) -> Failure {
    let names: Vec<String> = unknown.keys().map(|label| format!("`{label}`")).collect();
    let word = if names.len() == 1 { "job" } else { "jobs" };
    let nearest: BTreeSet<&String> = unknown.values().flatten().collect();
    let meant: Vec<String> = match names.len() {
        1 => unknown.values().flatten().cloned().collect(),
        _ => nearest.into_iter().cloned().collect(),
    };
    let pattern = unknown.iter().next().and_then(|(label, near)| common_start(label, near.first()?));
    Failure::mistake(format!("no {word} {} in this push", names.join(", ")))
        .notes("did you mean", meant)
        .note("list them", list_command(pattern.as_deref().unwrap_or_default(), push))
}

/// A pattern for what two labels have in common at their start, up to a dash.
fn common_start(label: &str, near: &str) -> Option<String> {
    let common: String = label.chars().zip(near.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    common.rfind('-').map(|at| format!("'{}*' ", &common[..at]))
}

fn list_command(pattern: &str, push: &Push) -> String {
    let decision = push.decision.map(|id| format!("--decision-id {id}")).unwrap_or_default();
    format!("taskgraft labels {pattern}{decision}")
}

impl From<PlansError> for Failure {
    fn from(error: PlansError) -> Self {
        let message = format!("failed to {error}");
        match error {
            PlansError::Io { .. } | PlansError::NotStored { .. } => Self::other(message),
            PlansError::File { .. }
            | PlansError::OtherRequest(_)
            | PlansError::Unknown(_)
            | PlansError::Ambiguous { .. } => Self::mistake(message),
        }
        .closing(NOTHING)
    }
}

/// The push in a line.
pub(crate) fn heading(push: &Push) -> Heading {
    let short = |revision: String| revision.chars().take(12).collect::<String>();
    let parameter = |name| push.parameters.text(name).ok().map(str::to_owned);
    let name = parameter("project").zip(parameter("head_rev").map(short));
    let description = push.task.as_ref().map(|(task, _)| task.metadata.description.as_str());
    Heading {
        name: name.map(|(project, revision)| format!("{project}@{revision}")),
        message: description.and_then(|text| text.lines().next()).map(str::to_owned),
        labels: push.graph.len(),
        scheduled: push.labels.len(),
    }
}

/// What the asker should know about earlier actions.
pub(crate) fn tell_notices(planned: &Planned, out: &Out) {
    for notice in &planned.notices {
        out.note(&format!("{} {notice}", out.err().busy("note:")));
    }
}

/// The beginning of a plan's hash, by which `--plan` finds it.
pub(crate) fn short_hash(plan: &Plan) -> String {
    plan.hash().to_string().chars().take(HASH_CHARS).collect()
}

/// Fails if the credentials don't suffice for all that the plan creates, before anything is created.
pub(crate) async fn check_scopes(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
    plan: &Plan,
    env: &Env,
) -> Result<(), Failure> {
    if plan.policy == Policy::Reference {
        // The reference learns it from the queue's refusals.
        return Ok(());
    }
    let missing = preflight::check(client, plan).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let who = connect::who(env);
    let of = plan.tasks.iter().map(|task| &task.label).collect::<BTreeSet<_>>().len();
    let text = format!("these credentials ({who}) can't create {} of {of} tasks", missing.tasks());
    let failure = Failure::new(Kind::NoRights, text).notes("missing", missing.scopes.keys().cloned());
    let failure = offer::granted(client, failure, missing.scopes.keys().map(String::as_str)).await;
    let hint = offer::hint_to_add(client, artifacts, push).await;
    Err(failure.notes("instead", hint).closing(NOTHING))
}

/// The facts have moved: which verdicts would be others now.
pub(crate) fn moved(moved: &[Moved], group: Option<TaskId>, now: Timestamp) -> Failure {
    let word = |verdict: &Option<Verdict>| match verdict {
        Some(Verdict::New { .. }) => "new",
        Some(Verdict::Reuse(_)) => "reused",
        Some(Verdict::Removed { .. }) => "not needed",
        Some(Verdict::Refused { .. }) => "refused",
        None => "unknown",
    };
    let line = |moved: &Moved| {
        let why =
            moved.now.as_ref().map(|verdict| format!(" ({})", plan::why(verdict, group, now))).unwrap_or_default();
        format!("{}: was {}, is {} now{why}", moved.label, word(&moved.was), word(&moved.now))
    };
    Failure::new(Kind::Moved, "the facts have moved since the plan was made").notes("they", moved.iter().map(line))
}

/// The same for a request that an earlier try has begun: with what exists of it, and what doesn't.
pub(crate) fn moved_half_way(plan: &Plan, existing: &BTreeSet<TaskId>, moved: &[Moved], now: Timestamp) -> Failure {
    let (there, missing): (Vec<&PlannedTask>, Vec<_>) =
        plan.tasks.iter().partition(|task| task.task_id.is_some_and(|id| existing.contains(&id)));
    let labels = |tasks: &[&PlannedTask]| output::repeated(tasks.iter().map(|task| task.label.as_str()));
    let decision = plan.request.decision.map(|id| format!(" --decision-id {id}")).unwrap_or_default();
    self::moved(moved, plan.request.group, now)
        .notes("created", labels(&there))
        .notes("missing", labels(&missing))
        .note("begin anew", format!("taskgraft add {}{decision}", plan.request.labels.join(" ")))
        .closing(NOTHING_MORE)
}
