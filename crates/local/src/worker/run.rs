//! One claimed run, from claim to resolution.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::run::{self, CONTENT_TYPE, LogServer, Resolution, Session, TaskLog};
use taskgraft_core::api::queue::Claimed;
use taskgraft_core::state::ExceptionReason;
use taskgraft_core::time::Millis;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::cache::{Borrowed, Caches};
use super::config::Config;
use super::docker::{self, Container};
use super::mounts::{self, Mounting};
use super::payload::{DEFAULT_BACKING_LOG, DEFAULT_LIVE_LOG, DockerPayload, GenericPayload, Payload};
use super::process::{self, Ended, Environment, Spawn};
use super::proxy::Proxy;
use super::{artifacts, environment, paths, resolution, strays};

/// How much of a task's own output is kept. What comes after is read and thrown away: the task goes on.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024 * 1024;
/// How much longer than `maxRunTime` a live log's address is kept: mounts and artifacts take time, too.
const LIVE_LOG_SLACK_SECONDS: u64 = 15 * 60;

/// What all runs of a worker share.
pub(crate) struct Shop {
    pub(crate) config: Config,
    /// Where runs have their directories: canonical.
    pub(crate) tasks_dir: PathBuf,
    pub(crate) caches: Caches,
    pub(crate) logs: LogServer,
    /// One for each task that may run.
    pub(crate) permits: Arc<Semaphore>,
    /// True once running tasks are to be handed back.
    pub(crate) hand_back: watch::Receiver<bool>,
}

/// Why a run is broken off.
enum Stop {
    /// It is no longer ours.
    Gone(String),
    /// The worker goes.
    HandBack,
}

/// Where one run has its files.
struct Place {
    /// All of it: not the task's to see.
    top: PathBuf,
    /// The task's directory.
    directory: PathBuf,
    /// Its `TMPDIR`.
    temporary: PathBuf,
    /// Where downloads wait to be placed.
    downloads: PathBuf,
}

impl Place {
    fn make(tasks_dir: &Path, claimed: &Claimed) -> io::Result<Self> {
        let top = tasks_dir.join(run::directory_name((claimed.status.task_id, claimed.run_id)));
        paths::remove_tree(&top)?;
        let part = |name| top.join(name);
        let place = Self { directory: part("task"), temporary: part("tmp"), downloads: part("downloads"), top };
        for directory in [&place.directory, &place.temporary, &place.downloads] {
            std::fs::create_dir_all(directory)?;
        }
        Ok(place)
    }

    /// Kills what still runs there and removes it, once caches were given back.
    async fn clear(self, caches: Vec<Borrowed>) {
        let top = self.top.clone();
        let cleared = tokio::task::spawn_blocking(move || {
            strays::kill_below(&self.top);
            for cache in caches {
                if let Err(error) = cache.give_back() {
                    tracing::warn!(%error, "could not keep a cache");
                }
            }
            paths::remove_tree(&self.top)
        });
        if let Err(error) | Ok(Err(error)) = cleared.await.map_err(io::Error::other) {
            tracing::warn!(directory = %top.display(), %error, "could not remove a task's directory");
        }
    }
}

/// A run at work.
struct Run<'a> {
    shop: &'a Shop,
    claimed: &'a Claimed,
    session: Arc<Session>,
    place: &'a Place,
    log: &'a TaskLog,
}

/// Runs a claimed task to its resolution. `started` is told when it got its place among those that run.
pub(crate) async fn run(shop: &Shop, claimed: Claimed, started: oneshot::Sender<()>) {
    let session = Arc::new(Session::new(&shop.config.client, &claimed));
    let made = Place::make(&shop.tasks_dir, &claimed)
        .and_then(|place| Ok((TaskLog::create(&place.top.join("live.log"), MAX_OUTPUT_BYTES)?, place)));
    let (log, place) = match made {
        Ok(made) => made,
        Err(error) => {
            report(&session, &Resolution::internal("making the task's directory", &error)).await;
            return;
        }
    };
    let mut caches = Vec::new();
    let run = Run { shop, claimed: &claimed, session, place: &place, log: &log };
    run.to_its_end(started, &mut caches).await;
    place.clear(caches).await;
}

impl Run<'_> {
    async fn to_its_end(&self, started: oneshot::Sender<()>, caches: &mut Vec<Borrowed>) {
        let began = Instant::now();
        self.write_header();
        let payload = Payload::parse(&self.claimed.task.payload);
        let (live, backing) = payload.as_ref().map_or((DEFAULT_LIVE_LOG, DEFAULT_BACKING_LOG), Payload::log_names);
        let max_run_time = payload.as_ref().map_or(0, Payload::max_run_time);
        let published = self.shop.logs.publish(self.log);
        let seconds = max_run_time.saturating_add(LIVE_LOG_SLACK_SECONDS);
        if let Err(error) = self.session.refer(live, &published.url, seconds).await {
            tracing::warn!(task = %self.session.task_id, %error, "could not publish a live log");
        }
        let stop = self.stop();
        tokio::pin!(stop);
        let permit = tokio::select! {
            permit = self.shop.permits.acquire() => permit.ok().ok_or(Stop::HandBack),
            why = &mut stop => Err(why),
        };
        // That nobody waits for it is fine.
        let _ = started.send(());
        let ended = match &permit {
            Ok(_) => tokio::select! {
                done = self.perform(payload.as_ref().map_err(Clone::clone), caches) => Ok(done),
                why = &mut stop => Err(why),
            },
            Err(Stop::Gone(why)) => Err(Stop::Gone(why.clone())),
            Err(Stop::HandBack) => Err(Stop::HandBack),
        };
        let resolution = match ended {
            Ok(Ok(())) => Some(Resolution::Completed),
            Ok(Err(resolution)) => Some(resolution),
            Err(Stop::HandBack) => {
                Some(Resolution::Exception(ExceptionReason::WorkerShutdown, "the worker shuts down".to_owned()))
            }
            Err(Stop::Gone(why)) => {
                self.log.complain(&format!("Task aborted: {why}"));
                None
            }
        };
        self.close(resolution.as_ref(), began.elapsed(), live, backing).await;
        drop(published);
        if let Some(resolution) = resolution {
            report(&self.session, &resolution).await;
        }
    }

    fn write_header(&self) {
        let Claimed { status, task, worker_group, worker_id, run_id, .. } = self.claimed;
        self.log.say(&format!("Task {} run {run_id}: {}", status.task_id, task.metadata.name.replace('\n', " ")));
        self.log.say(&format!("Worker {worker_group}/{worker_id} for {}", status.task_queue_id));
        self.log.say(&format!("Group {}, deadline {}", status.task_group_id, status.deadline));
    }

    async fn stop(&self) -> Stop {
        let mut hand_back = self.shop.hand_back.clone();
        tokio::select! {
            why = self.session.watch(self.claimed.taken_until.0) => Stop::Gone(why),
            // If the supervisor is gone, so is the worker.
            _ = hand_back.wait_for(|now| *now) => Stop::HandBack,
        }
    }

    async fn perform(
        &self,
        payload: Result<&Payload, super::payload::MalformedPayload>,
        caches: &mut Vec<Borrowed>,
    ) -> Result<(), Resolution> {
        let payload = payload?;
        let proxy = match payload.wants_proxy() {
            true => Some(
                Proxy::start(Arc::clone(&self.session))
                    .await
                    .map_err(|error| Resolution::internal("starting the task's proxy", &error))?,
            ),
            false => None,
        };
        let proxy_url = proxy.as_ref().map(|proxy| proxy.url.as_str());
        match payload {
            Payload::Generic(generic) => self.run_generic(generic, proxy_url, caches).await,
            Payload::Docker(docker) => self.run_docker(docker, proxy_url).await,
        }
    }

    async fn run_generic(
        &self,
        payload: &GenericPayload,
        proxy_url: Option<&str>,
        caches: &mut Vec<Borrowed>,
    ) -> Result<(), Resolution> {
        let Place { directory, temporary, downloads, .. } = self.place;
        for (n, artifact) in payload.artifacts.iter().enumerate() {
            self.check_expiry(&format!("payload.artifacts[{n}].expires"), artifact.expires)?;
        }
        mounts::check(&self.session, &self.claimed.task, &payload.mounts).await?;
        let (session, log) = (self.session.as_ref(), self.log);
        let mounting = Mounting { session, log, directory, downloads, caches: &self.shop.caches };
        mounting.place(&payload.mounts, caches).await?;
        let mut env = environment::defaults(&self.shop.config.search_path, directory, temporary);
        env.extend(payload.env.clone());
        env.extend(environment::fixed(self.claimed, self.root_url(), Some(directory), proxy_url));
        let deadline = Instant::now() + Duration::from_secs(payload.max_run_time);
        let (outcome, code) = self.run_commands(payload, &env, deadline).await;
        let top = self.place.top.clone();
        tokio::task::spawn_blocking(move || strays::kill_below(&top))
            .await
            .map_err(|error| Resolution::internal("looking for stray processes", &error))?;
        if code.is_some_and(|code| payload.on_exit_status.purge_caches.contains(&code)) {
            self.log.say("Caches are thrown away: payload.onExitStatus.purgeCaches has this exit code");
            caches.clear();
        }
        let published = artifacts::publish(session, log, directory, &payload.artifacts).await;
        outcome.and(published)
    }

    /// Runs commands until one does not exit with 0; returns the last exit code, too.
    async fn run_commands(
        &self,
        payload: &GenericPayload,
        env: &BTreeMap<String, String>,
        deadline: Instant,
    ) -> (Result<(), Resolution>, Option<i32>) {
        let mut code = None;
        for (n, command) in payload.command.iter().enumerate() {
            self.log.say(&format!("Executing command {n}: {}", shown_command(command)));
            let began = Instant::now();
            let spawn = Spawn { command, env: Environment::Only(env), directory: &self.place.directory };
            let ended = match process::run(&spawn, self.log, tokio::time::sleep_until(deadline)).await {
                Ok(ended) => ended,
                Err(error) => return (Err(Resolution::Failed(error.to_string())), code),
            };
            if let Ended::Exited(exit) = ended {
                code = Some(exit);
                self.log.say(&format!("Exit code {exit} after {:.1} s", began.elapsed().as_secs_f64()));
            }
            if let Err(resolution) = resolution::of_command(ended, &payload.on_exit_status, payload.max_run_time) {
                return (Err(resolution), code);
            }
        }
        (Ok(()), code)
    }

    async fn run_docker(&self, payload: &DockerPayload, proxy_url: Option<&str>) -> Result<(), Resolution> {
        for (name, artifact) in &payload.artifacts {
            self.check_expiry(&format!("payload.artifacts.{name}.expires"), artifact.expires)?;
        }
        docker::check(&self.session, payload).await?;
        let engine = docker::find_engine(&self.shop.config.container_engines).await;
        let engine = engine.ok_or_else(|| Resolution::Failed(docker::NO_ENGINE.to_owned()))?;
        let name = docker::container_name((self.session.task_id, self.session.run_id));
        let (session, log) = (self.session.as_ref(), self.log);
        let container = Container { session, log, engine, directory: &self.place.directory, name };
        let mut env = payload.env.clone();
        env.extend(environment::fixed(self.claimed, self.root_url(), None, proxy_url));
        container.run(payload, &env, Instant::now() + Duration::from_secs(payload.max_run_time)).await
    }

    fn root_url(&self) -> &str {
        &self.shop.config.client.config().root_url
    }

    /// An artifact lives at least to the task's deadline and at most as long as the task.
    fn check_expiry(&self, path: &str, expires: Option<Millis>) -> Result<(), Resolution> {
        let status = &self.claimed.status;
        match expires {
            Some(at) if at < status.deadline => {
                Err(Resolution::malformed(format!("{path}: {at} is before the task's deadline, {}", status.deadline)))
            }
            Some(at) if at > status.expires => {
                Err(Resolution::malformed(format!("{path}: {at} is after the task expires, {}", status.expires)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Ends the log with its closing line and publishes it.
    async fn close(&self, resolution: Option<&Resolution>, took: Duration, live: &str, backing: &str) {
        let result = resolution.map_or_else(|| "aborted".to_owned(), ToString::to_string);
        self.log.say(&format!("Task {} after {:.1} s", result.replace('\n', " "), took.as_secs_f64()));
        self.log.finish();
        let upload = self.session.upload(backing, self.log.path(), CONTENT_TYPE, None);
        let published = match upload.await {
            Ok(()) => self.session.link(live, backing).await,
            Err(error) => Err(error),
        };
        if let Err(error) = published {
            tracing::warn!(task = %self.session.task_id, %error, "could not publish a task's log");
        }
    }
}

async fn report(session: &Session, resolution: &Resolution) {
    if let Err(error) = session.resolve(resolution).await {
        let (task, run) = (session.task_id, session.run_id);
        tracing::error!(%task, run, %resolution, %error, "could not resolve a run; its claim will expire");
    }
}

/// A command on one line of bounded length; arguments with odd characters are quoted.
fn shown_command(command: &[String]) -> String {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"'\"\\$`".contains(&b));
    let words = command.iter().map(|word| if plain(word) { word.clone() } else { format!("{word:?}") });
    let line: Vec<String> = words.collect();
    let line = line.join(" ");
    match line.char_indices().nth(1000) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
