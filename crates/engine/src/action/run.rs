//! Carrying a request out, as `taskgraft action-task` does inside an action task or by hand.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use taskgraft_client::Client;
use taskgraft_core::frontier::{Frontier, Halt, Limits, Uncreatable};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{ArtifactsError, Moved, Plan, Policy, Request};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::time::Millis;

use crate::authority::{self, AuthorityError};
use crate::cache::Cache;
use crate::creator::{Progress, create};
use crate::fetch::Artifacts;
use crate::own_run::OwnRun;
use crate::planner::{Lookups, PlannerError, plan};
use crate::plans::{Plans, PlansError};
use crate::preflight::{self, Missing};
use crate::push::Push;
use crate::recheck::{existing, is_open, recheck};
use crate::run_plan::{self, RunPlanError};

/// Where a request's plan outlives this process.
#[derive(Debug, Clone)]
pub enum Keep {
    /// As an artifact of the run that this process works for.
    Run(OwnRun),
    /// In the user's state directory.
    Plans(Plans),
}

/// A request to carry out.
#[derive(Debug, Clone)]
pub struct Action {
    /// What is asked for.
    pub request: Request,
    /// By which rules.
    pub policy: Policy,
    /// Where the plan is kept.
    pub keep: Keep,
    /// Where task-graph.json, label-to-taskid.json, to-run.json and plan.json are written.
    pub out: PathBuf,
}

/// Why a request was not carried out. Nothing was created, unless an earlier try did.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// There is no such action.
    #[error("perform `{0}`: there is no such action")]
    UnknownAction(String),
    /// There is no plan.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// Labels that can't be had.
    #[error("plan {}: {}", if .0.len() == 1 { "a job" } else { "some jobs" }, refused(.0))]
    Refused(Vec<(String, String)>),
    /// The credentials don't suffice.
    #[error("create {} of the tasks: scopes are missing: {}", .0.tasks(), scopes(.0))]
    Forbidden(Missing),
    /// The plan can't be kept.
    #[error(transparent)]
    Plans(#[from] PlansError),
    /// The plan can't be kept.
    #[error(transparent)]
    RunPlan(#[from] RunPlanError),
    /// The action task belongs elsewhere.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An earlier run asked for something else.
    #[error("take up request {0}: an earlier run's plan is for something else")]
    OtherRequest(RequestId),
    /// An earlier try's plan would be another one now. What it had created stays as it is.
    #[error("finish what an earlier try began: the facts have moved since")]
    Moved {
        /// The earlier plan.
        plan: Box<Plan>,
        /// Its tasks that exist.
        existing: BTreeSet<TaskId>,
        /// Which verdicts would be others.
        moved: Vec<Moved>,
        /// When that was looked up.
        now: Timestamp,
    },
    /// The plan can't be carried out.
    #[error("carry out the plan: {0}")]
    Uncreatable(#[from] Uncreatable),
    /// Its artifacts can't be written.
    #[error("write {}: {error}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A definition can't be completed.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// Taskcluster didn't answer.
    #[error("look at the action task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

fn refused(labels: &[(String, String)]) -> String {
    labels.iter().map(|(label, why)| format!("{label} ({why})")).collect::<Vec<_>>().join(", ")
}

fn scopes(missing: &Missing) -> String {
    missing.scopes.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What carrying requests out takes.
#[derive(Debug, Clone)]
pub struct Means {
    /// Who creates.
    pub client: Client,
    /// Where downloads go.
    pub cache: Cache,
}

/// Plans the action's request on `push`, or takes up the plan that an earlier try left, and creates its tasks.
///
/// `log` gets what people read: verdicts first, then what was created, then one line that says whether the asker got
/// what they asked for.
///
/// # Errors
/// If there is no plan, it may not or can't be carried out, or it can't be kept first.
pub async fn run(
    means: &Means,
    push: &Push,
    action: &Action,
    stop: impl Future<Output = ()>,
    mut log: impl FnMut(&str),
) -> Result<Report, ActionError> {
    let client = &means.client;
    let expires = match action.keep {
        Keep::Run(own) => Some(check_own(client, own, push).await?),
        Keep::Plans(_) => None,
    };
    let (plan, earlier) = match taken_up(means, action).await? {
        Some(plan) => (plan, true),
        None => (fresh(means, push, action, &mut log).await?, false),
    };
    say_plan(&plan, client, &mut log);
    write(&action.out, "plan.json", &plan.to_json())?;
    let frontier = if earlier {
        log(&format!("an earlier try of request {} left this plan: finishing it", plan.request.id));
        still_right(means, push, &plan).await?;
        Frontier::resume(plan, Limits::default())?
    } else {
        Frontier::new(plan, Limits::default())?
    };
    write_all(&action.out, &frontier)?;
    let own = keep(means, action, &frontier, expires).await?;
    let labels: Vec<String> = frontier.plan().tasks.iter().map(|task| task.label.clone()).collect();
    let frontier = create(client, frontier, own, stop, |progress| match progress {
        Progress::Task { at, task_id, created: true } => {
            log(&format!("created  {}  {task_id}", labels.get(at).map_or("", String::as_str)));
        }
        Progress::Task { .. } => {}
        Progress::Halted(Halt::Cancelled) => log("the request was cancelled: stopping"),
        Progress::Halted(Halt::Expired) => log("this task has ended, by its deadline perhaps: stopping"),
        Progress::Halted(Halt::Superseded) => log("a later run of this task has taken over: stopping"),
        Progress::Halted(Halt::Interrupted) => log("interrupted: stopping"),
    })
    .await?;
    let report = frontier.report();
    write_all(&action.out, &frontier)?;
    if let Keep::Plans(plans) = &action.keep {
        plans.note(&report)?;
    }
    log(&closing(&report));
    Ok(report)
}

/// Stores the plan where a later try finds it; tells which run is to be watched.
async fn keep(
    means: &Means,
    action: &Action,
    frontier: &Frontier,
    expires: Option<Millis>,
) -> Result<Option<OwnRun>, ActionError> {
    match &action.keep {
        Keep::Run(own) => {
            // An ended run stores nothing; that it has ended is told when it would create.
            if let Some(expires) = expires
                && own.check(&means.client).await?.is_none()
            {
                run_plan::store(&means.client, &means.cache, *own, frontier.plan(), expires).await?;
            }
            Ok(Some(*own))
        }
        Keep::Plans(plans) => {
            plans.save(frontier.plan())?;
            plans.note(&frontier.report())?;
            Ok(None)
        }
    }
}

/// Checks that the action task is of the push's group; tells until when its artifacts may live.
async fn check_own(client: &Client, own: OwnRun, push: &Push) -> Result<Millis, ActionError> {
    let task = client.queue().task(own.task).await?;
    if let Some(group) = push.group {
        authority::check_action(own.task, &task, group, &push.parameters)?;
    }
    Ok(task.expires.unwrap_or(task.deadline))
}

/// The plan of an earlier try of the same request.
async fn taken_up(means: &Means, action: &Action) -> Result<Option<Plan>, ActionError> {
    let plan = match &action.keep {
        Keep::Run(own) => run_plan::earlier(&means.client, &means.cache, *own).await?,
        Keep::Plans(plans) => plans.begun(&action.request.id)?,
    };
    match plan {
        Some(plan) if plan.request != action.request => Err(ActionError::OtherRequest(plan.request.id)),
        plan => Ok(plan),
    }
}

/// Fails if what is still to be created of an earlier try's plan would be planned otherwise now.
async fn still_right(means: &Means, push: &Push, plan: &Plan) -> Result<(), ActionError> {
    let existing = existing(&means.client, plan).await?;
    if !is_open(plan, &existing) {
        return Ok(());
    }
    let (moved, now) = recheck(&lookups(means), push, plan, &existing).await?;
    if moved.is_empty() {
        return Ok(());
    }
    Err(ActionError::Moved { plan: Box::new(plan.clone()), existing, moved, now })
}

fn lookups(means: &Means) -> Lookups {
    Lookups::Online(means.client.clone(), Artifacts::Queue(means.client.clone(), means.cache.clone()))
}

/// A new plan, all of which can be had and may be created.
async fn fresh(means: &Means, push: &Push, action: &Action, log: &mut impl FnMut(&str)) -> Result<Plan, ActionError> {
    let planned = plan(&lookups(means), push, &action.request, action.policy).await?;
    for notice in &planned.notices {
        log(&format!("warning: {notice}"));
    }
    let plan = planned.plan;
    let words = plan.words(means.client.clock().now());
    if !words.refused.is_empty() && !action.request.partial {
        return Err(ActionError::Refused(words.refused.into_iter().map(|line| (line.label, line.why)).collect()));
    }
    if action.policy == Policy::Graft {
        let missing = preflight::check(&means.client, &plan).await?;
        if !missing.is_empty() {
            return Err(ActionError::Forbidden(missing));
        }
    }
    Ok(plan)
}

fn say_plan(plan: &Plan, client: &Client, log: &mut impl FnMut(&str)) {
    let words = plan.words(client.clock().now());
    let lists =
        [("new", &words.new), ("reused", &words.reused), ("removed", &words.removed), ("refused", &words.refused)];
    for (verdict, lines) in lists {
        for line in lines {
            log(&format!("{verdict:8} {}  {}", line.label, line.why));
        }
    }
    for warning in &words.warnings {
        log(&format!("warning: {warning}"));
    }
    log(&words.summary);
}

fn write_all(out: &Path, frontier: &Frontier) -> Result<(), ActionError> {
    for (name, text) in frontier.artifacts()? {
        write(out, &name, &text)?;
    }
    Ok(())
}

fn write(out: &Path, name: &str, text: &str) -> Result<(), ActionError> {
    let path = out.join(name);
    fs::create_dir_all(out).and_then(|()| fs::write(&path, text)).map_err(|error| ActionError::Write { path, error })
}

/// Whether the asker got what they asked for, in a line.
#[must_use]
pub fn closing(report: &Report) -> String {
    let there = report.tasks.iter().filter(|task| task.outcome.exists()).count();
    let all = report.tasks.len();
    let what = match report.result {
        Terminal::Done => "done: everything asked for exists".to_owned(),
        Terminal::Partial => format!("partly done: {} of the labels can't be had", report.refused.len()),
        Terminal::Unfinished => "not finished: the queue stopped answering".to_owned(),
        Terminal::Interrupted => "not finished: interrupted".to_owned(),
        Terminal::Superseded => "left to a later run of this task".to_owned(),
        Terminal::Cancelled => format!("cancelled{}", uncancelled(report)),
        Terminal::Expired => format!("failed: this task ended before that{}", uncancelled(report)),
        Terminal::Forbidden => "failed: scopes are missing".to_owned(),
        Terminal::Refused => "failed: the queue refused some tasks".to_owned(),
        Terminal::Stuck => "created, but something that it depends on is lost".to_owned(),
    };
    format!("{what} ({there} of {all} tasks exist, request {})", report.request)
}

/// What was to be cancelled and was not.
fn uncancelled(report: &Report) -> String {
    let labels: Vec<&str> =
        report.tasks.iter().filter(|task| task.uncancelled.is_some()).map(|task| task.label.as_str()).collect();
    if labels.is_empty() { String::new() } else { format!(", but these could not be: {}", labels.join(", ")) }
}
