//! One claimed run, from claim to resolution.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use taskgraft_client::Client;
use taskgraft_client::run::{LogServer, Resolution, Session, TaskLog, directory_name};
use taskgraft_core::api::queue::Claimed;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::artifacts;
use super::config::Config;
use super::ending::{Ended, Why};
use super::livelog::Live;
use super::payload::{ActionPayload, LogNames, MalformedPayload};
use crate::action::{Keep, Means, Terms, With, perform};
use crate::own_run::OwnRun;

/// How long an action may take to stop: what is on its way to the queue is awaited, and copies are cancelled.
const STOPPING: Duration = Duration::from_secs(60);
/// How much of what an action says is kept.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// What all runs of a worker share.
pub(crate) struct Shop {
    pub(crate) config: Config,
    /// With the worker's own credentials: runs only use its way to the deployment.
    pub(crate) client: Client,
    /// Serves logs, where that was asked for.
    pub(crate) logs: Option<LogServer>,
    /// True once running actions are to be handed back.
    pub(crate) hand_back: watch::Receiver<bool>,
}

/// Where runs have their directories.
pub(crate) fn runs_dir(work_dir: &Path) -> PathBuf {
    work_dir.join("runs")
}

/// A run at work.
struct Run<'a> {
    shop: &'a Shop,
    claimed: &'a Claimed,
    session: Arc<Session>,
    /// Everything that it writes.
    directory: &'a Path,
    log: &'a TaskLog,
}

/// Performs a claimed action task, to its resolution.
pub(crate) async fn run(shop: &Shop, claimed: Claimed) {
    let (task, run) = (claimed.status.task_id, claimed.run_id);
    let span = tracing::info_span!("run", %task, run);
    async {
        let (began, busy) = (Instant::now(), shop.config.metrics.begin());
        tracing::info!(name = claimed.task.metadata.name, "claimed");
        let working = AssertUnwindSafe(to_its_end(shop, &claimed)).catch_unwind();
        let (resolution, created) = match working.await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::error!("a defect: performing the action panicked");
                let broken =
                    Resolution::internal("perform the action", &"a defect in taskgraft; its worker's log says where");
                report(&Session::new(&shop.client, &claimed), &broken).await;
                (Some(broken), 0)
            }
        };
        drop(busy);
        let (word, took) = (resolution.as_ref().map_or("aborted", Resolution::word), began.elapsed());
        shop.config.metrics.end(word, created, took);
        let why = resolution.map(|resolution| resolution.to_string());
        tracing::info!(resolution = word, why, created, took_ms = took.as_millis(), "ended");
    }
    .instrument(span)
    .await;
}

/// Says how a run ended; where that can't be said, its claim expires.
pub(crate) async fn report(session: &Session, resolution: &Resolution) {
    if let Err(error) = session.resolve(resolution).await {
        let (task, run) = (session.task_id, session.run_id);
        tracing::error!(%task, run, %resolution, %error, "could not resolve a run; its claim will expire");
    }
}

/// How it was resolved, if it was, and how many tasks it created.
async fn to_its_end(shop: &Shop, claimed: &Claimed) -> (Option<Resolution>, usize) {
    let session = Arc::new(Session::new(&shop.client, claimed));
    let directory = runs_dir(&shop.config.work_dir).join(directory_name((session.task_id, session.run_id)));
    let made =
        std::fs::create_dir_all(&directory).and_then(|()| TaskLog::create(&directory.join("live.log"), MAX_LOG_BYTES));
    let log = match made {
        Ok(log) => log,
        Err(error) => {
            let broken = Resolution::internal("making the run's directory", &error);
            report(&session, &broken).await;
            return (Some(broken), 0);
        }
    };
    let run = Run { shop, claimed, session, directory: &directory, log: &log };
    let ended = run.to_its_end().await;
    if let Err(error) = std::fs::remove_dir_all(&directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(directory = %directory.display(), %error, "could not remove a run's directory");
    }
    ended
}

impl Run<'_> {
    async fn to_its_end(&self) -> (Option<Resolution>, usize) {
        let began = Instant::now();
        self.write_header();
        let payload = ActionPayload::read(&self.claimed.task.payload, &self.claimed.status);
        let names = payload.as_ref().map_or_else(|_| LogNames::default(), |payload| payload.logs.clone());
        let max_run_time = payload.as_ref().map_or(0, |payload| payload.max_run_time);
        let live = Live::start(&self.session, self.log, names, self.shop.logs.as_ref(), max_run_time);
        // Until the run is resolved: publishing takes time as well.
        let mut watching = self.watch();
        let (resolution, created) = self.resolution(payload, &mut watching).await;
        let said = resolution.as_ref().map_or_else(|| "aborted".to_owned(), ToString::to_string);
        self.log.say(&format!("Task {} after {:.1} s", said.replace('\n', " "), began.elapsed().as_secs_f64()));
        live.close().await;
        if let Some(resolution) = &resolution {
            report(&self.session, resolution).await;
        }
        (resolution, created)
    }

    fn write_header(&self) {
        let Claimed { status, task, worker_group, worker_id, run_id, .. } = self.claimed;
        self.log.say(&format!("Task {} run {run_id}: {}", status.task_id, task.metadata.name.replace('\n', " ")));
        self.log.say(&format!("Worker {worker_group}/{worker_id} for {}", status.task_queue_id));
        self.log.say(&format!("Group {}, deadline {}", status.task_group_id, status.deadline));
    }

    /// Renews the claim until this is dropped, or the run is no longer this worker's: then it says why.
    fn watch(&self) -> JoinSet<String> {
        let (session, taken_until) = (Arc::clone(&self.session), self.claimed.taken_until.0);
        let mut watching = JoinSet::new();
        watching.spawn(async move { session.watch(taken_until).await });
        watching
    }

    /// Performs the action and publishes what it wrote.
    async fn resolution(
        &self,
        payload: Result<ActionPayload, MalformedPayload>,
        watching: &mut JoinSet<String>,
    ) -> (Option<Resolution>, usize) {
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => return (Some(self.complain(error.into())), 0),
        };
        let out = self.directory.join("out");
        let ended = self.perform(&payload, &out, watching).await;
        if let Some(Why::Gone(why)) = &ended.why {
            self.log.complain(why);
        }
        let created = ended.created();
        let mut resolution = ended.resolution().map(|resolution| self.complain(resolution));
        if let Err(unpublished) = artifacts::publish(&self.session, &out, &payload).await {
            // What failed already stays failed; what is done is not told to anybody without its artifacts.
            let unpublished = self.complain(unpublished);
            if resolution == Some(Resolution::Completed) {
                resolution = Some(unpublished);
            }
        }
        (resolution, created)
    }

    async fn perform(&self, payload: &ActionPayload, out: &Path, watching: &mut JoinSet<String>) -> Ended {
        let config = &self.shop.config;
        let means = Means { client: self.session.client().clone(), cache: config.cache.clone() };
        let own = OwnRun { task: self.session.task_id, run: self.session.run_id };
        let (max_new, project) = (config.max_new, config.project.clone());
        let terms = Terms { max_new, project, ..Terms::of_task(config.policy, own.task) };
        let with = With { terms, keep: Keep::Run(own), out: out.to_owned() };
        let (stop, mut stopping) = watch::channel(false);
        let stopped = async move {
            // Nobody else can ask it any more: that is no reason to stop.
            if stopping.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let say = |line: &str| self.log.output(format!("{line}\n").as_bytes());
        let mut performing = std::pin::pin!(perform(&means, &payload.ask, &with, stopped, say));
        let mut hand_back = self.shop.hand_back.clone();
        let why = tokio::select! {
            result = &mut performing => return Ended { result: Some(result), why: None },
            gone = watching.join_next() => Why::Gone(match gone {
                Some(Ok(why)) => why,
                Some(Err(_)) | None => "nobody renews its claim any more".to_owned(),
            }),
            () = tokio::time::sleep(Duration::from_secs(payload.max_run_time)) => Why::Late(payload.max_run_time),
            // If the supervisor is gone, so is the worker.
            _ = hand_back.wait_for(|now| *now) => Why::Shutdown,
        };
        // Who finds its run gone stops by itself, and cancels what it made: that it is not to be kept from.
        if !matches!(why, Why::Gone(_)) {
            let _ = stop.send(true);
        }
        let result = tokio::time::timeout(STOPPING, performing).await.ok();
        Ended { result, why: Some(why) }
    }

    /// Says in the log what went wrong, if something did.
    fn complain(&self, resolution: Resolution) -> Resolution {
        if let Resolution::Failed(why) | Resolution::Exception(_, why) = &resolution {
            self.log.complain(why);
        }
        resolution
    }
}
