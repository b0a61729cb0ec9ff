//! A request on the way to being carried out: what that takes, and whether it may be.

use std::path::PathBuf;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::RequestId;
use taskgraft_core::plan::{Plan, Policy, Request};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::time::Millis;

use super::carry::Carry;
use super::error::ActionError;
use super::words::say_earlier;
use crate::authority;
use crate::cache::Cache;
use crate::fetch::Artifacts;
use crate::own_run::OwnRun;
use crate::planner::{Lookups, plan};
use crate::plans::Plans;
use crate::preflight;
use crate::push::Push;
use crate::recheck::{existing, is_open, recheck};
use crate::run_plan;

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
    /// Where task-graph.json, label-to-taskid.json, to-run.json, plan.json and report.json are written.
    pub out: PathBuf,
    /// The most tasks that it may create.
    pub max_new: usize,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// Whether the asker got what was asked for.
    pub result: Terminal,
    /// What became of each request that the action came to: first that on the push it was asked for.
    pub requests: Vec<Report>,
}

/// What carrying requests out takes.
#[derive(Debug, Clone)]
pub struct Means {
    /// Who creates.
    pub client: Client,
    /// Where downloads go.
    pub cache: Cache,
}

/// The action task that this process works for.
#[derive(Debug)]
pub(super) struct OwnTask {
    pub(super) run: OwnRun,
    pub(super) task: TaskDefinition,
}

impl Keep {
    /// The run that this process works for.
    pub(super) fn own(&self) -> Option<OwnRun> {
        match self {
            Self::Run(own) => Some(*own),
            Self::Plans(_) => None,
        }
    }

    /// The action task that this process works for, looked up.
    pub(super) async fn own_task(&self, client: &Client) -> Result<Option<OwnTask>, ActionError> {
        let Some(run) = self.own() else { return Ok(None) };
        Ok(Some(OwnTask { run, task: client.queue().task(run.task).await? }))
    }

    /// The plan of an earlier try of the same request.
    pub(super) async fn taken_up(&self, means: &Means, id: &RequestId) -> Result<Option<Plan>, ActionError> {
        Ok(match self {
            Self::Run(own) => run_plan::earlier(&means.client, &means.cache, *own).await?,
            Self::Plans(plans) => plans.begun(id)?,
        })
    }

    /// Stores the plan where a later try finds it. `expires`: until when the run's artifacts may live.
    pub(super) async fn store(&self, means: &Means, plan: &Plan, expires: Option<Millis>) -> Result<(), ActionError> {
        match self {
            Self::Run(own) => {
                // An ended run stores nothing; that it has ended is told when it would create.
                if let Some(expires) = expires
                    && own.check(&means.client).await?.is_none()
                {
                    run_plan::store(&means.client, &means.cache, *own, plan, expires).await?;
                }
            }
            Self::Plans(plans) => drop(plans.save(plan)?),
        }
        Ok(())
    }

    pub(super) fn note(&self, report: &Report) -> Result<(), ActionError> {
        if let Self::Plans(plans) = self {
            plans.note(report)?;
        }
        Ok(())
    }
}

impl Means {
    pub(super) fn artifacts(&self) -> Artifacts {
        Artifacts::Queue(self.client.clone(), self.cache.clone())
    }

    pub(super) fn lookups(&self) -> Lookups {
        Lookups::Online(self.client.clone(), self.artifacts())
    }
}

impl OwnTask {
    pub(super) fn expires(&self) -> Millis {
        self.task.expires.unwrap_or(self.task.deadline)
    }
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
    let own = action.keep.own_task(&means.client).await?;
    if let (Some(own), Some(group)) = (&own, push.group) {
        authority::check_action(own.run.task, &own.task, group, &push.parameters)?;
    }
    let carry = Carry { means, keep: &action.keep, out: &action.out, expires: own.as_ref().map(OwnTask::expires) };
    let (plan, earlier) = match action.keep.taken_up(means, &action.request.id).await? {
        Some(plan) if plan.request != action.request => return Err(ActionError::OtherRequest(plan.request.id)),
        Some(plan) => {
            say_earlier(&plan, &means.client, &mut log);
            still_right(means, push, &plan).await?;
            (plan, true)
        }
        None => (fresh(means, push, action, &mut log).await?, false),
    };
    let mut stop = std::pin::pin!(stop.fuse());
    let mut report = carry.out(plan, earlier, &mut stop, &mut log).await?;
    Ok(report.requests.swap_remove(0))
}

/// A new plan, all of which can be had and may be created.
async fn fresh(means: &Means, push: &Push, action: &Action, log: &mut impl FnMut(&str)) -> Result<Plan, ActionError> {
    bound(action.request.asked(), action.max_new)?;
    let planned = plan(&means.lookups(), push, &action.request, action.policy).await?;
    for notice in &planned.notices {
        log(&format!("warning: {notice}"));
    }
    admit(means, &planned.plan, action.max_new).await?;
    Ok(planned.plan)
}

/// Refuses more new tasks than one request may create.
///
/// # Errors
/// [`ActionError::TooMany`].
pub(super) fn bound(asked: u64, most: usize) -> Result<(), ActionError> {
    if asked > most as u64 { Err(ActionError::TooMany { asked, most }) } else { Ok(()) }
}

/// Checks that all of the plan can be had and may be created.
///
/// # Errors
/// Labels that can't be had, too many tasks, or missing scopes.
pub(super) async fn admit(means: &Means, plan: &Plan, max_new: usize) -> Result<(), ActionError> {
    let parts = || std::iter::once(plan).chain(&plan.elsewhere);
    let now = means.client.clock().now();
    let refused = parts().filter(|part| !part.request.partial).flat_map(|part| part.words(now).refused);
    let refused: Vec<_> = refused.map(|line| (line.label, line.why)).collect();
    if !refused.is_empty() {
        return Err(ActionError::Refused(refused));
    }
    bound(parts().map(|part| part.tasks.len() as u64).sum(), max_new)?;
    if plan.policy == Policy::Graft && parts().any(|part| !part.tasks.is_empty()) {
        let missing = preflight::check(&means.client, plan).await?;
        if !missing.is_empty() {
            return Err(ActionError::Forbidden(missing));
        }
    }
    Ok(())
}

/// Fails if what is still to be created of an earlier try's plan would be planned otherwise now.
///
/// # Errors
/// [`ActionError::Moved`], or what looking it up failed of.
pub(super) async fn still_right(means: &Means, push: &Push, plan: &Plan) -> Result<(), ActionError> {
    let existing = existing(&means.client, plan).await?;
    if !is_open(plan, &existing) {
        return Ok(());
    }
    let (moved, now) = recheck(&means.lookups(), push, plan, &existing).await?;
    if moved.is_empty() {
        return Ok(());
    }
    Err(ActionError::Moved { plan: Box::new(plan.clone()), existing, moved, now })
}
