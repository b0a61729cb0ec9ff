//! Cancelling a request that an action task carries out, whoever's action that is.

use std::time::Duration;

use taskgraft_client::{Client, Error};
use taskgraft_core::frontier::{Frontier, Limits};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::MAX_PLAN_BYTES;
use taskgraft_core::report::Report;

use crate::action::ActionReport;
use crate::cache::Cache;
use crate::cancel::{Cancelled, cancel};
use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::own_run::OwnRun;
use crate::run_plan::{self, RunPlanError};

/// The artifact in which an action task of taskgraft tells what it did.
pub const REPORT_ARTIFACT: &str = "public/report.json";

/// A run looks every second whether it has been cancelled: by then it creates nothing more.
const SETTLES: Duration = Duration::from_secs(2);

/// How often what was created is looked for until nothing new comes up.
const LOOKS: u32 = 5;

/// Why a request could not be cancelled, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum CancelActionError {
    /// Taskcluster refused, or didn't answer.
    #[error(transparent)]
    Client(#[from] Error),
    /// What the action task did can't be read.
    #[error(transparent)]
    Report(#[from] FetchError),
    /// What the action task planned can't be read.
    #[error(transparent)]
    Plan(#[from] RunPlanError),
}

/// Cancels an action task if it is unfinished, then what it made, as far as that is unfinished: by its report, else by
/// its plan, else, where it has neither and so is none of taskgraft's, the tasks of its group that depend on it.
///
/// # Errors
/// If the queue doesn't answer or refuses; what was cancelled until then stays so, and cancelling again goes on.
pub async fn cancel_action(
    client: &Client,
    cache: &Cache,
    action_task: TaskId,
    with_dependencies: bool,
) -> Result<Cancelled, CancelActionError> {
    let mut done = Cancelled::default();
    let live = !client.queue().status(action_task).await?.state.is_resolved();
    if live {
        client.queue().cancel_task(action_task).await?;
    }
    for look in 0..LOOKS {
        let more = cancel_made(client, cache, action_task, with_dependencies).await?;
        // Whoever works for a run that ended long ago has stopped.
        let last = !live || (look > 0 && more.cancelled.is_empty());
        done.cancelled.extend(more.cancelled);
        done.rerun.extend(more.rerun);
        (done.kept, done.lost) = (more.kept, more.lost);
        if last {
            break;
        }
        client.clock().sleep(SETTLES).await;
    }
    Ok(done)
}

async fn cancel_made(
    client: &Client,
    cache: &Cache,
    action_task: TaskId,
    with_dependencies: bool,
) -> Result<Cancelled, CancelActionError> {
    let Some(reports) = reports(client, cache, action_task).await? else {
        return Ok(cancel_dependents(client, action_task).await?);
    };
    let mut done = Cancelled::default();
    for report in &reports {
        let part = cancel(client, report, with_dependencies).await?;
        done.cancelled.extend(part.cancelled);
        done.kept.extend(part.kept);
        done.rerun.extend(part.rerun);
        done.lost.extend(part.lost);
    }
    Ok(done)
}

/// What the action task says it made on each push; of one that died, what it was to make.
async fn reports(
    client: &Client,
    cache: &Cache,
    action_task: TaskId,
) -> Result<Option<Vec<Report>>, CancelActionError> {
    let artifacts = Artifacts::Queue(client.clone(), cache.clone());
    let wanted = Wanted { task: action_task, run: None, name: REPORT_ARTIFACT, max: MAX_PLAN_BYTES as u64 };
    match artifacts.read(wanted).await {
        Ok(text) => {
            if let Ok(report) = serde_json::from_slice::<ActionReport>(&text) {
                return Ok(Some(report.requests));
            }
        }
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error.into()),
    }
    let runs = client.queue().status(action_task).await?.runs;
    let Some(run) = runs.last().map(|run| run.run_id) else { return Ok(None) };
    let plan = run_plan::earlier(client, cache, OwnRun { task: action_task, run }).await?;
    // A part that can't be carried out has created nothing.
    let begun = |part| Frontier::resume(part, Limits::default()).ok().map(|frontier| frontier.report());
    Ok(plan.map(|plan| plan.parts().into_iter().filter_map(begun).collect()))
}

async fn cancel_dependents(client: &Client, action_task: TaskId) -> Result<Cancelled, Error> {
    let group = client.queue().task(action_task).await?.task_group_id;
    let mut done = Cancelled::default();
    for dependent in client.queue().list_dependent_tasks(action_task).await? {
        let status = dependent.status;
        if status.task_group_id == group && !status.state.is_resolved() {
            client.queue().cancel_task(status.task_id).await?;
            done.cancelled.push(status.task_id);
        }
    }
    Ok(done)
}
