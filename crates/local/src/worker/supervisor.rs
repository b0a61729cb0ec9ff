//! Starting and stopping a worker.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::run::{LogServer, RunOf};
use taskgraft_core::api::queue::ClaimTaskRequest;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::builtin::BuiltIn;
use super::cache::Caches;
use super::claim::{self, Claim};
use super::config::Config;
use super::docker;
use super::leftover;
use super::run::{self, Shop};
use super::{paths, strays};

/// How long tasks that are handed back may take for their logs.
const HANDING_BACK: Duration = Duration::from_secs(20);

/// The process worker.
#[derive(Debug, Clone, Copy)]
pub struct Worker;

/// A worker that runs. Dropping it kills its tasks; their claims expire, and the queue tries them again.
#[derive(Debug)]
pub struct Running {
    supervisor: JoinHandle<()>,
    stop: Option<oneshot::Sender<Duration>>,
}

/// A worker that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two workers in one directory would remove each other's tasks.
    #[error("start a worker: another one uses {}", .0.display())]
    InUse(PathBuf),
    /// Its directory can't be used.
    #[error("start a worker in {}: {source}", .path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The live logs' port can't be had.
    #[error("start a worker: listen for readers of live logs: {0}")]
    Listen(#[source] io::Error),
}

impl Worker {
    /// Starts claiming. What an earlier worker left in the directory, processes and containers too, is removed first, and
    /// the runs that it still had are handed back.
    ///
    /// # Errors
    /// If the directory can't be used, or another worker uses it.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let unusable = |source| StartError::Directory { path: config.work_dir.clone(), source };
        let Prepared { work_dir, lock, left } = prepare(&config.work_dir)?;
        docker::remove_left(&config.container_engines, &left).await;
        let tasks_dir = work_dir.join("tasks");
        std::fs::create_dir_all(&tasks_dir).map_err(unusable)?;
        let logs = LogServer::start((Ipv4Addr::LOCALHOST, 0).into(), None).await.map_err(StartError::Listen)?;
        let (hand_back, handing_back) = watch::channel(false);
        let shop = Shop {
            tasks_dir,
            caches: Caches::new(work_dir.join("caches")),
            logs,
            permits: Arc::new(Semaphore::new(config.capacity.max(1))),
            hand_back: handing_back,
            config,
        };
        let (stop, stopping) = oneshot::channel();
        let supervisor = tokio::spawn(async move {
            supervise(Arc::new(shop), left, stopping, &hand_back).await;
            drop(lock);
        });
        Ok(Running { supervisor, stop: Some(stop) })
    }
}

impl Running {
    /// Claims no more; waits up to `patience` for running tasks to end, then hands the rest back as
    /// `exception/worker-shutdown`, for the queue to try again.
    pub async fn shutdown(mut self, patience: Duration) {
        if let Some(stop) = self.stop.take() {
            // If it is not there to hear it, it has ended.
            let _ = stop.send(patience);
        }
        if let Err(error) = (&mut self.supervisor).await {
            tracing::error!(%error, "the worker did not end well");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// A directory that is this worker's.
struct Prepared {
    /// Canonical.
    work_dir: PathBuf,
    /// Held as long as this is.
    lock: File,
    /// The runs of the worker that had it before.
    left: Vec<RunOf>,
}

/// Takes the directory for this worker alone, and clears what the last one left.
fn prepare(work_dir: &Path) -> Result<Prepared, StartError> {
    let unusable = |source| StartError::Directory { path: work_dir.to_owned(), source };
    std::fs::create_dir_all(work_dir).map_err(unusable)?;
    let work_dir = work_dir.canonicalize().map_err(unusable)?;
    let lock = File::create(work_dir.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(StartError::InUse(work_dir)),
        Err(std::fs::TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let tasks_dir = work_dir.join("tasks");
    let left = taskgraft_client::run::runs_in(&tasks_dir);
    strays::kill_below(&tasks_dir);
    paths::remove_tree(&tasks_dir).map_err(unusable)?;
    Ok(Prepared { work_dir, lock, left })
}

async fn supervise(
    shop: Arc<Shop>,
    left: Vec<RunOf>,
    mut stopping: oneshot::Receiver<Duration>,
    hand_back: &watch::Sender<bool>,
) {
    let (sender, mut claims) = mpsc::channel::<Claim>(1);
    let mut claimers = JoinSet::new();
    for queue in &shop.config.task_queue_ids {
        claimers.spawn(claim::serve(Arc::clone(&shop), queue.clone(), sender.clone()));
    }
    for queue in BuiltIn::ALL {
        claimers.spawn(queue.serve(shop.config.client.clone()));
    }
    let mut runs = JoinSet::new();
    let Config { worker_group, worker_id, client, .. } = shop.config.clone();
    runs.spawn(leftover::hand_back(client, ClaimTaskRequest { worker_group, worker_id }, left));
    let start = |runs: &mut JoinSet<()>, Claim { claimed, started }| {
        let shop = Arc::clone(&shop);
        runs.spawn(async move { run::run(&shop, claimed, started).await });
    };
    let patience = loop {
        tokio::select! {
            // If nobody can ask it to stop any more, it stops.
            patience = &mut stopping => break patience.unwrap_or_default(),
            Some(claim) = claims.recv() => start(&mut runs, claim),
            Some(ended) = runs.join_next() => note(ended),
        }
    };
    claimers.shutdown().await;
    drop(sender);
    while let Some(claim) = claims.recv().await {
        start(&mut runs, claim);
    }
    let all_ended = |mut runs: JoinSet<()>, within| async move {
        let end = async {
            while let Some(ended) = runs.join_next().await {
                note(ended);
            }
        };
        let _ = tokio::time::timeout(within, end).await;
        runs
    };
    let left = all_ended(runs, patience).await;
    // There is always a receiver: the shop's own.
    let _ = hand_back.send(true);
    drop(all_ended(left, HANDING_BACK).await);
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a run ended badly; its claim will expire");
    }
}
