//! The embedded Taskcluster with its worker, as `up` and `demo` run it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Credentials};
use taskgraft_local::queue::Happened;
use taskgraft_local::worker::{self, Worker};
use taskgraft_local::{Config, Running, Server};
use tokio::sync::broadcast;

use crate::env::Env;
use crate::exit::{Failure, chain};

/// Where the worker takes tasks from unless told otherwise.
pub(crate) const DEFAULT_QUEUE: &str = "local/linux";
/// All that a worker's own credentials are for: what it does about a run it does with the run's.
pub(crate) const CLAIMING: [&str; 3] = ["queue:claim-work:*", "queue:claim-task:*", "queue:worker-id:*"];
/// How long tasks that run may take to end when everything is stopped.
const PATIENCE: Duration = Duration::ZERO;

/// How the worker shall be.
#[derive(Debug, Clone)]
pub(crate) struct WorkerOptions {
    /// Task queues, as `provisioner/worker-type`.
    pub(crate) queues: Vec<String>,
    /// How many tasks run at once; one for each processor if it isn't said.
    pub(crate) capacity: Option<usize>,
}

/// A server that runs, and its worker.
pub(crate) struct Embedded {
    server: Running,
    worker: Option<worker::Running>,
}

impl Embedded {
    /// Starts the server, then the worker.
    pub(crate) async fn start(config: Config, options: Option<WorkerOptions>) -> Result<Self, Failure> {
        let server = Server::start(config).await.map_err(|why| Failure::other(chain(&why)))?;
        let mut embedded = Self { server, worker: None };
        if let Some(options) = options {
            let started = embedded.start_worker(options).await;
            match started {
                Ok(worker) => embedded.worker = Some(worker),
                Err(failure) => {
                    embedded.stop().await;
                    return Err(failure);
                }
            }
        }
        Ok(embedded)
    }

    async fn start_worker(&self, options: WorkerOptions) -> Result<worker::Running, Failure> {
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let client = self.client(self.may(&CLAIMING))?;
        let config = worker::Config {
            capacity: options.capacity.unwrap_or_else(processors),
            ..worker::Config::new(client, options.queues, self.server.data_dir().join("worker"))
        };
        Worker::start(config).await.map_err(|why| Failure::other(format!("failed to {}", chain(&why))))
    }

    /// Where clients find it.
    pub(crate) fn root_url(&self) -> &str {
        self.server.root_url()
    }

    /// Credentials that may do everything.
    pub(crate) fn credentials(&self) -> Credentials {
        let root = self.server.credentials();
        Credentials::new(&root.client_id, &root.access_token)
    }

    /// Credentials that may do this and nothing else.
    pub(crate) fn may(&self, scopes: &[&str]) -> Credentials {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Credentials { authorized_scopes: Some(scopes), ..self.credentials() }
    }

    /// A client of it.
    pub(crate) fn client(&self, credentials: Credentials) -> Result<Client, Failure> {
        let config = taskgraft_client::Config::new(self.root_url()).with_credentials(credentials);
        Client::new(config).map_err(|why| Failure::other(format!("failed to {why}")))
    }

    /// What happens to its tasks and groups from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<Happened>> {
        self.server.ctx().queue.bus.events()
    }

    /// What any Taskcluster client reads from its environment to use it.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        let root = self.server.credentials();
        [
            ("TASKCLUSTER_ROOT_URL", self.root_url().to_owned()),
            ("TASKCLUSTER_CLIENT_ID", root.client_id.clone()),
            ("TASKCLUSTER_ACCESS_TOKEN", root.access_token.clone()),
        ]
    }

    /// Hands running tasks back to the queue, then stops the server.
    pub(crate) async fn stop(self) {
        if let Some(worker) = self.worker {
            worker.shutdown(PATIENCE).await;
        }
        self.server.stop().await;
    }
}

/// A task queue's id as the queue takes it: `provisioner/worker-type`.
pub(crate) fn queue(text: &str) -> Result<String, String> {
    let fits = |part: &str, more: fn(u8) -> bool| {
        (1..=38).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || more(b))
    };
    let worker_type = |part: &str| {
        fits(part, |_| false)
            && part.starts_with(|first: char| first.is_ascii_lowercase())
            && !part.ends_with('-')
            && !part.contains(|c: char| c.is_ascii_uppercase())
    };
    match text.split_once('/') {
        Some((provisioner, kind)) if fits(provisioner, |b| b == b'_') && worker_type(kind) => Ok(text.to_owned()),
        Some(_) | None => Err("a task queue is PROVISIONER/TYPE, such as proj-lander/b-linux".to_owned()),
    }
}

/// The data directory that was named, or the user's own.
pub(crate) fn data_dir(named: Option<&Path>, env: &Env) -> Result<PathBuf, Failure> {
    let own = || env.data_dir.as_ref().map(|dir| dir.join("up"));
    named
        .map(Path::to_owned)
        .or_else(own)
        .ok_or_else(|| Failure::mistake("no directory to keep data in").note("name one", "--data-dir DIR, or set HOME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_queue_has_two_parts() {
        assert_eq!(queue("proj_Lander/b-linux-2").as_deref(), Ok("proj_Lander/b-linux-2"));
        assert_eq!(queue(DEFAULT_QUEUE).as_deref(), Ok(DEFAULT_QUEUE));
        for text in ["", "b-linux", "a/", "/b", "a/b/c", "a/B", "a/b-", "a/2", "a b/c"] {
            assert!(queue(text).is_err(), "{text}");
        }
    }
}
