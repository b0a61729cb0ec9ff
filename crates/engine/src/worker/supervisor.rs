//! The worker's life: what is left from an earlier one, claiming, stopping.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use taskgraft_client::run::{LogServer, Resolution, RunOf, Session, runs_in};
use taskgraft_client::{Client, Error, Retry};
use taskgraft_core::api::queue::{ClaimTaskRequest, Claimed};
use taskgraft_core::scopes::satisfies;
use taskgraft_core::state::ExceptionReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use super::claim::{self, Poll};
use super::config::{Config, LiveLog};
use super::prefetch;
use super::run::{self, Shop};

/// How long actions that are told to stop may take for that and for their logs, and how long a poll that is on its way is
/// awaited at least: a real queue answers after 20 s. Given up, it could claim what is handed back here.
const HANDING_BACK: Duration = Duration::from_secs(25);

/// Why a worker did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Two workers in one directory would remove each other's runs.
    #[error("start a worker: another one uses {}", .0.display())]
    InUse(PathBuf),
    /// Its directory can't be used.
    #[error("start a worker in {}: {error}", .path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The live logs' address can't be had.
    #[error("start a worker: listen for readers of live logs: {0}")]
    Listen(#[source] io::Error),
    /// Taskcluster refuses these credentials, or these names: it would never get work.
    #[error("claim from {queue}: failed to {error}")]
    Refused {
        /// The task queue.
        queue: String,
        /// What was said.
        error: Error,
    },
    /// The credentials don't suffice: it would never get work.
    #[error("claim from {queue}: scopes are missing: {}", .missing.join(", "))]
    Forbidden {
        /// The task queue.
        queue: String,
        /// Which scopes.
        missing: Vec<String>,
    },
}

/// Works until `stop` resolves: then it claims no more, lets actions that run end for `config.grace`, and hands the rest
/// back. Dropping it ends it at once; claims expire then, and the queue tries again.
///
/// `client` has the worker's own credentials, with `queue:claim-work:<task queue>`, `queue:worker-id:<group>/<id>` and, to
/// take up what it had when it was killed, `queue:claim-task:<task queue>`.
///
/// # Errors
/// If its directory or address can't be had, or the queue refuses it from the start.
pub async fn run(config: Config, client: Client, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
    let (lock, mut left) = prepare(&config.work_dir)?;
    check_scopes(&config, &client).await?;
    let logs = match &config.live_log {
        LiveLog::Served { address, url } => {
            Some(LogServer::start(*address, url.as_deref()).await.map_err(WorkerError::Listen)?)
        }
        LiveLog::Uploaded => None,
    };
    let (hand_back, handing_back) = watch::channel(false);
    let room = Arc::new(Semaphore::new(config.capacity.max(1)));
    let shop = Arc::new(Shop { config, client, logs, hand_back: handing_back });
    let mut runs = JoinSet::new();
    let mut prefetching = JoinSet::new();
    if !shop.config.prefetch.is_empty() {
        let shop = Arc::clone(&shop);
        prefetching.spawn(async move { prefetch::watch(&shop.config, &shop.client).await });
    }
    let mut stop = pin!(stop);
    let stopped = tokio::select! {
        () = take_up(&shop, &room, &mut runs, &mut left) => false,
        () = &mut stop => true,
    };
    let worked = if stopped { Ok(None) } else { work(&shop, &room, &mut runs, stop).await };
    shop.config.metrics.stopping();
    prefetching.shutdown().await;
    let (poll, result) = match worked {
        Ok(poll) => (poll, Ok(())),
        // What was taken up goes to its end all the same.
        Err(error) => (None, Err(error)),
    };
    tracing::info!(running = runs.len(), "stopping");
    let last = async {
        if let Some(poll) = poll
            && let Ok((Ok(claims), _)) = tokio::time::timeout(shop.config.grace.max(HANDING_BACK), poll).await
        {
            hand_back_unbegun(&shop.client, claims).await;
        }
    };
    let ended = async {
        let _ = tokio::time::timeout(shop.config.grace, all_end(&mut runs)).await;
        // The shop has a receiver.
        let _ = hand_back.send(true);
        let _ = tokio::time::timeout(HANDING_BACK, all_end(&mut runs)).await;
    };
    let given_up = async {
        // The queue may not answer: then their claims expire.
        let _ = tokio::time::timeout(HANDING_BACK, hand_back_left(&shop, left)).await;
    };
    futures_util::join!(last, given_up, ended);
    drop(lock);
    result
}

/// Refuses credentials that would never get work. If nobody answers, claiming will tell.
async fn check_scopes(config: &Config, client: &Client) -> Result<(), WorkerError> {
    let queue = config.task_queue_id.clone();
    let held = match client.auth().current_scopes().await {
        Ok(held) => held,
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "could not look at this worker's scopes");
            return Ok(());
        }
        Err(error) => return Err(WorkerError::Refused { queue, error }),
    };
    let worker = format!("queue:worker-id:{}/{}", config.worker_group, config.worker_id);
    let needed = [format!("queue:claim-work:{queue}"), worker];
    let missing: Vec<String> = needed.into_iter().filter(|scope| !satisfies(&held, scope)).collect();
    if !missing.is_empty() {
        return Err(WorkerError::Forbidden { queue, missing });
    }
    config.metrics.claimed(0);
    Ok(())
}

/// Claims and starts runs until `stop` resolves; gives back the long poll that is on its way then.
async fn work(
    shop: &Arc<Shop>,
    room: &Arc<Semaphore>,
    runs: &mut JoinSet<()>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<Poll>, WorkerError> {
    let (config, metrics) = (&shop.config, &shop.config.metrics);
    // Trouble is to be seen soon: the next call is near anyway.
    let patience = Retry { tries: 3, within: Duration::from_secs(10), ..Retry::default() };
    let client = shop.client.with_patience(patience, shop.client.config().timeout, Arc::default());
    let mut answered = false;
    loop {
        let poll = tokio::select! {
            poll = claim::poll(config, &client, room) => poll,
            () = &mut stop => return Ok(None),
        };
        let Some(mut poll) = poll else { return Ok(None) };
        let (claimed, permits) = loop {
            tokio::select! {
                done = &mut poll => break done,
                Some(ended) = runs.join_next() => note(ended),
                () = &mut stop => return Ok(Some(poll)),
            }
        };
        let pause = match claimed {
            Ok(claims) => {
                answered = true;
                metrics.claimed(claims.len());
                begin(shop, runs, claims, permits);
                continue;
            }
            Err(error) if !answered && !error.is_transient() => {
                return Err(WorkerError::Refused { queue: config.task_queue_id.clone(), error });
            }
            Err(error) => {
                tracing::warn!(queue = config.task_queue_id, %error, "could not claim work");
                let pause = claim::pause_after(&error);
                metrics.claim_failed(error.to_string());
                pause
            }
        };
        drop(permits);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut stop => return Ok(None),
        }
    }
}

fn begin(shop: &Arc<Shop>, runs: &mut JoinSet<()>, claims: Vec<Claimed>, mut permits: OwnedSemaphorePermit) {
    for claimed in claims {
        let (shop, permit) = (Arc::clone(shop), permits.split(1));
        runs.spawn(async move {
            run::run(&shop, claimed).await;
            drop(permit);
        });
    }
}

/// Takes up the runs that this worker had when it was killed, as far as there is room and they are still its own. It had
/// room for all of them unless that was made smaller meanwhile. Stopped before it is done, those that still wait are left.
async fn take_up(shop: &Arc<Shop>, room: &Arc<Semaphore>, runs: &mut JoinSet<()>, left: &mut VecDeque<RunOf>) {
    while let Some(run) = left.front() {
        // First, since nobody renews a claim that waits.
        let Ok(permits) = Arc::clone(room).acquire_owned().await else { return };
        if let Some(claimed) = claim_again(shop, *run).await {
            tracing::info!(task = %run.0, run = run.1, "taking up what an earlier worker had");
            begin(shop, runs, vec![claimed], permits);
        }
        left.pop_front();
    }
}

/// Hands back the runs that there was no time to take up.
async fn hand_back_left(shop: &Shop, left: VecDeque<RunOf>) {
    let back = left.into_iter().map(async |run| {
        let claimed = claim_again(shop, run).await;
        hand_back_unbegun(&shop.client, claimed.into_iter().collect()).await;
    });
    join_all(back).await;
}

/// Claims a run that this worker had, if it is still its own.
async fn claim_again(shop: &Shop, (task, run): RunOf) -> Option<Claimed> {
    let Config { worker_group, worker_id, .. } = shop.config.clone();
    let who = ClaimTaskRequest { worker_group, worker_id };
    match shop.client.queue().claim_task(task, run, &who).await {
        Ok(claimed) => return Some(claimed),
        // Resolved meanwhile, claimed by somebody else, or forgotten.
        Err(Error::Conflict { .. }) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => tracing::warn!(%task, run, %error, "could not claim again what an earlier worker had"),
    }
    None
}

/// Takes the directory for this worker alone, and tells which runs the last one left.
fn prepare(work_dir: &Path) -> Result<(File, VecDeque<RunOf>), WorkerError> {
    let unusable = |error| WorkerError::Directory { path: work_dir.to_owned(), error };
    std::fs::create_dir_all(work_dir).map_err(unusable)?;
    let lock = File::create(work_dir.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(WorkerError::InUse(work_dir.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error)),
    }
    let runs_dir = run::runs_dir(work_dir);
    let left = runs_in(&runs_dir).into();
    match std::fs::remove_dir_all(&runs_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        Ok(()) | Err(_) => {}
    }
    Ok((lock, left))
}

/// What was claimed when there was no time left to begin it.
async fn hand_back_unbegun(client: &Client, claims: Vec<Claimed>) {
    for claimed in claims {
        let session = Session::new(client, &claimed);
        let why = "the worker shuts down".to_owned();
        run::report(&session, &Resolution::Exception(ExceptionReason::WorkerShutdown, why)).await;
    }
}

async fn all_end(runs: &mut JoinSet<()>) {
    while let Some(ended) = runs.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a run ended badly; its claim will expire");
    }
}
