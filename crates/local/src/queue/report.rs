//! Workers say how runs ended: `reportCompleted`, `reportFailed`, `reportException`.

use std::sync::Arc;

use taskgraft_core::api::queue::{TaskExceptionRequest, TaskStatusResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Event, Outcome, Refusal, RunState};

use super::change::change;
use super::{run_id, task_id};
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};

pub(super) async fn completed(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    resolve(ctx, call, Outcome::Completed).await
}

pub(super) async fn failed(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    resolve(ctx, call, Outcome::Failed).await
}

pub(super) async fn exception(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let TaskExceptionRequest { reason } = call.input()?;
    resolve(ctx, call, Outcome::Exception(reason)).await
}

async fn resolve(ctx: &Arc<Ctx>, call: &Call, outcome: Outcome) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    let status = change(ctx, move |changes| {
        let mut task = changes.task(task_id)?;
        let state = task.run(run).ok_or_else(|| no_such_run(task_id, run))?.state;
        changes.apply(&mut task, &Event::Resolve { run, outcome }).map_err(|error| {
            error.or(|refusal| match refusal {
                Refusal::NoSuchRun => no_such_run(task_id, run),
                Refusal::DeadlinePassed
                | Refusal::TooEarly
                | Refusal::NotClaimable
                | Refusal::NotRunning
                | Refusal::TooManyRuns => refused(task_id, run, state, outcome),
            })
        })?;
        Ok(task.status())
    });
    Reply::json(&TaskStatusResponse { status: status.await? })
}

/// What a real queue says to a report that comes too late, or too early.
fn refused(task_id: TaskId, run: u16, state: RunState, outcome: Outcome) -> ApiError {
    let (target, word) = match outcome {
        Outcome::Completed => (RunState::Completed, "completed"),
        Outcome::Failed => (RunState::Failed, "failed"),
        Outcome::Exception(_) => return not_running(task_id, run),
    };
    if state == RunState::Running || state == target {
        return not_running(task_id, run);
    }
    ApiError::conflict(format!("Run {run} of task `{task_id}` is not running or {word}."))
}

pub(super) fn not_running(task_id: TaskId, run: u16) -> ApiError {
    ApiError::conflict(format!("Run {run} on task `{task_id}` is resolved or not running."))
}

pub(super) fn no_such_run(task_id: TaskId, run: u16) -> ApiError {
    ApiError::not_found(format!("Run {run} not found on task `{task_id}`."))
}
