//! What an action worker is made of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_core::plan::{MAX_NEW, Policy};

use super::metrics::Metrics;
use crate::cache::Cache;
use crate::project::Project;

/// An action worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which task queue to claim from, as `provisioner/worker-type`.
    pub task_queue_id: String,
    /// Where the worker runs, 1 to 38 of `a-zA-Z0-9-_`.
    pub worker_group: String,
    /// Which worker it is there, 1 to 38 of `a-zA-Z0-9-_`. The same one again takes up what it had when it was killed.
    pub worker_id: String,
    /// How many actions run at once; at least one.
    pub capacity: usize,
    /// How long actions that run may take to end once the worker is told to stop; the rest is handed back then.
    pub grace: Duration,
    /// Runs have their directories here. One worker at a time.
    pub work_dir: PathBuf,
    /// Decision tasks' artifacts; [`Cache::remembering`] makes warm actions fast.
    pub cache: Cache,
    /// By which rules.
    pub policy: Policy,
    /// The project's checkout, where the worker serves one project only and new tasks may need index tasks.
    pub project: Option<Project>,
    /// The most tasks that one action may create.
    pub max_new: usize,
    /// How logs are read while actions run.
    pub live_log: LiveLog,
    /// Index paths that name a newest decision task, such as `lander.v2.lander.latest.taskgraph.decision`: what it left is
    /// fetched as soon as another one is named, before anybody asks for an action on it.
    pub prefetch: Vec<String>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Config {
    /// A worker of this queue for four actions at a time, in `work_dir`, by our own rules.
    #[must_use]
    pub fn new(task_queue_id: impl Into<String>, work_dir: impl Into<PathBuf>, cache: Cache) -> Self {
        Self {
            task_queue_id: task_queue_id.into(),
            worker_group: "taskgraft".to_owned(),
            worker_id: "worker".to_owned(),
            capacity: 4,
            grace: Duration::from_secs(60),
            work_dir: work_dir.into(),
            cache,
            policy: Policy::Graft,
            project: None,
            max_new: MAX_NEW,
            live_log: LiveLog::Uploaded,
            prefetch: Vec::new(),
            metrics: Arc::default(),
        }
    }
}

/// How logs are read while actions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveLog {
    /// From this worker: it listens on `address`, and readers reach it as `url`, or at the address itself.
    Served {
        /// Where to listen; port 0 is a free one.
        address: SocketAddr,
        /// What readers call it, such as `https://logs.example.com`.
        url: Option<String>,
    },
    /// From the queue's own store: what there is of a log that takes longer is uploaded again and again.
    Uploaded,
}
