//! From a configuration file and the environment to the service.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskgraft_client::{Client, Config as ClientConfig};
use taskgraft_engine::Cache;
use taskgraft_local::queue::{Happened, TaskChange, What};
use taskgraft_service::config::{Config, LogFormat, MAX_FILE_BYTES, Pulse, Secrets};
use taskgraft_service::journal::FILE;
use taskgraft_service::log::Keeper;
use taskgraft_service::{Live, LiveEvent, Parts, Service, TaskEvent};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::connect;
use crate::embedded::Embedded;
use crate::env::{Env, buildbot_variable};
use crate::exit::{Failure, Kind, chain};
use crate::log::{self, Format};
use crate::output::Out;

/// The most bytes of downloads that are kept on disk, and of memory that what is kept read of them takes.
const DISK: u64 = 8 << 30;
const MEMORY: u64 = 512 << 20;
/// Where `taskgraft up` keeps its service, below its data directory.
pub(crate) const DIR: &str = "service";
/// How a service is told to be for this machine alone.
const BESIDE: &str = "http.listen = \"127.0.0.1:0\"\n";

/// Reads a configuration file. Paths in it are relative to its directory.
pub(crate) fn read(path: &Path) -> Result<Config, Failure> {
    let unread = |why: String| Failure::mistake(format!("failed to read {}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|why| unread(why.to_string()))?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text).map_err(|why| unread(why.to_string()))?;
    let config = Config::read(&text).map_err(|invalid| {
        let failure = Failure::mistake(format!("{} is no configuration", path.display()));
        failure.notes("wrong", invalid.0.iter().map(ToString::to_string))
    })?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let below = |file: Option<PathBuf>| file.map(|file| dir.join(file));
    let pulse = config.pulse.map(|pulse| Pulse { authorities: below(pulse.authorities), ..pulse });
    Ok(Config { journal: below(config.journal), pulse, ..config })
}

/// Whether a journal is there.
///
/// # Errors
/// If that can't be seen: it belongs to somebody else.
pub(crate) fn is_there(journal: &Path) -> Result<bool, Failure> {
    // Opened, it tells of its own permissions and of those of all directories above it.
    match File::open(journal).and_then(|file| file.metadata()) {
        Ok(found) => Ok(found.is_file()),
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(why) => Err(unseen(journal, &why)),
    }
}

fn unseen(journal: &Path, why: &io::Error) -> Failure {
    let failure = Failure::mistake(format!("failed to open {}: {why}", journal.display()));
    let denied = why.kind() == ErrorKind::PermissionDenied;
    let way_out = "sudo, or sudo -u USER: a journal is for the user that the service runs as";
    if denied { failure.note("use", way_out) } else { failure }
}

/// The journal's file, without which nothing can be received.
pub(crate) fn journal(config: &Config, path: &Path) -> Result<PathBuf, Failure> {
    let missing = || Failure::mistake(format!("{}: `journal` is missing", path.display()));
    config.journal.clone().ok_or_else(|| missing().note("add", "journal = \"journal.sqlite\""))
}

/// Starts logging as the configuration says; what keeps the lines of requests.
/// `says_all`: the log is all that the command says.
pub(crate) fn start_log(config: &Config, verbose: u8, says_all: bool, env: &Env) -> Keeper {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    log::start_keeping(verbose, says_all, format, env.log.as_deref())
}

/// The file of the journal of a service that may start, as far as that shows without asking anybody or writing anything, and
/// whatever the environment holds.
///
/// # Errors
/// All that is wrong.
pub(crate) fn checked(config: &Config, path: &Path, env: &Env) -> Result<PathBuf, Failure> {
    let root_url = config.root_url.as_deref().or(env.root_url.as_deref());
    let mut wrong = unmade(config, root_url, env);
    match &config.journal {
        Some(journal) if wrong.is_empty() => return Ok(journal.clone()),
        Some(_) => {}
        None => wrong.insert(0, "`journal` is missing: add journal = \"journal.sqlite\"".to_owned()),
    }
    Err(Failure::mistake(format!("{} can't be served", path.display())).notes("wrong", wrong))
}

/// Why nothing can be made of what is configured, in words.
fn unmade(config: &Config, root_url: Option<&str>, env: &Env) -> Vec<String> {
    // Where no Taskcluster is known, the environment lacks it, which is told elsewhere.
    let reader = match Client::new(ClientConfig::new(root_url.unwrap_or(connect::NOWHERE))) {
        Ok(reader) => reader,
        Err(why) => return vec![format!("failed to {why}")],
    };
    let wrong = Service::check(config, &secrets(config, env), &reader);
    wrong.iter().map(|why| format!("failed to {}", chain(why))).collect()
}

/// Refuses to go on where something is missing, and tells all that is.
pub(crate) fn refuse(missing: Vec<String>) -> Result<(), Failure> {
    let mut missing = missing.into_iter();
    missing.next().map_or(Ok(()), |first| Err(Failure::mistake(first).notes("and", missing)))
}

/// What the environment lacks of what the configuration needs, in words.
pub(crate) fn missing(config: &Config, env: &Env) -> Vec<String> {
    let mut missing = Vec::new();
    if config.root_url.is_none() && env.root_url.is_none() {
        missing.push("neither `root_url` nor TASKCLUSTER_ROOT_URL says which Taskcluster".to_owned());
    }
    if env.credentials.is_none() {
        missing.push("TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN are not set".to_owned());
    }
    if env.cache_dir.is_none() {
        missing.push("neither HOME nor XDG_CACHE_HOME says where to keep downloads".to_owned());
    }
    missing.extend(without_password(config, env));
    missing
}

/// What it lacks of the passwords.
fn without_password(config: &Config, env: &Env) -> Vec<String> {
    let mut missing: Vec<String> = without_pulse_password(config, env).into_iter().collect();
    let masters = config.project.values().flat_map(|project| &project.buildbot);
    let variables = masters.filter(|master| master.user.is_some()).map(|master| buildbot_variable(&master.name));
    let unset = variables.filter(|name| !env.buildbot_passwords.contains_key(name));
    missing.extend(unset.map(|name| format!("{name} is not set")));
    missing
}

/// Tells what of the configuration lets others read a password.
pub(crate) fn tell_exposed(config: &Config, out: &Out) {
    for exposed in config.exposed() {
        out.note(&format!("note: {exposed}"));
    }
}

/// That it lacks the password of the pulse user, without which the broker would be met as somebody else.
pub(crate) fn without_pulse_password(config: &Config, env: &Env) -> Option<String> {
    let lacks = config.pulse.is_some() && env.pulse_password.is_none();
    lacks.then(|| "TASKGRAFT_PULSE_PASSWORD is not set".to_owned())
}

/// What the environment holds of what the configuration needs.
pub(crate) fn secrets(config: &Config, env: &Env) -> Secrets {
    let masters = config.project.values().flat_map(|project| &project.buildbot);
    let password = |name: &str| env.buildbot_passwords.get(&buildbot_variable(name)).cloned();
    let buildbot = masters.filter_map(|master| Some((master.name.clone(), password(&master.name)?)));
    Secrets { pulse: env.pulse_password.clone(), buildbot: buildbot.collect() }
}

/// What the service is made of.
pub(crate) fn parts(config: Config, journal: PathBuf, keeper: Keeper, env: &Env) -> Result<Parts, Failure> {
    refuse(missing(&config, env))?;
    let env_url = || env.root_url.clone().unwrap_or_default();
    let root_url = config.root_url.clone().unwrap_or_else(env_url);
    let reader = Client::new(ClientConfig::new(root_url.clone()));
    let reader = reader.map_err(|why| Failure::mistake(format!("failed to {why}")))?;
    let dir = env.cache_dir.as_deref().ok_or_else(connect::no_cache)?;
    let here = Env { root_url: Some(root_url), ..Env::default() };
    let cache = cache(&dir.join("service").join(connect::deployment(&here)))?;
    let credentials =
        env.credentials.clone().ok_or_else(|| Failure::new(Kind::NoRights, "there are no credentials"))?;
    let live = Live::default();
    Ok(Parts {
        secrets: secrets(&config, env),
        config,
        reader,
        credentials,
        cache,
        journal,
        live,
        keeper: Some(keeper),
    })
}

/// The configuration of a service beside an embedded Taskcluster: from the file, else one that is for this machine alone.
///
/// # Errors
/// All that keeps it from starting, as far as that shows before anything starts.
pub(crate) fn beside_config(path: Option<&Path>, env: &Env) -> Result<Config, Failure> {
    let Some(path) = path else { return Config::read(BESIDE).map_err(|invalid| Failure::other(invalid.to_string())) };
    let config = read(path)?;
    if let Some(root_url) = &config.root_url {
        return Err(Failure::mistake(format!("the configuration names {root_url}, and `up` is a Taskcluster"))
            .note("leave out", "root_url"));
    }
    // What becomes of tasks is heard of the embedded queue, and not from a broker as well.
    let clicks = |pulse: Pulse| {
        let only_events = pulse.task_events && pulse.handler.is_empty();
        (!only_events).then_some(Pulse { task_events: false, ..pulse })
    };
    let config = Config { pulse: config.pulse.and_then(clicks), ..config };
    refuse(without_password(&config, env))?;
    let wrong = unmade(&config, None, env);
    if wrong.is_empty() {
        return Ok(config);
    }
    Err(Failure::mistake(format!("{} can't be served", path.display())).notes("wrong", wrong))
}

/// A service beside an embedded Taskcluster, with all its rights; what it keeps is in `dir`.
pub(crate) async fn beside(
    embedded: &Embedded,
    config: Config,
    keeper: Keeper,
    dir: &Path,
    env: &Env,
) -> Result<Service, Failure> {
    let reader = Client::new(ClientConfig::new(embedded.root_url()));
    let live = Live::default();
    tokio::spawn(hand_on(embedded.events(), live.clone()));
    let parts = Parts {
        secrets: secrets(&config, env),
        reader: reader.map_err(|why| Failure::other(format!("failed to {why}")))?,
        credentials: embedded.credentials(),
        cache: cache(&dir.join("cache"))?,
        journal: config.journal.clone().unwrap_or_else(|| dir.join(FILE)),
        live,
        keeper: Some(keeper),
        config,
    };
    start(parts).await
}

/// Hands on what happens to the embedded queue's tasks and groups, for as long as there is one.
async fn hand_on(mut events: broadcast::Receiver<Arc<Happened>>, live: Live) {
    loop {
        match events.recv().await {
            Ok(event) => live.hand_on(live_event(&event)),
            // Whoever wants to be sure asks the queue.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What the queue says, as its exchanges would say it to a service elsewhere.
fn live_event(event: &Happened) -> LiveEvent {
    match event {
        Happened::Task(TaskChange { task_id, task_group_id, state, what, .. }) => {
            let run = match what {
                What::Defined => None,
                What::Run(run, _) => Some(*run),
            };
            LiveEvent::Task(TaskEvent { task: *task_id, group: *task_group_id, state: *state, run })
        }
        Happened::GroupResolved(group) => LiveEvent::GroupResolved(*group),
    }
}

/// Starts the service.
pub(crate) async fn start(parts: Parts) -> Result<Service, Failure> {
    Service::start(parts).await.map_err(|why| Failure::other(format!("failed to {}", chain(&why))))
}

/// Resolves when a door of the service has given up. Said at once in the log, since stopping may take its time.
pub(crate) async fn ended(service: &mut Service) -> Failure {
    let why = chain(&service.ended().await);
    tracing::error!("the service stops: failed to {why}");
    Failure::other(format!("failed to {why}"))
}

fn cache(dir: &Path) -> Result<Cache, Failure> {
    let made = Cache::remembering(dir, DISK, MEMORY);
    made.map_err(|why| Failure::other(format!("failed to make {}: {why}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_open_a_journal_is_told_who_may() {
        let told = |kind: ErrorKind| format!("{:?}", unseen(Path::new("/var/lib/j"), &kind.into()));
        let denied = told(ErrorKind::PermissionDenied);
        assert!(denied.contains("failed to open /var/lib/j: permission denied") && denied.contains("sudo"), "{denied}");
        assert!(!told(ErrorKind::Other).contains("sudo"));
    }
}
