//! Workers take tasks and keep them: `claimWork`, `claimTask`, `reclaimTask`.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;
use serde_json::value::RawValue;
use taskgraft_core::api::queue::{ClaimTaskRequest, ClaimWorkRequest, Reclaimed, TaskCredentials, TaskStatus};
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::state::{Event, Refusal};
use taskgraft_core::time::{Millis, format_ms};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::change::{ChangeError, Changes, change};
use super::report::{no_such_run, not_running};
use super::task::{TASKS, Task};
use super::workers::{self, Worker};
use super::{credentials, run_id, task_id};
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};
use taskgraft_store::StoreError;

/// A run that is now a worker's, and what its credentials may do besides.
struct Taken {
    task: Task,
    run: u16,
    body: Box<RawValue>,
    scopes: Vec<String>,
    until: Timestamp,
}

/// A claim as the queue answers it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    status: TaskStatus,
    run_id: u16,
    worker_group: String,
    worker_id: String,
    /// With `+00:00` where everything else says `Z`, as a real queue does.
    taken_until: String,
    task: Box<RawValue>,
    credentials: TaskCredentials,
}

#[derive(Serialize)]
struct Claims {
    tasks: Vec<Claim>,
}

pub(super) async fn claim_work(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let ClaimWorkRequest { worker_group, worker_id, tasks } = call.input()?;
    let task_queue_id = call.param("taskQueueId").to_owned();
    call.authorize(ScopeExpression::all_of([
        format!("queue:claim-work:{task_queue_id}"),
        format!("queue:worker-id:{worker_group}/{worker_id}"),
    ]))?;
    let worker = Worker { task_queue_id, worker_group, worker_id };
    let end = Instant::now() + ctx.queue.settings.long_poll;
    let mut listener = ctx.queue.bus.listen();
    loop {
        let until = claimed_until(ctx);
        let asking = worker.clone();
        match change(ctx, move |changes| changes.take_work(&asking, tasks, until)).await? {
            Work::Quarantined => {
                // Waits as if there were nothing, so that the worker does not ask at once again.
                tokio::select! { () = sleep_until(end) => {}, () = ctx.stopped() => {} }
                return Reply::json(&Claims { tasks: Vec::new() });
            }
            Work::Taken(taken) if !taken.is_empty() => {
                let tasks = taken.into_iter().map(|taken| answer(ctx, &worker, taken)).collect::<Result<_, _>>()?;
                return Reply::json(&Claims { tasks });
            }
            Work::Taken(_) => {
                let more = tokio::select! {
                    more = timeout_at(end, listener.pending(&worker.task_queue_id)) => more.unwrap_or(false),
                    () = ctx.stopped() => false,
                };
                if !more {
                    return Reply::json(&Claims { tasks: Vec::new() });
                }
            }
        }
    }
}

pub(super) async fn claim_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    let ClaimTaskRequest { worker_group, worker_id } = call.input()?;
    let absent = move || ApiError::not_found(format!("Task `{task_id}` not found. Are you sure it was created?"));
    let task = ctx.store.read(move |tx| Task::find(tx, task_id)).await?.ok_or_else(absent)?;
    call.authorize(ScopeExpression::all_of([
        format!("queue:claim-task:{}", task.task_queue_id),
        format!("queue:worker-id:{worker_group}/{worker_id}"),
    ]))?;
    let worker = Worker { task_queue_id: task.task_queue_id, worker_group, worker_id };
    let (asking, until) = (worker.clone(), claimed_until(ctx));
    let taken = change(ctx, move |changes| {
        let task = changes.task(task_id)?;
        if workers::is_quarantined(changes.tx, &asking, changes.now)? {
            return Err(ApiError::conflict("The worker is quarantined and gets no tasks."));
        }
        workers::seen(changes.tx, &asking, changes.now)?;
        let deadline = format_ms(task.life.deadline);
        changes.take(&asking, task, run, until).map_err(|error| {
            error.or(|refusal| match refusal {
                Refusal::NoSuchRun => no_such_run(task_id, run),
                Refusal::DeadlinePassed => {
                    ApiError::conflict(format!("Task `{task_id}` can't be claimed past its deadline of {deadline}."))
                }
                Refusal::TooEarly | Refusal::NotClaimable | Refusal::NotRunning | Refusal::TooManyRuns => {
                    ApiError::conflict(format!("Run {run} was already claimed by another worker."))
                }
            })
        })
    });
    Reply::json(&answer(ctx, &worker, taken.await?)?)
}

pub(super) async fn reclaim_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    let until = claimed_until(ctx);
    let kept = change(ctx, move |changes| {
        let mut task = changes.task(task_id)?;
        let deadline = format_ms(task.life.deadline);
        let definition = task.definition(changes.tx)?;
        if task.run(run).is_none() {
            return Err(no_such_run(task_id, run));
        }
        changes.apply(&mut task, &Event::Reclaim { run, until }).map_err(|error| {
            error.or(|refusal| match refusal {
                Refusal::DeadlinePassed => {
                    ApiError::conflict(format!("Task `{task_id}` can't be reclaimed past its deadline of {deadline}."))
                }
                Refusal::NoSuchRun
                | Refusal::TooEarly
                | Refusal::NotClaimable
                | Refusal::NotRunning
                | Refusal::TooManyRuns => not_running(task_id, run),
            })
        })?;
        let worker = Worker::of(&task, run);
        workers::seen(changes.tx, &worker, changes.now)?;
        Ok((task, definition.scopes, worker))
    });
    let (task, scopes, worker) = kept.await?;
    Reply::json(&Reclaimed {
        credentials: credentials::of_run(ctx, &task, run, &worker, until, scopes)?,
        status: task.status(),
        run_id: run,
        worker_group: worker.worker_group,
        worker_id: worker.worker_id,
        taken_until: Millis::from(until),
    })
}

fn claimed_until(ctx: &Ctx) -> Timestamp {
    let now = ctx.now();
    now.saturating_add(ctx.queue.settings.claim_lasts).unwrap_or(now)
}

fn answer(ctx: &Ctx, worker: &Worker, taken: Taken) -> Result<Claim, ApiError> {
    let Taken { task, run, body, scopes, until } = taken;
    Ok(Claim {
        credentials: credentials::of_run(ctx, &task, run, worker, until, scopes)?,
        status: task.status(),
        run_id: run,
        worker_group: worker.worker_group.clone(),
        worker_id: worker.worker_id.clone(),
        taken_until: format_ms(until).replace('Z', "+00:00"),
        task: body,
    })
}

/// What `claimWork` found.
enum Work {
    Taken(Vec<Taken>),
    Quarantined,
}

impl Changes<'_> {
    /// Takes up to `count` pending tasks, the most urgent first, of those the one that has waited longest.
    fn take_work(&mut self, worker: &Worker, count: u8, until: Timestamp) -> Result<Work, ApiError> {
        if workers::is_quarantined(self.tx, worker, self.now)? {
            workers::seen(self.tx, worker, self.now)?;
            return Ok(Work::Quarantined);
        }
        workers::seen(self.tx, worker, self.now)?;
        let mut taken = Vec::new();
        for task in self.pending(&worker.task_queue_id, count)? {
            let run = task.life.runs.last().map_or(0, |run| run.run_id);
            match self.take(worker, task, run, until) {
                Ok(one) => taken.push(one),
                // Nobody else can have been first within a transaction; what is refused is left to the jobs.
                Err(ChangeError::Refused(_)) => {}
                Err(ChangeError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(Work::Taken(taken))
    }

    fn pending(&self, task_queue_id: &str, count: u8) -> Result<Vec<Task>, StoreError> {
        let mut statement = self.tx.prepare_cached(&format!(
            "{TASKS} WHERE t.task_queue_id = ?1 AND t.state = 1 AND t.deadline > ?2 \
             ORDER BY t.priority DESC, t.since, t.id LIMIT ?3"
        ))?;
        let found = statement.query_map(params![task_queue_id, self.now.as_millisecond(), count], Task::of)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Gives a run to a worker. The worker that has it already gets it again: its answer may have been lost.
    fn take(&mut self, worker: &Worker, mut task: Task, run: u16, until: Timestamp) -> Result<Taken, ChangeError> {
        let event =
            Event::Claim { run, worker_group: worker.worker_group.clone(), worker_id: worker.worker_id.clone(), until };
        if self.apply(&mut task, &event)? {
            workers::claimed(self.tx, worker, task.task_id, run)?;
        }
        let until = task.run(run).and_then(|run| run.taken_until).map_or(until, |kept| kept.0);
        let scopes = task.definition(self.tx)?.scopes;
        let body = task.body(self.tx)?;
        Ok(Taken { task, run, body, scopes, until })
    }
}
