//! `taskgraft worker`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_engine::worker::{self, Config, LiveLog, WorkerError};
use taskgraft_engine::{Cache, Project};
use tokio::net::TcpListener;
use url::Url;

use crate::asking::Rules;
use crate::env::Env;
use crate::exit::{Failure, Kind, chain};
use crate::log::Format;
use crate::signals::Stop;
use crate::{connect, embedded};

/// The most characters of a worker's group and id.
const MAX_NAME: usize = 38;

/// Perform the action tasks of a task queue, as many as come, until Ctrl-C or SIGTERM
///
/// The worker claims with the credentials of the environment and performs each action with that task's own, in this
/// process: no image, no checkout. They need queue:claim-work:POOL/TYPE and queue:worker-id:GROUP/ID, and to go on with
/// what it had when it was killed queue:claim-task:POOL/TYPE.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft worker --task-queue-id proj-lander/action
  taskgraft worker --task-queue-id proj-lander/action --capacity 8 --metrics-port 9180 --log-format json
  taskgraft worker --task-queue-id lander-3/action --prefetch lander.v2.lander.latest.taskgraph.decision")]
pub(crate) struct Args {
    /// Which action tasks: those of this task queue
    #[arg(long, value_name = "POOL/TYPE", value_parser = embedded::queue)]
    task_queue_id: String,
    /// How many actions run at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    capacity: u16,
    /// Where the worker runs, for the queue's lists
    #[arg(long, value_name = "NAME", default_value = "taskgraft", value_parser = name)]
    worker_group: String,
    /// Which worker it is there; the same one goes on with what it had when it was killed [default: the host's name]
    #[arg(long, value_name = "NAME", value_parser = name)]
    worker_id: Option<String>,
    /// Where runs keep their files; one worker at a time [default: $XDG_STATE_HOME/taskgraft/worker/POOL-TYPE]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// How long running actions may take to end when the worker is stopped; the rest is handed back to the queue
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    grace: u64,
    /// Which rules plans follow
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    policy: Rules,
    /// The project's `taskcluster` directory, for a worker of one project: its new tasks may then have index tasks
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The most tasks that one action may create
    #[arg(long, value_name = "N", default_value_t = taskgraft_core::plan::MAX_NEW)]
    max_new_tasks: usize,
    /// An index path of newest decision tasks, whose artifacts are fetched when one completes; give it once for each
    #[arg(long, value_name = "INDEX-PATH")]
    prefetch: Vec<String>,
    /// How many MiB of decision tasks' artifacts are kept on disk
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    disk_cache: u64,
    /// How many MiB of memory that takes which is kept read of them
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory_cache: u64,
    /// Serve logs of running actions from this address; else long ones are uploaded bit by bit
    #[arg(long, value_name = "ADDRESS:PORT")]
    live_log_address: Option<SocketAddr>,
    /// What readers of logs call that address, where that is something else
    #[arg(long, value_name = "URL", requires = "live_log_address")]
    live_log_url: Option<Url>,
    /// Serve /healthz, /readyz and /metrics (Prometheus) on this port; 0 takes a free one, which the log names
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// The address for that; anything but loopback lets others reach it
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), requires = "metrics_port")]
    metrics_host: IpAddr,
    /// How to log, on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: Format,
}

pub(crate) async fn run(args: Args, env: &Env) -> Result<(), Failure> {
    // Before anything starts: a signal that comes meanwhile is kept.
    let mut stop = Stop::listen()?;
    let client = connect::worker(env)?;
    let metrics = match args.metrics_port {
        Some(port) => Some(listen(SocketAddr::new(args.metrics_host, port)).await?),
        None => None,
    };
    let config = config(args, env)?;
    if let Some(listener) = metrics {
        tokio::spawn(worker::serve_health(listener, Arc::clone(&config.metrics), config.cache.clone()));
    }
    tracing::info!(
        queue = config.task_queue_id,
        worker = format!("{}/{}", config.worker_group, config.worker_id),
        capacity = config.capacity,
        root_url = client.config().root_url,
        "claiming action tasks"
    );
    work(config, client, &mut stop).await
}

/// Works until it is asked to stop, and to its end unless it is asked once more.
async fn work(config: Config, client: Client, stop: &mut Stop) -> Result<(), Failure> {
    let (told, telling) = tokio::sync::oneshot::channel();
    let working = worker::run(config, client, async {
        let _ = telling.await;
    });
    tokio::pin!(working);
    tokio::select! {
        ended = &mut working => return ended.map_err(explain),
        () = stop.asked() => {}
    }
    tracing::info!("asked to stop: waiting for running actions; once more to end at once");
    let _ = told.send(());
    tokio::select! {
        ended = working => ended.map_err(explain),
        () = stop.asked() => Err(Failure::other("ended at once: the claims of what was running expire")),
    }
}

fn config(args: Args, env: &Env) -> Result<Config, Failure> {
    let no_dir = || Failure::mistake("no directory to work in").note("name one", "--work-dir DIR, or set HOME");
    let own = || Some(env.state_dir.as_ref()?.join("worker").join(args.task_queue_id.replace('/', "-")));
    let work_dir = args.work_dir.clone().or_else(own).ok_or_else(no_dir)?;
    let cache_dir = env.cache_dir.as_ref().map_or_else(|| work_dir.join("cache"), |dir| dir.join("worker"));
    let cache_dir = cache_dir.join(connect::deployment(env));
    let cache = Cache::remembering(&cache_dir, args.disk_cache << 20, args.memory_cache << 20)
        .map_err(|why| Failure::other(format!("failed to make {}: {why}", cache_dir.display())))?;
    let live_log = match args.live_log_address {
        Some(address) => LiveLog::Served { address, url: args.live_log_url.map(String::from) },
        None => LiveLog::Uploaded,
    };
    Ok(Config {
        worker_group: args.worker_group,
        worker_id: args.worker_id.unwrap_or_else(host),
        capacity: args.capacity.into(),
        grace: Duration::from_secs(args.grace),
        policy: args.policy.into(),
        project: args.root.as_deref().map(Project::read).transpose()?,
        max_new: args.max_new_tasks,
        live_log,
        prefetch: args.prefetch,
        ..Config::new(args.task_queue_id, work_dir, cache)
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |why| Failure::other(format!("failed to listen on {address}: {why}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    Ok(listener)
}

fn explain(error: WorkerError) -> Failure {
    let message = format!("failed to {}", chain(&error));
    match error {
        WorkerError::InUse(_) => Failure::mistake(message).note("name another", "--work-dir DIR"),
        WorkerError::Refused { error, .. } => error.into(),
        WorkerError::Forbidden { queue, missing } => {
            Failure::new(Kind::NoRights, format!("these credentials can't claim from {queue}"))
                .notes("missing", missing)
        }
        WorkerError::Directory { .. } | WorkerError::Listen(_) => Failure::new(Kind::Other, message),
    }
}

/// The host's name, as far as the queue takes it.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = name.chars().map(fits).take(MAX_NAME).collect();
    if name.is_empty() { "worker".to_owned() } else { name }
}

fn name(text: &str) -> Result<String, String> {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits && (1..=MAX_NAME).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("1 to {MAX_NAME} of a-z, A-Z, 0-9, - and _"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_queue_takes() {
        assert_eq!(name(&host()), Ok(host()));
        for text in ["", "a/b", "a.b", &"x".repeat(39)] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
