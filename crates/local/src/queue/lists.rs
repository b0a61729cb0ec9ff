//! Reading tasks: one, many by id, and pages of them.

use std::sync::Arc;

use rusqlite::{Transaction, params};
use serde::Serialize;
use serde_json::value::RawValue;
use taskgraft_core::api::queue::{TaskStatus, TaskStatusResponse, TasksRequest};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::ScopeExpression;

use super::task::{TASKS_DEFINED, Task, raw};
use super::task_id;
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use taskgraft_store::StoreError;

/// The most entries on a page.
pub(super) const PAGE: usize = 1000;

/// A task in a list; the definition is passed on as it is stored.
#[derive(Serialize)]
pub(super) struct Listed {
    status: TaskStatus,
    task: Box<RawValue>,
}

/// A page of tasks. `which` continues `SELECT … FROM tasks t`, orders by the task's row id, and takes `row` as `?1` and
/// the row id that the page begins after as `?2`.
pub(super) fn list(
    tx: &Transaction<'_>,
    which: &str,
    row: i64,
    page: &Page,
) -> Result<(Vec<Listed>, Option<String>), ApiError> {
    let after: i64 = match &page.after {
        None => -1,
        Some(text) => text.parse().map_err(|_| ApiError::input("Invalid continuation token"))?,
    };
    let rows = fetch(tx, which, row, after, page.limit)?;
    let (rows, token) = page.cut(rows, |(id, _)| id.to_string());
    Ok((rows.into_iter().map(|(_, listed)| listed).collect(), token))
}

/// Fetches one more than the page holds, which says whether there is another page.
fn fetch(
    tx: &Transaction<'_>,
    which: &str,
    row: i64,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, Listed)>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{TASKS_DEFINED} {which} LIMIT ?3"))?;
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let listed = statement.query_map(params![row, after, most], |row| {
        let task = Task::of(row)?;
        Ok((task.row, Listed { status: task.status(), task: raw(row, 13)? }))
    })?;
    Ok(listed.collect::<Result<_, _>>()?)
}

pub(super) async fn task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let body = ctx.store.read(move |tx| match Task::find(tx, task_id)? {
        Some(task) => Ok(task.body(tx)?),
        None => Err(ApiError::not_found(format!(
            "`{task_id}` does not correspond to a task that exists.\nAre you sure this task has already been submitted?"
        ))),
    });
    Reply::json(&body.await?)
}

pub(super) async fn status(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let found = ctx.store.read(move |tx| Task::find(tx, task_id)).await?;
    let absent = || {
        ApiError::not_found(format!(
            "`{task_id}` does not correspond to a task that exists.\nAre you sure this task exists?"
        ))
    };
    Reply::json(&TaskStatusResponse { status: found.ok_or_else(absent)?.status() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identified<T> {
    task_id: TaskId,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct Definition {
    task: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TasksPage {
    tasks: Vec<Identified<Definition>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

pub(super) async fn tasks(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (ids, page) = asked_for(call, "queue:get-task")?;
    let found = ctx.store.read(move |tx| {
        select(tx, &ids, &page, |task| {
            Ok(Identified { task_id: task.task_id, what: Definition { task: task.body(tx)? } })
        })
    });
    let (tasks, continuation_token) = found.await?;
    Reply::json(&TasksPage { tasks, continuation_token })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusesPage {
    statuses: Vec<Identified<TaskStatusResponse>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

pub(super) async fn statuses(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (ids, page) = asked_for(call, "queue:status")?;
    let found = ctx.store.read(move |tx| {
        select(tx, &ids, &page, |task| {
            Ok(Identified { task_id: task.task_id, what: TaskStatusResponse { status: task.status() } })
        })
    });
    let (statuses, continuation_token) = found.await?;
    Reply::json(&StatusesPage { statuses, continuation_token })
}

/// The ids that the body names, each once, in their order; `scope` is needed for each.
fn asked_for(call: &Call, scope: &str) -> Result<(Vec<String>, Page), ApiError> {
    let TasksRequest { mut task_ids } = call.input()?;
    call.authorize(ScopeExpression::all_of(task_ids.iter().map(|id| format!("{scope}:{id}"))))?;
    task_ids.sort_unstable();
    task_ids.dedup();
    Ok((task_ids, Page::of(call, PAGE)?))
}

/// The page of those tasks among `ids` (sorted) that exist.
fn select<T>(
    tx: &Transaction<'_>,
    ids: &[String],
    page: &Page,
    what: impl Fn(&Task) -> Result<T, StoreError>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let mut found = Vec::new();
    let rest = ids.iter().filter(|id| page.after.as_ref().is_none_or(|after| *id > after));
    // What is no id names no task.
    for id in rest.filter_map(|id| id.parse().ok()) {
        if let Some(task) = Task::find(tx, id)? {
            found.push((id, what(&task)?));
        }
        if found.len() > page.limit {
            break;
        }
    }
    let (found, token) = page.cut(found, |(id, _)| id.to_string());
    Ok((found.into_iter().map(|(_, what)| what).collect(), token))
}
