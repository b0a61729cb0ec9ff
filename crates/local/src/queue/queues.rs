//! Task queues: which there are, and what waits and runs in them.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use serde::Serialize;
use serde_json::value::RawValue;
use taskgraft_core::api::queue::{PendingTasks, TaskQueueCounts};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::time::Millis;

use super::lists::PAGE;
use super::task::{TASKS_DEFINED, Task, moment, raw, split_queue_id};
use super::workers::queue_of;
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use taskgraft_store::StoreError;

/// A task queue that somebody claimed from lately; `taskqueue-response.json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    task_queue_id: String,
    expires: Millis,
    last_date_active: Millis,
    description: &'static str,
    stability: &'static str,
}

/// With the id in halves as well; `workertype-response.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerType {
    #[serde(flatten)]
    queue: Queue,
    provisioner_id: String,
    worker_type: String,
}

/// What the task queues of one first half have in common; `provisioner-response.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provisioner {
    provisioner_id: String,
    expires: Millis,
    last_date_active: Millis,
    description: &'static str,
    stability: &'static str,
}

impl Queue {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            task_queue_id: row.get(0)?,
            expires: moment(row, 1)?.into(),
            last_date_active: moment(row, 2)?.into(),
            description: "",
            stability: "experimental",
        })
    }

    /// All that are remembered, by id.
    fn all(tx: &Transaction<'_>, now: Timestamp) -> Result<Vec<Self>, StoreError> {
        let mut statement = tx.prepare_cached(
            "SELECT task_queue_id, expires, last_active FROM task_queues WHERE expires >= ? ORDER BY task_queue_id",
        )?;
        Ok(statement.query_map([now.as_millisecond()], Self::of)?.collect::<Result<_, _>>()?)
    }

    fn provisioner_id(&self) -> &str {
        split_queue_id(&self.task_queue_id).0
    }
}

impl From<Queue> for WorkerType {
    fn from(queue: Queue) -> Self {
        let (provisioner_id, worker_type) = split_queue_id(&queue.task_queue_id);
        Self { provisioner_id: provisioner_id.to_owned(), worker_type: worker_type.to_owned(), queue }
    }
}

async fn all(ctx: &Arc<Ctx>) -> Result<Vec<Queue>, ApiError> {
    let now = ctx.now();
    Ok(ctx.store.read(move |tx| Queue::all(tx, now)).await?)
}

async fn named(ctx: &Arc<Ctx>, id: &str) -> Result<Option<Queue>, ApiError> {
    Ok(all(ctx).await?.into_iter().find(|queue| queue.task_queue_id == id))
}

/// One page of a list, below the name that the answer gives it.
fn page<T: Serialize>(
    call: &Call,
    name: &'static str,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> String,
) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    rows.retain(|row| page.after.as_ref().is_none_or(|after| key(row) > *after));
    let (rows, token) = page.cut(rows, key);
    listed(name, &rows, token)
}

/// Rows below a name, and the token for the next page.
fn listed<T: Serialize>(name: &str, rows: &[T], token: Option<String>) -> Result<Reply, ApiError> {
    let mut answer = serde_json::Map::new();
    answer.insert(name.to_owned(), serde_json::to_value(rows).map_err(ApiError::internal)?);
    if let Some(token) = token {
        answer.insert("continuationToken".to_owned(), token.into());
    }
    Reply::json(&answer)
}

pub(super) async fn list_task_queues(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    page(call, "taskQueues", all(ctx).await?, |queue| queue.task_queue_id.clone())
}

pub(super) async fn get_task_queue(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.param("taskQueueId");
    let absent = || ApiError::not_found(format!("Task queue `{id}` not found. Are you sure it was created?"));
    Reply::json(&named(ctx, id).await?.ok_or_else(absent)?)
}

pub(super) async fn list_worker_types(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let wanted = all(ctx).await?.into_iter().filter(|queue| queue.provisioner_id() == call.param("provisionerId"));
    page(call, "workerTypes", wanted.map(WorkerType::from).collect(), |known| known.queue.task_queue_id.clone())
}

pub(super) async fn get_worker_type(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let absent = || {
        let (provisioner, worker_type) = (call.param("provisionerId"), call.param("workerType"));
        ApiError::not_found(format!(
            "Worker-type with workerType `{worker_type}` and provisionerId `{provisioner}` not found. Are you sure it \
             was created?"
        ))
    };
    Reply::json(&named(ctx, &queue_of(call)).await?.map(WorkerType::from).ok_or_else(absent)?)
}

/// What is known of provisioners follows from their task queues.
async fn provisioners(ctx: &Arc<Ctx>) -> Result<Vec<Provisioner>, ApiError> {
    let mut found: Vec<Provisioner> = Vec::new();
    for queue in all(ctx).await? {
        match found.iter_mut().find(|known| known.provisioner_id == queue.provisioner_id()) {
            Some(known) => {
                known.expires = known.expires.max(queue.expires);
                known.last_date_active = known.last_date_active.max(queue.last_date_active);
            }
            None => found.push(Provisioner {
                provisioner_id: queue.provisioner_id().to_owned(),
                expires: queue.expires,
                last_date_active: queue.last_date_active,
                description: queue.description,
                stability: queue.stability,
            }),
        }
    }
    found.sort_by(|a, b| a.provisioner_id.cmp(&b.provisioner_id));
    Ok(found)
}

pub(super) async fn list_provisioners(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    page(call, "provisioners", provisioners(ctx).await?, |known| known.provisioner_id.clone())
}

pub(super) async fn get_provisioner(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.param("provisionerId");
    let absent = || {
        ApiError::not_found(format!("Provisioner with provisionerId `{id}` not found. Are you sure it was created?"))
    };
    let known = provisioners(ctx).await?.into_iter().find(|known| known.provisioner_id == id);
    Reply::json(&known.ok_or_else(absent)?)
}

/// How many tasks of a queue are in a state.
fn count(tx: &Transaction<'_>, queue: &str, state: &str) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM tasks WHERE task_queue_id = ? AND state = {state}");
    let found: i64 = tx.prepare_cached(&sql)?.query_row([queue], |row| row.get(0))?;
    Ok(found.unsigned_abs())
}

/// In SQL, so that the index for just that state is used.
const PENDING: &str = "1";
/// In SQL, so that the index for just that state is used.
const RUNNING: &str = "2";

fn pending_of(tx: &Transaction<'_>, task_queue_id: String) -> Result<PendingTasks, StoreError> {
    let pending_tasks = count(tx, &task_queue_id, PENDING)?;
    let (provisioner_id, worker_type) = split_queue_id(&task_queue_id);
    let (provisioner_id, worker_type) = (provisioner_id.to_owned(), worker_type.to_owned());
    Ok(PendingTasks { provisioner_id, worker_type, task_queue_id, pending_tasks })
}

pub(super) async fn pending_tasks(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.param("taskQueueId").to_owned();
    Reply::json(&ctx.store.read(move |tx| pending_of(tx, id)).await?)
}

pub(super) async fn task_queue_counts(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.param("taskQueueId").to_owned();
    call.authorize(ScopeExpression::all_of([
        format!("queue:pending-count:{id}"),
        format!("queue:claimed-count:{id}"),
    ]))?;
    let counts = ctx.store.read(move |tx| {
        let claimed_tasks = count(tx, &id, RUNNING)?;
        Ok::<_, StoreError>(TaskQueueCounts { pending: pending_of(tx, id)?, claimed_tasks })
    });
    Reply::json(&counts.await?)
}

/// A pending task in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    task_id: TaskId,
    run_id: u16,
    task: Box<RawValue>,
    inserted: Millis,
}

/// A running task in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    task_id: TaskId,
    run_id: u16,
    worker_group: String,
    worker_id: String,
    claimed: Millis,
    task: Box<RawValue>,
}

pub(super) async fn list_pending_tasks(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    let tasks = in_state(ctx, call, &page, PENDING).await?;
    let entries = tasks.into_iter().filter_map(|(task, body)| {
        let run = task.life.runs.last()?;
        Some(Pending { task_id: task.task_id, run_id: run.run_id, task: body, inserted: run.scheduled })
    });
    let (tasks, token) = page.cut(entries.collect(), |entry| key(entry.inserted, entry.task_id));
    listed("tasks", &tasks, token)
}

pub(super) async fn list_claimed_tasks(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    let tasks = in_state(ctx, call, &page, RUNNING).await?;
    let entries = tasks.into_iter().filter_map(|(task, body)| {
        let run = task.life.runs.last()?;
        Some(Running {
            task_id: task.task_id,
            run_id: run.run_id,
            worker_group: run.worker_group.clone()?,
            worker_id: run.worker_id.clone()?,
            claimed: run.started?,
            task: body,
        })
    });
    let (tasks, token) = page.cut(entries.collect(), |entry| key(entry.claimed, entry.task_id));
    listed("tasks", &tasks, token)
}

/// Where a task stands in [`in_state`]: when it entered its state, in milliseconds, then its id.
fn key(since: Millis, task_id: TaskId) -> String {
    format!("{}/{task_id}", since.epoch())
}

/// A queue's tasks in a state, those that entered it first first: one more than the page takes.
async fn in_state(
    ctx: &Arc<Ctx>,
    call: &Call,
    page: &Page,
    state: &'static str,
) -> Result<Vec<(Task, Box<RawValue>)>, ApiError> {
    let id = call.param("taskQueueId").to_owned();
    let after = page.after.as_deref().map_or(Some((0, "")), |after| {
        let (since, task_id) = after.split_once('/')?;
        Some((since.parse().ok()?, task_id))
    });
    let (since, task_id): (i64, _) = after.ok_or_else(|| ApiError::input("Invalid continuation token"))?;
    let (task_id, most) = (task_id.to_owned(), i64::try_from(page.limit + 1).unwrap_or(i64::MAX));
    let found = ctx.store.read(move |tx| {
        let mut statement = tx.prepare_cached(&format!(
            "{TASKS_DEFINED} WHERE t.task_queue_id = ?1 AND t.state = {state} AND (t.since, t.task_id) > (?2, ?3) \
             ORDER BY t.since, t.task_id LIMIT ?4"
        ))?;
        let rows = statement.query_map(params![id, since, task_id, most], |row| Ok((Task::of(row)?, raw(row, 13)?)))?;
        Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
    });
    Ok(found.await?)
}
