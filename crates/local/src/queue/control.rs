//! What people do to tasks: schedule, rerun, cancel, and change how urgent they are.

use std::sync::Arc;

use rusqlite::{Transaction, params};
use taskgraft_core::api::queue::{ChangePriorityRequest, Priority, TaskStatusResponse};
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::state::{Event, MAX_RUNS, Refusal};
use taskgraft_core::time::format_ms;

use super::change::{Changes, change};
use super::task::{Task, parsed, priority_code};
use super::task_id;
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};
use taskgraft_store::StoreError;

/// What one of these endpoints does, and how it says that it can't.
struct Control {
    /// In scopes, `queue:<verb>-task…`.
    verb: &'static str,
    event: Event,
    absent: &'static str,
    late: &'static str,
}

pub(super) async fn schedule_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let absent = "taskId `{}` not found. Are you sure it exists?";
    let late = "can't be scheduled past its deadline at";
    act(ctx, call, Control { verb: "schedule", event: Event::Schedule, absent, late }).await
}

pub(super) async fn rerun_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let absent = "`{}` does not correspond to a task that exists.\nAre you sure this task has been submitted before?";
    let late = "can't be rescheduled past its deadline of";
    act(ctx, call, Control { verb: "rerun", event: Event::Rerun, absent, late }).await
}

pub(super) async fn cancel_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let absent = "Task `{}` not found. Are you sure it was created?";
    let late = "can't be canceled past its deadline of";
    act(ctx, call, Control { verb: "cancel", event: Event::Cancel, absent, late }).await
}

async fn act(ctx: &Arc<Ctx>, call: &Call, control: Control) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let absent = move || ApiError::not_found(control.absent.replace("{}", task_id.as_str()));
    let task = ctx.store.read(move |tx| Task::find(tx, task_id)).await?.ok_or_else(absent)?;
    call.authorize(needed_scopes(control.verb, &task))?;
    let work = move |changes: &mut Changes<'_>| {
        // It may have been purged since.
        let mut task = Task::find(changes.tx, task_id)?.ok_or_else(absent)?;
        let deadline = format_ms(task.life.deadline);
        changes.apply(&mut task, &control.event).map_err(|error| {
            error.or(|refusal| match refusal {
                Refusal::TooManyRuns => ApiError::conflict(format!("Maximum number of runs reached ({MAX_RUNS}).")),
                Refusal::DeadlinePassed
                | Refusal::TooEarly
                | Refusal::NoSuchRun
                | Refusal::NotClaimable
                | Refusal::NotRunning => ApiError::conflict(format!("Task `{task_id}` {} {deadline}.", control.late)),
            })
        })?;
        Ok(TaskStatusResponse { status: task.status() })
    };
    Reply::json(&change(ctx, work).await?)
}

/// Any of three forms, the last one an old one.
fn needed_scopes(verb: &str, task: &Task) -> ScopeExpression {
    let one = |text: String| ScopeExpression::Scope(text);
    let group = format!("{}/{}", task.scheduler_id, task.task_group_id);
    ScopeExpression::AnyOf(vec![
        one(format!("queue:{verb}-task:{group}/{}", task.task_id)),
        one(format!("queue:{verb}-task-in-project:{}", task.project_id)),
        ScopeExpression::AllOf(vec![one(format!("queue:{verb}-task")), one(format!("assume:scheduler-id:{group}"))]),
    ])
}

pub(super) async fn change_task_priority(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let ChangePriorityRequest { new_priority } = call.input()?;
    let absent = move || ApiError::not_found(format!("Task `{task_id}` not found. Are you sure it was created?"));
    let task = ctx.store.read(move |tx| Task::find(tx, task_id)).await?.ok_or_else(absent)?;
    call.authorize(ScopeExpression::AnyOf(vec![
        ScopeExpression::Scope(format!("queue:change-task-priority:{task_id}")),
        ScopeExpression::Scope(format!("queue:change-task-priority-in-queue:{}", task.task_queue_id)),
    ]))?;
    let work = move |changes: &mut Changes<'_>| {
        let mut task = Task::find(changes.tx, task_id)?.ok_or_else(absent)?;
        if task.life.deadline <= changes.now {
            let deadline = format_ms(task.life.deadline);
            let message = format!("Task `{task_id}` can't be reprioritized past its deadline of {deadline}.");
            return Err(ApiError::conflict(message));
        }
        if task.priority == new_priority {
            return Err(ApiError::conflict(format!("Task `{task_id}` has the priority {new_priority} already.")));
        }
        let old = task.priority;
        set_priority(changes.tx, &mut task, new_priority)?;
        changes.say(&task, |subject| Some(subject.priority(old)))?;
        Ok(TaskStatusResponse { status: task.status() })
    };
    Reply::json(&change(ctx, work).await?)
}

/// Changes the priority in the definition too: sending the old definition again is then a conflict.
pub(super) fn set_priority(tx: &Transaction<'_>, task: &mut Task, priority: Priority) -> Result<(), StoreError> {
    let mut definition = task.definition(tx)?;
    definition.priority = priority;
    let body = parsed(0, serde_json::to_string(&definition))?;
    tx.prepare_cached("UPDATE definitions SET body = ?2 WHERE id = ?1")?.execute(params![task.row, body])?;
    tx.prepare_cached("UPDATE tasks SET priority = ?2 WHERE id = ?1")?
        .execute(params![task.row, priority_code(priority)])?;
    task.priority = priority;
    Ok(())
}
