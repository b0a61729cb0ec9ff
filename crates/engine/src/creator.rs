//! Carries a plan out: the frontier says what to call, this calls it.

use std::future::{self, Future};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::frontier::{Answer, Call, Frontier, Halt, Place, Step};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::StatusFact;
use tokio::sync::watch;

use crate::lookup;
use crate::own_run::{OwnRun, impatient};

/// The most calls in flight, as the reference's.
const CONCURRENCY: usize = 50;

/// Something that happened on the way, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A call was answered for a task of the plan.
    Task {
        /// Its place in the plan.
        at: usize,
        /// Its present id.
        task_id: TaskId,
        /// Whether the queue took it with this call.
        created: bool,
    },
    /// Nothing more will be created.
    Halted(Halt),
}

/// Drives `frontier` to its end and gives it back: it knows what became of everything.
///
/// Where the process works for a run of an action task, that run is checked before the first call and every second
/// then; no call begins while such a check is on its way. `stop` ends it early when it resolves; what is on its way is
/// awaited.
///
/// # Errors
/// If checks of the run get no answer: nothing was created if it was the first, and else what was begun is to be resumed.
pub async fn create(
    client: &Client,
    mut frontier: Frontier,
    own: Option<OwnRun>,
    stop: impl Future<Output = ()>,
    mut watch: impl FnMut(Progress),
) -> Result<Frontier, Error> {
    let looking = impatient(client);
    let (ask, mut asking) = watch::channel(false);
    let ended = async {
        match own {
            Some(own) => own.ended(&looking, |unknown| _ = ask.send_replace(unknown)).await,
            None => future::pending().await,
        }
    };
    // A halt lets what is on its way end, and must not have it sent once more.
    let halted = Arc::new(AtomicBool::new(false));
    let config = client.config();
    let creating = client.with_patience(config.retry, config.timeout, Arc::clone(&halted));
    let halt = |frontier: &mut Frontier, why, watch: &mut dyn FnMut(Progress)| {
        halted.store(true, Ordering::SeqCst);
        watch(Progress::Halted(why));
        frontier.halt(why);
    };
    if let Some(own) = own
        && let Some(why) = own.check(client).await?
    {
        halt(&mut frontier, why, &mut watch);
    }
    let (mut ended, mut stop) = (pin!(ended.fuse()), pin!(stop.fuse()));
    let mut calls = FuturesUnordered::new();
    loop {
        // A run that may have ended begins nothing; one that has ended only tidies up.
        let waits = *asking.borrow_and_update() && !halted.load(Ordering::SeqCst);
        let room = if waits { 0 } else { CONCURRENCY.saturating_sub(calls.len()) };
        for step in frontier.next(client.clock().now(), room) {
            calls.push(make(client, &creating, step));
        }
        if calls.is_empty() && (!waits || frontier.is_done()) {
            return Ok(frontier);
        }
        futures_util::select! {
            answered = calls.next() => if let Some((place, answer)) = answered {
                took(&mut frontier, client, place, &answer, &mut watch);
            },
            why = ended => halt(&mut frontier, why?, &mut watch),
            // The sender lives as long as this.
            _ = asking.changed().fuse() => {}
            () = stop => halt(&mut frontier, Halt::Interrupted, &mut watch),
        }
    }
}

fn took(frontier: &mut Frontier, client: &Client, place: Place, answer: &Answer, watch: &mut impl FnMut(Progress)) {
    if let Err(error) = frontier.answer(place, answer, client.clock().now()) {
        // A call is answered once, for the place that asked: this is a defect here, and harmless.
        tracing::warn!(%error, "an answer out of turn");
    }
    if let Place::Task(at) = place
        && let Some(task_id) = frontier.task_id(at)
    {
        watch(Progress::Task { at, task_id, created: matches!(answer, Answer::Status { .. }) });
    }
}

/// Makes the call of a step; `creating` is for those that a halt shall not see repeated.
async fn make(client: &Client, creating: &Client, step: Step) -> (Place, Answer) {
    let queue = client.queue();
    let status = |status: taskgraft_core::api::queue::TaskStatus| Answer::Status { state: status.state };
    let answer = match step.call {
        Call::Create { .. } if creating.config().no_more_tries.load(Ordering::SeqCst) => {
            Ok(Answer::Transient { message: "stopped before it was sent".into() })
        }
        Call::Create { task_id, definition } | Call::PutBack { task_id, definition } => {
            // Written once: each try inside the client sends these bytes.
            let bytes = definition.to_string().into();
            creating.queue().create_task(task_id, bytes).await.map(status)
        }
        Call::ReadTask { task_id } => read_task(client, task_id).await,
        Call::ReadGroup { group } => queue
            .get_task_group(group)
            .await
            .map(|group| Answer::Group { scheduler_id: group.scheduler_id, sealed: group.sealed }),
        Call::ReadStatuses { task_ids } => {
            let found = lookup::statuses(client, &task_ids).await;
            found.map(|found| Answer::Statuses { found: found.into_iter().collect() })
        }
        Call::Schedule { task_id } => queue.schedule_task(task_id).await.map(status),
        Call::Rerun { task_id } => queue.rerun_task(task_id).await.map(status),
        Call::Cancel { task_id } => queue.cancel_task(task_id).await.map(status),
    };
    (step.place, answer.unwrap_or_else(failed))
}

async fn read_task(client: &Client, task_id: TaskId) -> Result<Answer, Error> {
    let queue = client.queue();
    let (definition, status) = futures_util::try_join!(queue.task_as::<Value>(task_id), queue.status(task_id))?;
    Ok(Answer::Task { definition, status: StatusFact::from(&status) })
}

/// What an error means to the frontier.
fn failed(error: Error) -> Answer {
    match error {
        error if error.is_not_found() => Answer::Absent,
        Error::Transient { .. } => Answer::Transient { message: error.to_string() },
        Error::Conflict { message, .. } => Answer::Conflict { message },
        Error::Rejected { status, code, message, .. } => Answer::Rejected { status, code, message },
        // Nothing can be told from these about what the queue did, and trying again changes nothing now.
        Error::ClockSkew { .. } => {
            Answer::Rejected { status: 401, code: "AuthenticationFailed".into(), message: error.to_string() }
        }
        Error::Unreadable { .. } => Answer::Transient { message: error.to_string() },
        Error::Unsendable { .. } => {
            Answer::Rejected { status: 400, code: "Unsendable".into(), message: error.to_string() }
        }
    }
}
