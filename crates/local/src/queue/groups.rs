//! Task groups: who may join, who is in, and what happens to all of them at once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use taskgraft_core::api::queue::{
    CancelTaskGroupResponse, ChangePriorityRequest, TaskDefinition, TaskGroup, TaskGroupPriorityResponse,
};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::Event;
use taskgraft_core::time::Millis;

use super::change::{ChangeError, Changes, change};
use super::control;
use super::lists::{Listed, PAGE, list};
use super::messages;
use super::task::{TASKS, Task, moment, parsed};
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use taskgraft_store::StoreError;

/// How much longer a group is kept than the task that made it last.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// A group and the row it is in.
struct Group {
    row: i64,
    group: TaskGroup,
}

impl Group {
    fn find(tx: &Transaction<'_>, id: &str) -> Result<Option<Self>, StoreError> {
        let mut statement = tx
            .prepare_cached("SELECT id, group_id, scheduler_id, expires, sealed FROM task_groups WHERE group_id = ?")?;
        Ok(statement.query_row([id], Self::of).optional()?)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sealed = row.get::<_, Option<i64>>(4)?.map(|_| moment(row, 4)).transpose()?;
        let group = TaskGroup {
            task_group_id: parsed(1, row.get_ref(1)?.as_str()?.parse())?,
            scheduler_id: row.get(2)?,
            expires: Millis::from(moment(row, 3)?),
            sealed: sealed.map(Millis::from),
        };
        Ok(Self { row: row.get(0)?, group })
    }

    fn named(tx: &Transaction<'_>, id: &str) -> Result<Self, ApiError> {
        let absent = || ApiError::not_found(format!("No task-group with taskGroupId: `{id}`"));
        Self::find(tx, id)?.ok_or_else(absent)
    }
}

/// The row of the group that a task wants to join, which is made if it is the first one's.
pub(super) fn join(changes: &Changes<'_>, task: &TaskDefinition, expires: Timestamp) -> Result<i64, ApiError> {
    let id = task.task_group_id;
    let until = expires.saturating_add(GRACE).unwrap_or(expires).as_millisecond();
    let Some(Group { row, group }) = Group::find(changes.tx, id.as_str())? else {
        changes
            .tx
            .prepare_cached("INSERT INTO task_groups (group_id, scheduler_id, expires) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![id.as_str(), task.scheduler_id, until]))
            .map_err(StoreError::from)?;
        return Ok(changes.tx.last_insert_rowid());
    };
    if group.scheduler_id != task.scheduler_id {
        return Err(ApiError::conflict(format!(
            "Task group `{id}` contains tasks with a schedulerId other\nthan `{}`. All tasks in the same task-group \
             must have\nthe same schedulerId.",
            task.scheduler_id
        )));
    }
    if group.sealed.is_some() {
        return Err(ApiError::conflict(format!("Task group `{id}` is sealed and does not accept new tasks.")));
    }
    if expires > group.expires.0 {
        changes
            .tx
            .prepare_cached("UPDATE task_groups SET expires = ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute(params![row, until]))
            .map_err(StoreError::from)?;
    }
    Ok(row)
}

pub(super) async fn get_task_group(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    Reply::json(&named(ctx, call).await?)
}

/// The group that the URL names.
async fn named(ctx: &Arc<Ctx>, call: &Call) -> Result<TaskGroup, ApiError> {
    let id = call.param("taskGroupId").to_owned();
    ctx.store.read(move |tx| Group::named(tx, &id)).await.map(|found| found.group)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupPage {
    #[serde(flatten)]
    group: TaskGroup,
    tasks: Vec<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

pub(super) async fn list_task_group(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    let id = call.param("taskGroupId").to_owned();
    ctx.store
        .read(move |tx| {
            let Group { row, group } = Group::named(tx, &id)?;
            let (tasks, continuation_token) =
                list(tx, "WHERE t.group_row = ?1 AND t.id > ?2 ORDER BY t.id", row, &page)?;
            Reply::json(&GroupPage { group, tasks, continuation_token })
        })
        .await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DependentsPage {
    task_id: TaskId,
    tasks: Vec<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

pub(super) async fn list_dependent_tasks(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    let task_id = super::task_id(call)?;
    ctx.store
        .read(move |tx| {
            let absent = || ApiError::not_found(format!("Task with taskId: `{task_id}` was not found"));
            let task = Task::find(tx, task_id)?.ok_or_else(absent)?;
            let which = "JOIN dependencies p ON p.dependent = t.id \
                         WHERE p.dependency = ?1 AND p.dependent > ?2 ORDER BY p.dependent";
            let (tasks, continuation_token) = list(tx, which, task.row, &page)?;
            Reply::json(&DependentsPage { task_id, tasks, continuation_token })
        })
        .await
}

pub(super) async fn seal_task_group(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let TaskGroup { task_group_id, scheduler_id, .. } = named(ctx, call).await?;
    call.authorize(format!("queue:seal-task-group:{scheduler_id}/{task_group_id}"))?;
    let work = move |changes: &mut Changes<'_>| {
        let before = Group::named(changes.tx, task_group_id.as_str())?.group;
        if before.sealed.is_some() {
            // The first sealing counts.
            return Ok(before);
        }
        changes
            .tx
            .prepare_cached("UPDATE task_groups SET sealed = ?2 WHERE group_id = ?1")
            .and_then(|mut update| update.execute(params![task_group_id.as_str(), changes.now.as_millisecond()]))
            .map_err(StoreError::from)?;
        let group = Group::named(changes.tx, task_group_id.as_str())?.group;
        changes.say_of_group(|| messages::group_sealed(&group));
        Ok::<_, ApiError>(group)
    };
    Reply::json(&change(ctx, work).await?)
}

pub(super) async fn cancel_task_group(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let group = named(ctx, call).await?;
    let task_group_id = group.task_group_id;
    if group.sealed.is_none() {
        return Err(ApiError::conflict(format!("Cannot cancel unsealed task group: `{task_group_id}`")));
    }
    call.authorize(format!("queue:cancel-task-group:{}/{task_group_id}", group.scheduler_id))?;
    let work = move |changes: &mut Changes<'_>| {
        let tasks = members(changes.tx, task_group_id, "")?;
        let task_group_size = tasks.len() as u64;
        let mut task_ids = Vec::new();
        for mut task in tasks {
            match changes.apply(&mut task, &Event::Cancel) {
                Ok(true) => task_ids.push(task.task_id),
                // Past its deadline a task is left to the job that resolves it.
                Ok(false) | Err(ChangeError::Refused(_)) => {}
                Err(ChangeError::Store(error)) => return Err(error.into()),
            }
        }
        let cancelled_count = task_ids.len() as u64;
        Ok::<_, ApiError>(CancelTaskGroupResponse { task_group_id, task_group_size, cancelled_count, task_ids })
    };
    Reply::json(&change(ctx, work).await?)
}

pub(super) async fn change_task_group_priority(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let ChangePriorityRequest { new_priority } = call.input()?;
    let id = call.param("taskGroupId").to_owned();
    let unknown = || ApiError::not_found(format!("Task group `{id}` not found."));
    let found = ctx.store.read({
        let id = id.clone();
        move |tx| Ok::<_, ApiError>(Group::find(tx, &id)?)
    });
    let TaskGroup { task_group_id, scheduler_id, .. } = found.await?.ok_or_else(unknown)?.group;
    call.authorize(format!("queue:change-task-group-priority:{scheduler_id}/{task_group_id}"))?;
    let work = move |changes: &mut Changes<'_>| {
        let mut task_ids = Vec::new();
        for mut task in members(changes.tx, task_group_id, "AND t.state < 3")? {
            if task.life.deadline > changes.now && task.priority != new_priority {
                control::set_priority(changes.tx, &mut task, new_priority)?;
                task_ids.push(task.task_id);
            }
        }
        let tasks_affected = task_ids.len() as u64;
        changes.say_of_group(|| messages::group_priority(task_group_id, &scheduler_id, new_priority, tasks_affected));
        Ok::<_, ApiError>(TaskGroupPriorityResponse {
            task_group_id,
            scheduler_id,
            new_priority,
            tasks_affected,
            task_ids,
        })
    };
    Reply::json(&change(ctx, work).await?)
}

/// The group, if all of its tasks are resolved.
pub(super) fn resolved(tx: &Transaction<'_>, id: TaskId) -> Result<Option<TaskGroup>, StoreError> {
    let Some(Group { row, group }) = Group::find(tx, id.as_str())? else { return Ok(None) };
    let mut statement = tx.prepare_cached("SELECT 1 FROM tasks WHERE group_row = ? AND state < 3 LIMIT 1")?;
    Ok((!statement.exists([row])?).then_some(group))
}

/// A group's tasks, in the order they were made.
fn members(tx: &Transaction<'_>, group: TaskId, further: &str) -> Result<Vec<Task>, StoreError> {
    let sql = format!("{TASKS} WHERE g.group_id = ?1 {further} ORDER BY t.id");
    let mut statement = tx.prepare_cached(&sql)?;
    let tasks = statement.query_map([group.as_str()], Task::of)?.collect::<Result<_, _>>()?;
    Ok(tasks)
}
