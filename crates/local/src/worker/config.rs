//! What a worker is made of.

use std::path::PathBuf;

use taskgraft_client::Client;

/// Where tasks' programs are looked for unless the configuration says otherwise.
pub const DEFAULT_SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What a worker is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// With credentials that may claim from the task queues: `queue:claim-work:<task queue>`,
    /// `queue:claim-task:<task queue>` (to hand back what an earlier worker had) and `queue:worker-id:<group>/<id>`.
    pub client: Client,
    /// Which queues to claim from, as `provisioner/worker-type`. `built-in/succeed` and `built-in/fail` are always
    /// served besides.
    pub task_queue_ids: Vec<String>,
    /// How many tasks run at once; at least one.
    pub capacity: usize,
    /// Task directories and caches are made here. One worker at a time.
    pub work_dir: PathBuf,
    /// Where the worker runs, 1 to 38 of `a-zA-Z0-9-_`.
    pub worker_group: String,
    /// Which worker it is there, 1 to 38 of `a-zA-Z0-9-_`.
    pub worker_id: String,
    /// Tasks' `PATH`.
    pub search_path: String,
    /// Programs that take docker's command line, the preferred first. Used if `<program> info` succeeds.
    pub container_engines: Vec<PathBuf>,
}

impl Config {
    /// A worker for one task at a time, in `work_dir`, with `docker` or `podman` for containers.
    #[must_use]
    pub fn new(client: Client, task_queue_ids: Vec<String>, work_dir: PathBuf) -> Self {
        Self {
            client,
            task_queue_ids,
            capacity: 1,
            work_dir,
            worker_group: "local".to_owned(),
            worker_id: "worker".to_owned(),
            search_path: DEFAULT_SEARCH_PATH.to_owned(),
            container_engines: vec!["docker".into(), "podman".into()],
        }
    }
}
