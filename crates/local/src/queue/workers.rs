//! Which workers and task queues were seen lately. What nobody claims from for a while is forgotten.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;

use super::task::{Task, moment, parsed, split_queue_id};
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use taskgraft_store::StoreError;

/// How long a worker is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// How many of its last tasks are remembered.
const RECENT: usize = 20;

/// How far in the past the quarantine of a worker lies that never was in one.
const NEVER: SignedDuration = SignedDuration::from_hours(-24 * 3652);

/// Who asks for work.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) task_queue_id: String,
    pub(super) worker_group: String,
    pub(super) worker_id: String,
}

impl Worker {
    /// The worker that has claimed a run; empty names for a run that nobody has.
    pub(super) fn of(task: &Task, run: u16) -> Self {
        let run = task.run(run);
        let name = |part: Option<&String>| part.cloned().unwrap_or_default();
        Self {
            task_queue_id: task.task_queue_id.clone(),
            worker_group: name(run.and_then(|run| run.worker_group.as_ref())),
            worker_id: name(run.and_then(|run| run.worker_id.as_ref())),
        }
    }

    fn key(&self) -> [&str; 3] {
        [&self.task_queue_id, &self.worker_group, &self.worker_id]
    }
}

/// One of a worker's last tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recent {
    task_id: TaskId,
    run_id: u16,
}

/// Notes that a worker was heard of.
pub(super) fn seen(tx: &Transaction<'_>, worker: &Worker, now: Timestamp) -> Result<(), StoreError> {
    let later = |by: SignedDuration| now.saturating_add(by).unwrap_or(now).as_millisecond();
    let (at, expires) = (now.as_millisecond(), later(REMEMBERED));
    queue_seen(tx, &worker.task_queue_id, at, expires)?;
    let [queue, group, id] = worker.key();
    tx.prepare_cached(
        "INSERT INTO workers (task_queue_id, worker_group, worker_id, first_claim, last_active, expires, recent, \
         quarantine_until) VALUES (?1, ?2, ?3, ?4, ?4, ?5, '[]', ?6) \
         ON CONFLICT DO UPDATE SET last_active = ?4, expires = max(expires, ?5)",
    )?
    .execute(params![queue, group, id, at, expires, later(NEVER)])?;
    Ok(())
}

fn queue_seen(tx: &Transaction<'_>, queue: &str, at: i64, expires: i64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO task_queues (task_queue_id, expires, last_active) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET last_active = ?3, expires = max(expires, ?2)",
    )?
    .execute(params![queue, expires, at])?;
    Ok(())
}

/// Notes that a worker, seen before, has claimed a run.
pub(super) fn claimed(tx: &Transaction<'_>, worker: &Worker, task_id: TaskId, run_id: u16) -> Result<(), StoreError> {
    let [queue, group, id] = worker.key();
    let recent: Option<String> = tx
        .prepare_cached("SELECT recent FROM workers WHERE task_queue_id = ?1 AND worker_group = ?2 AND worker_id = ?3")?
        .query_row([queue, group, id], |row| row.get(0))
        .optional()?;
    let mut recent: Vec<Recent> = parsed(0, serde_json::from_str(recent.as_deref().unwrap_or("[]")))?;
    recent.push(Recent { task_id, run_id });
    let kept = &recent[recent.len().saturating_sub(RECENT)..];
    tx.prepare_cached(
        "UPDATE workers SET recent = ?4 WHERE task_queue_id = ?1 AND worker_group = ?2 AND worker_id = ?3",
    )?
    .execute([queue, group, id, &parsed(0, serde_json::to_string(kept))?])?;
    Ok(())
}

/// Whether a worker shall get nothing to do for now.
pub(super) fn is_quarantined(tx: &Transaction<'_>, worker: &Worker, now: Timestamp) -> Result<bool, StoreError> {
    let [queue, group, id] = worker.key();
    let until: Option<i64> = tx
        .prepare_cached(
            "SELECT quarantine_until FROM workers WHERE task_queue_id = ?1 AND worker_group = ?2 AND worker_id = ?3",
        )?
        .query_row([queue, group, id], |row| row.get(0))
        .optional()?;
    Ok(until.is_some_and(|until| until > now.as_millisecond()))
}

/// Forgets what was not seen for long.
pub(super) fn forget(tx: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    let now = now.as_millisecond();
    tx.prepare_cached("DELETE FROM workers WHERE expires < ?1 AND quarantine_until < ?1")?.execute([now])?;
    tx.prepare_cached("DELETE FROM task_queues WHERE expires < ?1")?.execute([now])?;
    Ok(())
}

/// A worker as the tables keep it.
struct Known {
    worker: Worker,
    first_claim: Timestamp,
    last_active: Timestamp,
    expires: Timestamp,
    recent: Vec<Recent>,
    quarantine_until: Timestamp,
}

const WORKERS: &str = "SELECT task_queue_id, worker_group, worker_id, first_claim, last_active, expires, recent, \
                       quarantine_until FROM workers ";

impl Known {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let worker = Worker { task_queue_id: row.get(0)?, worker_group: row.get(1)?, worker_id: row.get(2)? };
        Ok(Self {
            worker,
            first_claim: moment(row, 3)?,
            last_active: moment(row, 4)?,
            expires: moment(row, 5)?,
            recent: parsed(6, serde_json::from_str(row.get_ref(6)?.as_str()?))?,
            quarantine_until: moment(row, 7)?,
        })
    }

    fn find(tx: &Transaction<'_>, worker: &Worker) -> Result<Option<Self>, StoreError> {
        let mut statement =
            tx.prepare_cached(&format!("{WORKERS} WHERE task_queue_id = ?1 AND worker_group = ?2 AND worker_id = ?3"))?;
        Ok(statement.query_row(worker.key(), Self::of).optional()?)
    }

    /// In quarantine a worker stays visible though it was not seen for long.
    fn is_visible(&self, now: Timestamp) -> bool {
        self.expires >= now || self.quarantine_until >= now
    }
}

/// `worker-response.json`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerResponse {
    task_queue_id: String,
    provisioner_id: String,
    worker_type: String,
    worker_group: String,
    worker_id: String,
    quarantine_until: Millis,
    expires: Millis,
    first_claim: Millis,
    last_date_active: Millis,
    recent_tasks: Vec<Recent>,
}

impl From<Known> for WorkerResponse {
    fn from(known: Known) -> Self {
        let (provisioner, worker_type) = split_queue_id(&known.worker.task_queue_id);
        Self {
            provisioner_id: provisioner.to_owned(),
            worker_type: worker_type.to_owned(),
            quarantine_until: known.quarantine_until.into(),
            expires: known.expires.into(),
            first_claim: known.first_claim.into(),
            last_date_active: known.last_active.into(),
            recent_tasks: known.recent,
            task_queue_id: known.worker.task_queue_id,
            worker_group: known.worker.worker_group,
            worker_id: known.worker.worker_id,
        }
    }
}

/// One of `list-workers-response.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerEntry {
    worker_group: String,
    worker_id: String,
    first_claim: Millis,
    last_date_active: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_task: Option<Recent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_until: Option<Millis>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Workers {
    workers: Vec<WorkerEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

pub(super) async fn list_workers(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, super::lists::PAGE)?;
    let wanted = call.query("quarantined").map(|text| text == "true");
    let queue = queue_of(call);
    let now = ctx.now();
    let found = ctx.store.read(move |tx| {
        let mut statement =
            tx.prepare_cached(&format!("{WORKERS} WHERE task_queue_id = ?1 ORDER BY worker_group, worker_id"))?;
        let known = statement.query_map([queue], Known::of)?.collect::<Result<Vec<_>, _>>()?;
        Ok::<_, StoreError>(known)
    });
    let key = |known: &Known| format!("{}/{}", known.worker.worker_group, known.worker.worker_id);
    let mut known = found.await?;
    known.retain(|known| {
        let fits = wanted.is_none_or(|wanted| wanted == (known.quarantine_until >= now));
        fits && known.is_visible(now) && page.after.as_ref().is_none_or(|after| key(known) > *after)
    });
    let (known, continuation_token) = page.cut(known, key);
    let workers = known.into_iter().map(|mut known| WorkerEntry {
        latest_task: known.recent.pop(),
        quarantine_until: (known.quarantine_until > now).then(|| known.quarantine_until.into()),
        first_claim: known.first_claim.into(),
        last_date_active: known.last_active.into(),
        worker_group: known.worker.worker_group,
        worker_id: known.worker.worker_id,
    });
    Reply::json(&Workers { workers: workers.collect(), continuation_token })
}

pub(super) async fn get_worker(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let worker = worker_of(call);
    let now = ctx.now();
    let absent = absent(&worker, "Are you sure it was created?");
    let found = ctx.store.read(move |tx| Known::find(tx, &worker)).await?;
    let known = found.filter(|known| known.is_visible(now)).ok_or(absent)?;
    Reply::json(&WorkerResponse::from(known))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quarantine {
    quarantine_until: Millis,
}

pub(super) async fn quarantine_worker(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let worker = worker_of(call);
    let until = call.input::<Quarantine>()?.quarantine_until;
    let absent = absent(&worker, "They may have expired.");
    let changed = ctx.store.write(move |tx| {
        let [queue, group, id] = worker.key();
        tx.prepare_cached(
            "UPDATE workers SET quarantine_until = ?4 WHERE task_queue_id = ?1 AND worker_group = ?2 AND worker_id = ?3",
        )?
        .execute(params![queue, group, id, until.epoch()])?;
        Known::find(tx, &worker)
    });
    Reply::json(&WorkerResponse::from(changed.await?.ok_or(absent)?))
}

/// The task queue that the URL names in halves.
pub(super) fn queue_of(call: &Call) -> String {
    format!("{}/{}", call.param("provisionerId"), call.param("workerType"))
}

fn worker_of(call: &Call) -> Worker {
    Worker {
        task_queue_id: queue_of(call),
        worker_group: call.param("workerGroup").to_owned(),
        worker_id: call.param("workerId").to_owned(),
    }
}

fn absent(worker: &Worker, hint: &str) -> ApiError {
    let (provisioner, worker_type) = split_queue_id(&worker.task_queue_id);
    ApiError::not_found(format!(
        "Worker with workerId `{}`, workerGroup `{}`,worker-type `{worker_type}` and provisionerId `{provisioner}` not \
         found. {hint}",
        worker.worker_id, worker.worker_group
    ))
}
