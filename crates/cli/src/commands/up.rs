//! `taskgraft up`.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use taskgraft_client::pulse::{Address, Broker};
use taskgraft_local::queue::Settings;
use taskgraft_local::{Config, check_free};
use taskgraft_service::config::is_exposed;
use taskgraft_service::{Service, pulse};
use url::Url;

use crate::action_worker::ActionWorker;
use crate::embedded::{self, Embedded, WorkerOptions};
use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use crate::project::{self, ProjectArgs};
use crate::service;
use crate::signals::Stop;

/// Run an embedded Taskcluster and a worker on this machine, until Ctrl-C
///
/// The worker runs tasks as processes of your user, without a sandbox: only run what you would run by hand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft up
  taskgraft up --data-dir ./tc --env-file ./tc.env    # once the file is there: . ./tc.env
  taskgraft up --project . --action-worker proj-lander/action    # with a project's jobs and actions
  taskgraft up --worker proj-lander/b-linux --worker proj-lander/t-linux
  taskgraft up --host 0.0.0.0 --port 8080 --root-url https://tc.example.com --no-worker")]
pub(crate) struct Args {
    /// Where everything is kept, made if need be [default: $XDG_DATA_HOME/taskgraft/up]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address to listen on; anything but loopback lets others reach it
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// What clients call it, where that is not its address: the URL of a proxy before it
    #[arg(long, value_name = "URL")]
    root_url: Option<String>,
    /// Write what to export to this file as well; it appears, readable by you only, when everything is ready
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// A task queue that the worker takes tasks from; give it once for each [default: local/linux, and with --project
    /// those of the worker aliases in its config.yml that this machine can stand in for]
    #[arg(long = "worker", value_name = "PROVISIONER/TYPE", value_parser = embedded::queue)]
    queues: Vec<String>,
    /// A task queue whose tasks are actions, performed without a process; give it once for each
    #[arg(long = "action-worker", value_name = "PROVISIONER/TYPE", value_parser = embedded::queue)]
    action_queues: Vec<String>,
    /// How many tasks the worker runs at once [default: one for each processor]
    #[arg(long, value_name = "N")]
    capacity: Option<usize>,
    /// How requests are served, as for `taskgraft serve`; without it, over HTTP on a port of this machine alone
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Publish the queue's messages to this broker, as a deployment does to Pulse: amqps://USER@HOST or amqp://; a
    /// password that the URL doesn't say is in TASKGRAFT_PULSE_PASSWORD
    #[arg(long, value_name = "URL")]
    pulse_url: Option<String>,
    /// Certificate authorities (PEM) that may vouch for that broker, beside the machine's
    #[arg(long, value_name = "FILE", requires = "pulse_url")]
    pulse_authorities: Option<PathBuf>,
    #[command(flatten)]
    project: ProjectArgs,
    /// Run no worker: tasks wait for workers of your own
    #[arg(long, conflicts_with_all = ["queues", "capacity"])]
    no_worker: bool,
    /// For tests of what creates tasks: each N-th createTask of a task with dependencies answers 500 after the task
    /// is inserted and before its dependencies are tracked, as a real queue can break
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    break_creates_every: u32,
    /// For tests of workers: how long a claim lasts unless it is renewed
    #[arg(long, value_name = "SECONDS", default_value_t = 1200, hide_short_help = true)]
    claim_seconds: u32,
    /// For tests of workers: how long claimWork waits for a task
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20_000, hide_short_help = true)]
    long_poll_ms: u32,
}

pub(crate) async fn run(args: Args, verbose: u8, env: &Env, out: &Out) -> Result<(), Failure> {
    let service = service::beside_config(args.config.as_deref(), env)?;
    service::tell_exposed(&service, out);
    if args.pulse_url.as_deref().is_some_and(is_exposed) {
        out.note("note: --pulse-url: whoever is on the way there can read the password: use amqps://");
    }
    let keeper = service::start_log(&service, verbose, false, env);
    let data_dir = embedded::data_dir(args.data_dir.as_deref(), env)?;
    // Before anything is ready: a file that an earlier run left would let a script go on too early. One that is still
    // right, since the server that wrote it runs, stays.
    if let Some(path) = &args.env_file {
        check_free(&data_dir).map_err(|why| Failure::other(chain(&why)))?;
        remove(path)?;
    }
    // Before anything starts: a signal that comes meanwhile is kept.
    let mut stop = Stop::listen()?;
    let dirs = Dirs { actions: data_dir.join("actions"), service: data_dir.join(service::DIR) };
    let config = server(&args, data_dir, env)?;
    let setup = args.project.setup()?;
    if let Some(queue) = args.action_queues.iter().find(|queue| !args.no_worker && args.queues.contains(queue)) {
        return Err(Failure::mistake(format!("{queue} has the worker or the action worker, not both")));
    }
    let worker = if args.no_worker { None } else { worker(&args, out)? };
    let embedded = Embedded::start(config, worker).await?;
    let client = embedded.client(embedded.credentials())?;
    let begun = async {
        project::make(&client, setup.as_ref(), out).await?;
        let start = |queue: &String| ActionWorker::start(&embedded, queue, &dirs.actions);
        let actions = args.action_queues.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let service = service::beside(&embedded, service, keeper, &dirs.service, env).await?;
        Ok((actions, service))
    };
    let (actions, mut service) = match begun.await {
        Ok(begun) => begun,
        Err(failure) => {
            embedded.stop().await;
            return Err(failure);
        }
    };
    let exports = exports(&variables(&embedded, &service));
    if let Some(path) = &args.env_file {
        write_private(path, &exports)
            .map_err(|why| Failure::other(format!("failed to write {}: {why}", path.display())))?;
    }
    out.raw(exports.as_bytes())?;
    let (root_url, address) = (embedded.root_url(), service.address());
    out.note(&format!("Taskcluster, embedded, on {root_url}; requests on http://{address}; Ctrl-C stops it"));
    let served = tokio::select! {
        () = stop.asked() => Ok(()),
        failure = service::ended(&mut service) => Err(failure),
        never = args.project.keep_up(&client, setup, out) => match never {},
    };
    out.note("stopping; once more to end at once");
    tokio::select! {
        ended = end(embedded, actions, service) => served.and(ended),
        () = stop.asked() => served,
    }
}

/// How the embedded server is told to be.
fn server(args: &Args, data_dir: PathBuf, env: &Env) -> Result<Config, Failure> {
    let root_url = args.root_url.as_deref().map(Url::parse).transpose();
    let root_url = root_url.map_err(|why| Failure::mistake(format!("--root-url is no URL: {why}")))?;
    Ok(Config {
        listen: SocketAddr::new(args.host, args.port),
        root_url,
        queue: Settings {
            break_creates_every: args.break_creates_every,
            claim_lasts: SignedDuration::from_secs(args.claim_seconds.into()),
            long_poll: Duration::from_millis(args.long_poll_ms.into()),
        },
        pulse: args.pulse_url.as_deref().map(|url| broker(url, args.pulse_authorities.as_deref(), env)).transpose()?,
        ..Config::new(data_dir)
    })
}

/// The worker that was asked for: of the queues that were named, or of all that may have tasks for it. What the action
/// worker takes is not among those.
fn worker(args: &Args, out: &Out) -> Result<Option<WorkerOptions>, Failure> {
    let mut queues = args.queues.clone();
    if queues.is_empty() {
        let of_project = args.project.queues(out)?;
        if !of_project.is_empty() {
            let list: Vec<&str> = of_project.iter().map(String::as_str).collect();
            out.note(&format!("the worker runs the project's jobs on this machine: {}", list.join(", ")));
        }
        queues = std::iter::once(embedded::DEFAULT_QUEUE.to_owned()).chain(of_project).collect();
        queues.retain(|queue| !args.action_queues.contains(queue));
    }
    Ok((!queues.is_empty()).then_some(WorkerOptions { queues, capacity: args.capacity }))
}

/// Where the queue's messages are published. Not read by clap, which would show what it can't read with its password.
fn broker(url: &str, authorities: Option<&Path>, env: &Env) -> Result<Broker, Failure> {
    let address: Address = url.parse().map_err(|why| Failure::mistake(format!("--pulse-url: {why}")))?;
    let address = match &env.pulse_password {
        Some(password) if !address.says_password() => address.with_password(password.clone()),
        Some(_) | None => address,
    };
    let authorities = authorities.map(pulse::authorities).transpose();
    let authorities = authorities.map_err(|why| Failure::mistake(format!("failed to {why}")))?.unwrap_or_default();
    Broker::new(address, &authorities).map_err(|why| Failure::mistake(format!("failed to {why}")))
}

/// Where things are kept beside the server's own.
struct Dirs {
    actions: PathBuf,
    service: PathBuf,
}

/// What whoever uses it reads from their environment.
fn variables(embedded: &Embedded, service: &Service) -> Vec<(&'static str, String)> {
    let url = ("TASKGRAFT_URL", format!("http://{}", service.address()));
    embedded.variables().into_iter().chain([url]).collect()
}

/// Stops the service and the workers, then the server.
async fn end(embedded: Embedded, actions: Vec<ActionWorker>, service: Service) -> Result<(), Failure> {
    service.stop().await;
    let mut ended = Ok(());
    for worker in actions {
        ended = ended.and(worker.stop().await);
    }
    embedded.stop().await;
    ended
}

/// What a POSIX shell reads to use it with any Taskcluster client.
fn exports(variables: &[(&str, String)]) -> String {
    let mut text = String::from("unset TASKCLUSTER_PROXY_URL TASKCLUSTER_CERTIFICATE\n");
    for (name, value) in variables {
        text.push_str(&format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
    }
    text
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(Failure::mistake(format!("failed to replace {}: {}", path.display(), chain(&why)))),
    }
}

/// Writes a file whole or not at all, for its owner only.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Temporary files are made with mode 0600, and keep it.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_shell_reads_back_any_value() {
        let exports = exports(&[("A", "it's; $(no) `command`".to_owned())]);
        let output = std::process::Command::new("sh").arg("-c").arg(format!("{exports}printf %s \"$A\"")).output();
        assert_eq!(output.unwrap().stdout, b"it's; $(no) `command`");
    }

    #[test]
    fn the_urls_own_password_counts_before_that_of_the_environment() {
        let env = Env { pulse_password: Some("another".to_owned()), ..Env::default() };
        let address = |url: &str| broker(url, None, &env).unwrap().address().clone();
        assert_eq!(address("amqp://ann:own@localhost"), "amqp://ann:own@localhost".parse().unwrap());
        assert_eq!(address("amqp://ann@localhost"), "amqp://ann:another@localhost".parse().unwrap());
    }

    #[test]
    fn the_file_is_private_and_replaces_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, "old").unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
