//! The demo's action worker: what `taskgraft worker` runs, in this process.

use std::path::Path;
use std::time::Duration;

use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config, WorkerError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::lander::DECISION_QUEUE;
use crate::embedded::{CLAIMING, Embedded};
use crate::exit::{Failure, chain};

/// The most bytes that it keeps of what decision tasks left.
const CACHE: u64 = 256 << 20;

/// A worker that works; dropping it ends it at once.
pub(super) struct ActionWorker {
    working: JoinHandle<Result<(), WorkerError>>,
    stop: oneshot::Sender<()>,
}

impl ActionWorker {
    /// Starts claiming the project's action tasks, with rights to claim and no others.
    pub(super) fn start(embedded: &Embedded, scratch: &Path) -> Result<Self, Failure> {
        let cache = Cache::remembering(&scratch.join("actions-cache"), CACHE, CACHE)?;
        let config = Config { grace: Duration::ZERO, ..Config::new(DECISION_QUEUE, scratch.join("actions"), cache) };
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
