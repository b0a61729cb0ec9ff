//! What the endpoints share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use taskgraft_client::{Client, Retry};
use taskgraft_core::ids::TaskId;
use taskgraft_engine::{Artifacts, Cache, Memory, Previews};
use tokio::sync::watch;

use super::calls::Calls;
use super::crowd::Crowd;
use super::jobs::{Jobs, States};
use super::metrics::Metrics;
use super::places::Places;
use super::problem::{Kind, Problem};
use super::pushes::Known;
use super::rate::Rate;
use super::room::Room;
use super::settings::Settings;
use super::who::Judge;
use crate::buildbot::Masters;
use crate::journal::Journal;
use crate::live::Live;
use crate::pulse::Counters;
use crate::reach::Reach;

/// How long one try of a call to Taskcluster may take, and how often it is tried, while somebody waits.
const TRY_WITHIN: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// How many names of pushes are remembered.
const MAX_NAMES: u64 = 1000;

/// What the HTTP door is made of.
pub struct Parts {
    /// Taskcluster, as the service sees it: what it may read, anybody can be shown.
    pub client: Client,
    /// Decision tasks' artifacts.
    pub cache: Cache,
    /// Where requests are written down.
    pub journal: Journal,
    /// Where builders live that a preview may name.
    pub masters: Arc<Masters>,
    /// What becomes of tasks, as queue exchanges tell it.
    pub live: Live,
    /// What the pulse listener counts, if there is one.
    pub listened: Option<Arc<Counters>>,
    /// Whether what is needed was there lately; asked for `/ready`.
    pub reach: Reach,
    /// Becomes true when the service stops: who follows events is let go.
    pub stopping: watch::Receiver<bool>,
    /// Bounds and names.
    pub settings: Settings,
}

/// What the endpoints share.
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) client: Client,
    pub(super) artifacts: Artifacts,
    pub(super) journal: Journal,
    pub(super) masters: Arc<Masters>,
    pub(super) live: Live,
    pub(super) listened: Option<Arc<Counters>>,
    pub(super) reach: Reach,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) judge: Judge,
    pub(super) rate: Rate,
    /// Calls that were turned away and are only counted.
    pub(super) crowd: Crowd,
    /// For large bodies and answers.
    pub(super) room: Room,
    /// Signatures being judged.
    pub(super) judging: Arc<Places>,
    /// Calls being worked on.
    pub(super) working: Arc<Places>,
    /// Calls that wait for a request's end.
    pub(super) waiting: Arc<Places>,
    /// Followers of events.
    pub(super) following: Arc<Places>,
    /// Calls that are seen through whether or not their callers wait.
    pub(super) calls: Calls,
    pub(super) metrics: Arc<Metrics>,
    pub(super) previews: Previews,
    /// Decision tasks by `PROJECT@REVISION`.
    pub(super) names: Memory<String, TaskId>,
    /// Pushes by project.
    pub(super) lists: Memory<String, Known>,
    /// What a push's graph says of its jobs, by decision task and its number of runs.
    pub(super) jobs: Memory<(TaskId, usize), Jobs>,
    pub(super) states: Memory<TaskId, States>,
}

impl App {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { client, cache, journal, masters, live, listened, reach, stopping, settings } = parts;
        let retry = Retry { tries: TRIES, ..Retry::default() };
        let client = client.with_patience(retry, TRY_WITHIN, Arc::new(AtomicBool::new(false)));
        let artifacts = Artifacts::Queue(client.clone(), cache);
        let (fresh, labels) = (settings.fresh, settings.memory_labels);
        Self {
            judge: Judge::new(client.clone(), settings.public_url.clone()),
            rate: Rate::new(settings.per_minute),
            crowd: Crowd::default(),
            room: Room::new(settings.room_bytes),
            judging: Places::new(settings.in_flight),
            working: Places::new(settings.in_flight),
            waiting: Places::new(settings.waiting),
            following: Places::new(settings.subscribers),
            calls: Calls::default(),
            metrics: Arc::default(),
            previews: Previews::new(client.clone(), artifacts.clone(), fresh, labels),
            names: Memory::for_a_while(MAX_NAMES, fresh),
            lists: Memory::for_a_while(labels, fresh),
            jobs: Memory::new(labels),
            states: Memory::for_a_while(labels, fresh),
            settings,
            client,
            artifacts,
            journal,
            masters,
            live,
            listened,
            reach,
            stopping,
        }
    }

    /// Waits until the service stops.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // Nobody is left to say so: it is over as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// What `work` gives, if it does in time.
    ///
    /// # Errors
    /// What it fails with, or that it took too long.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let within = self.settings.answer_within;
        // On the heap: what is asked of Taskcluster goes many calls deep.
        tokio::time::timeout(within, Box::pin(work)).await.unwrap_or_else(|_| {
            let slow = Problem::new(Kind::UpstreamSlow, format!("no answer within {} s", within.as_secs()));
            Err(slow.after(5))
        })
    }
}
