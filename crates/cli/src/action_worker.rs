//! An action worker beside an embedded Taskcluster: what `taskgraft worker` runs, in this process.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config, LiveLog, WorkerError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::embedded::{CLAIMING, Embedded};
use crate::exit::{Failure, chain};

/// The most bytes that it keeps of what decision tasks left.
const CACHE: u64 = 256 << 20;

/// A worker that works; dropped, it stops claiming and comes to its end by itself.
pub(crate) struct ActionWorker {
    working: JoinHandle<Result<(), WorkerError>>,
    stop: oneshot::Sender<()>,
}

impl ActionWorker {
    /// Starts claiming the action tasks of a queue, with rights to claim and no others; its files are in `dir`.
    pub(crate) fn start(embedded: &Embedded, queue: &str, dir: &Path) -> Result<Self, Failure> {
        let cache = Cache::remembering(&dir.join("cache"), CACHE, CACHE)?;
        let config = Config {
            grace: Duration::ZERO,
            // Whoever reaches the server from this machine reaches this as well.
            live_log: LiveLog::Served { address: (Ipv4Addr::LOCALHOST, 0).into(), url: None },
            ..Config::new(queue, dir.join(queue.replace('/', "-")), cache)
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
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        // If it is not there to hear it, it has ended.
        let _ = self.stop.send(());
        let ended = self.working.await.map_err(|why| Failure::other(chain(&why)))?;
        ended.map_err(|why| Failure::other(format!("the action worker failed to {}", chain(&why))))
    }
}
