//! From what an action task is told to do, to what became of it.

use std::path::PathBuf;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select, try_join};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{MAX_NEW, Plan, Policy};
use taskgraft_core::printable::printable;
use taskgraft_core::time::Millis;

use super::ask::ActionAsk;
use super::asking::Asking;
use super::carry::Carry;
use super::error::ActionError;
use super::run::{ActionReport, Keep, Means, OwnTask};
use crate::project::Project;

/// How an action is planned.
#[derive(Debug, Clone)]
pub struct Terms {
    /// By which rules.
    pub policy: Policy,
    /// The most tasks that one request may create.
    pub max_new: usize,
    /// The action task: new tasks have it as their parent, and requested copies wait for it.
    pub action_task: Option<TaskId>,
    /// The request's id, unless its input carries a key.
    pub request: RequestId,
    /// The project's checkout, where there is one. It names the trust domain; else the decision task's schedulerId does.
    pub project: Option<Project>,
}

impl Terms {
    /// As an action task has it: the request is named after it.
    #[must_use]
    pub fn of_task(policy: Policy, task: TaskId) -> Self {
        Self { policy, max_new: MAX_NEW, action_task: Some(task), request: task.into(), project: None }
    }

    /// As somebody has it by hand: there is no action task.
    #[must_use]
    pub fn by_hand(policy: Policy, request: RequestId) -> Self {
        Self { policy, max_new: MAX_NEW, action_task: None, request, project: None }
    }
}

/// How an action is to be performed.
#[derive(Debug, Clone)]
pub struct With {
    /// How it is planned.
    pub terms: Terms,
    /// Where the plan is kept, and whose run this is.
    pub keep: Keep,
    /// Where task-graph.json, label-to-taskid.json, to-run.json, plan.json and report.json are written.
    pub out: PathBuf,
}

/// Performs the action: fetches what it needs, validates its input, decides, plans, stores the plan, carries it out.
///
/// A later run of the same action task takes up the stored plan and finishes it. `log` gets what people read: verdicts
/// first, then what was done, then one line that says whether the asker got what they asked for.
///
/// # Errors
/// If nothing can be done; what an earlier run had done stays as it is.
pub async fn perform(
    means: &Means,
    ask: &ActionAsk,
    with: &With,
    stop: impl Future<Output = ()>,
    mut log: impl FnMut(&str),
) -> Result<ActionReport, ActionError> {
    let mut log = |line: &str| log(&printable(line));
    let mut stop = std::pin::pin!(stop.fuse());
    let Prepared { plan, earlier, expires } = {
        // On the heap: whoever performs an action would hold all of its planning on the stack otherwise.
        let preparing = Box::pin(prepare(means, ask, with, &mut log));
        match select(preparing, &mut stop).await {
            Either::Left((prepared, _)) => prepared?,
            Either::Right(_) => return Err(ActionError::Stopped),
        }
    };
    Carry { means, keep: &with.keep, out: &with.out, expires }.out(plan, earlier, &mut stop, &mut log).await
}

/// What is to be carried out.
struct Prepared {
    plan: Plan,
    /// Whether an earlier try left the plan.
    earlier: bool,
    /// Until when the run's artifacts may live.
    expires: Option<Millis>,
}

async fn prepare(
    means: &Means,
    ask: &ActionAsk,
    with: &With,
    log: &mut impl FnMut(&str),
) -> Result<Prepared, ActionError> {
    let own = with.keep.own_task(&means.client).await?;
    let expires = own.as_ref().map(OwnTask::expires);
    let asking = Asking::new(means, ask, &with.terms, own)?;
    if let Some(plan) = asking.taken_up(&with.keep, log).await? {
        return Ok(Prepared { plan, earlier: true, expires });
    }
    let planning = async {
        let push = asking.push(Some(asking.permission())).await?;
        asking.plan(&push, log).await
    };
    let (plan, ()) = try_join(planning, asking.key_is_ours()).await?;
    Ok(Prepared { plan, earlier: false, expires })
}

/// What an action would do: its plan, which is not carried out.
///
/// # Errors
/// As [`perform`], as far as that is seen without doing anything. Whether credentials would do is not looked at.
pub async fn rehearse(
    means: &Means,
    ask: &ActionAsk,
    terms: &Terms,
    mut log: impl FnMut(&str),
) -> Result<Plan, ActionError> {
    let mut log = |line: &str| log(&printable(line));
    let asking = Asking::new(means, ask, terms, None)?;
    let push = asking.push(None).await?;
    asking.rehearsed(&push, &mut log).await
}
