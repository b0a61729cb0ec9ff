//! Cancelling a request that was carried out, wholly or in part.
//!
//! Its unfinished copies are cancelled. What it needed stays, being shared, unless that is to go too: then what has no
//! live dependent outside the request. Somebody may come to depend on such a task at the same moment, so dependents are
//! read again afterwards, and a task that a newcomer waits for is run again.

use std::collections::BTreeSet;

use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::frontier::Outcome;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Role, own};
use taskgraft_core::report::{Report, TaskReport};
use taskgraft_core::state::TaskState;

use crate::lookup;

/// What cancelling did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Tasks that were cancelled.
    pub cancelled: Vec<TaskId>,
    /// Needed tasks that stay, because something outside the request waits for them.
    pub kept: Vec<TaskId>,
    /// Needed tasks that were cancelled and run again, because somebody came to wait for them meanwhile.
    pub rerun: Vec<TaskId>,
    /// The same, but their own dependencies are not completed: they can't be run again yet.
    pub lost: Vec<TaskId>,
}

/// Cancels what `report` says that a request made, as far as it is unfinished.
///
/// # Errors
/// If the queue doesn't answer or refuses; what was cancelled until then stays so, and cancelling again goes on.
pub async fn cancel(client: &Client, report: &Report, with_dependencies: bool) -> Result<Cancelled, Error> {
    let ids: Vec<TaskId> = report.tasks.iter().map(|task| task.task_id).collect();
    let statuses = lookup::statuses(client, &ids).await?;
    let live = |id: &TaskId| statuses.get(id).is_some_and(|status| !status.state.is_resolved());
    let mut done = Cancelled::default();
    let own = |at: usize| own(|at| report.tasks.get(at).map(|task| &task.role), at);
    for (_, task) in
        report.tasks.iter().enumerate().filter(|(at, task)| own(*at) && may_be_ours(task) && live(&task.task_id))
    {
        client.queue().cancel_task(task.task_id).await?;
        done.cancelled.push(task.task_id);
    }
    if !with_dependencies {
        return Ok(done);
    }
    // Dependents first: what is kept keeps what it waits for.
    let mut going: BTreeSet<TaskId> = ids.iter().copied().collect();
    let needed =
        report.tasks.iter().rev().filter(|task| !task.role.is_own() && may_be_ours(task) && live(&task.task_id));
    for id in needed.map(|task| task.task_id) {
        if has_live_dependent(client, id, &going).await? {
            going.remove(&id);
            done.kept.push(id);
            continue;
        }
        client.queue().cancel_task(id).await?;
        if !has_live_dependent(client, id, &going).await? {
            done.cancelled.push(id);
        } else if dependencies_completed(client, id).await? {
            client.queue().rerun_task(id).await?;
            going.remove(&id);
            done.rerun.push(id);
        } else {
            done.lost.push(id);
        }
    }
    // What inserts the index paths of a shared task goes only with it.
    for task in report.tasks.iter().filter(|task| live(&task.task_id)) {
        if let Role::Index { parent } = task.role
            && report.tasks.get(parent).is_some_and(|parent| done.cancelled.contains(&parent.task_id))
            && !done.cancelled.contains(&task.task_id)
        {
            client.queue().cancel_task(task.task_id).await?;
            done.cancelled.push(task.task_id);
        }
    }
    Ok(done)
}

/// What can't be had under an id that it could have has the last of them here, which is somebody else's task.
fn may_be_ours(task: &TaskReport) -> bool {
    !matches!(task.outcome, Outcome::Refused { .. })
}

/// Whether something that is not going waits for the task.
async fn has_live_dependent(client: &Client, id: TaskId, going: &BTreeSet<TaskId>) -> Result<bool, Error> {
    let waits = |dependent: &TaskDefinitionAndStatus| {
        dependent.status.state == TaskState::Unscheduled && !going.contains(&dependent.status.task_id)
    };
    Ok(client.queue().list_dependent_tasks(id).await?.iter().any(waits))
}

async fn dependencies_completed(client: &Client, id: TaskId) -> Result<bool, Error> {
    let dependencies = client.queue().task(id).await?.dependencies;
    let statuses = lookup::statuses(client, &dependencies).await?;
    let completed = |id: &TaskId| statuses.get(id).is_some_and(|status| status.state == TaskState::Completed);
    Ok(dependencies.iter().all(completed))
}
