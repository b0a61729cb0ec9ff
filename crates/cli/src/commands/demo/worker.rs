//! The demo's action worker: what `taskgraft worker` runs, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_core::plan::Policy;
use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config, LiveLog, Metrics, WorkerError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::lander::DECISION_QUEUE;
use crate::embedded::{CLAIMING, Embedded};
use crate::exit::{Failure, chain};

/// How many actions run at once.
const CAPACITY: usize = 2;
/// The most bytes that it keeps of what decision tasks left.
const CACHE: u64 = 256 << 20;
/// The most tasks that one action may create.
const MAX_NEW: usize = 1000;

/// A worker that works; dropping it ends it at once.
pub(super) struct ActionWorker {
    working: JoinHandle<Result<(), WorkerError>>,
    stop: oneshot::Sender<()>,
}

impl ActionWorker {
    /// Starts claiming the project's action tasks, with rights to claim and no others.
    pub(super) fn start(embedded: &Embedded, scratch: &Path) -> Result<Self, Failure> {
        let config = Config {
            task_queue_id: DECISION_QUEUE.to_owned(),
            worker_group: "demo".to_owned(),
            worker_id: "actions".to_owned(),
            capacity: CAPACITY,
            grace: Duration::ZERO,
            work_dir: scratch.join("actions"),
            cache: Cache::remembering(&scratch.join("actions-cache"), CACHE, CACHE)?,
            policy: Policy::Graft,
            max_new: MAX_NEW,
            live_log: LiveLog::Uploaded,
            prefetch: Vec::new(),
            metrics: Arc::new(Metrics::default()),
        };
        let client = embedded.client(embedded.may(&CLAIMING))?;
        let (stop, stopping) = oneshot::channel();
        let working = tokio::spawn(worker::run(config, client, async {
            // Whoever could stop it is gone: that stops it as well.
            let _ = stopping.await;
        }));
        Ok(Self { working, stop })
    }

    /// Stops claiming, and waits for its end.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        // If it is not there to hear it, it has ended.
        let _ = self.stop.send(());
        let ended = self.working.await.map_err(|why| Failure::other(chain(&why)))?;
        ended.map_err(|why| Failure::other(format!("the action worker failed to {}", chain(&why))))
    }
}
