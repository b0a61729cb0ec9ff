//! Who takes requests from the journal and gives them turns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Credentials};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_engine::{Artifacts, Cache};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::fair::Share;
use super::follower;
use super::schedule::Schedule;
use super::turn::{Turn, Work};
use crate::buildbot::Masters;
use crate::config::{Carrying, Project};
use crate::journal::{Call, Calls, Journal, JournalError, Page};
use crate::live::Live;
use crate::pulse::resolver::Resolver;

/// How much is read from the journal at once: between two parts, turns begin and end.
const PAGE: u32 = 500;
/// How long turns may take to come to an end once everything is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// What carrying takes.
pub struct Parts {
    /// Where requests come from.
    pub journal: Journal,
    /// Taskcluster, without credentials.
    pub reader: Client,
    /// The service's own credentials.
    pub credentials: Credentials,
    /// Where downloads are kept.
    pub cache: Cache,
    /// What is heard of tasks.
    pub live: Live,
    /// Who finds pushes.
    pub resolver: Resolver,
    /// The projects that are served, by their short names.
    pub projects: BTreeMap<String, Project>,
    /// Their Buildbot masters.
    pub masters: Arc<Masters>,
    /// How much at once, and how patiently.
    pub limits: Carrying,
}

/// Carries requests until it is stopped.
pub struct Carrier {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Carrier {
    /// Takes up all that is unfinished, and from then on all that comes.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub async fn start(parts: Parts) -> Result<Self, JournalError> {
        let (stop, stopped) = watch::channel(false);
        let (follow, named) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let steps = parts.journal.subscribe();
        let (reader, longest, live) = (parts.reader.clone(), parts.limits.longest_pause, parts.live.clone());
        let mut round = Round::new(parts, *steps.borrow(), follow);
        round.take_up().await?;
        tokio::spawn(follower::follow(reader, longest, live, named, ended));
        let running = tokio::spawn(round.run(steps, ends, stopped));
        Ok(Self { stop, running })
    }

    /// Takes nothing more, and lets turns end; what takes too long is cut off, and taken up by the next start.
    pub async fn stop(self) {
        // It may have ended.
        let _ = self.stop.send(true);
        if let Err(error) = self.running.await {
            tracing::error!("carrying requests has broken off: {error}");
        }
    }
}

/// Everything that is carried.
struct Round {
    work: Arc<Work>,
    at_once: usize,
    longest_pause: Duration,
    /// The last step of the journal that was seen.
    seen: i64,
    schedule: Schedule,
    turns: JoinSet<Turn>,
    busy: HashMap<Id, RequestId>,
    follow: UnboundedSender<TaskId>,
}

impl Round {
    fn new(parts: Parts, seen: i64, follow: UnboundedSender<TaskId>) -> Self {
        let work = Work {
            journal: parts.journal,
            artifacts: Artifacts::Queue(parts.reader.clone(), parts.cache.clone()),
            since: parts.reader.clock().now(),
            reader: parts.reader,
            credentials: parts.credentials,
            cache: parts.cache,
            resolver: parts.resolver,
            projects: parts.projects,
            masters: parts.masters,
            give_up: parts.limits.give_up,
        };
        Self {
            work: Arc::new(work),
            at_once: parts.limits.at_once,
            longest_pause: parts.limits.longest_pause,
            seen,
            schedule: Schedule::default(),
            turns: JoinSet::new(),
            busy: HashMap::new(),
            follow,
        }
    }

    /// What an earlier process left unfinished.
    async fn take_up(&mut self) -> Result<(), JournalError> {
        let mut page = Page::first(PAGE);
        loop {
            let listed = self.work.journal.unfinished(page).await?;
            for caller in listed.items {
                let id = caller.request.clone();
                self.schedule.take(&id, Share::of(caller, &self.work.projects));
            }
            match listed.next {
                Some(next) => page.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn run(
        mut self,
        mut steps: watch::Receiver<i64>,
        mut ends: UnboundedReceiver<TaskId>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut more = false;
        loop {
            self.begin_turns();
            let due = self.schedule.due().unwrap_or_else(|| Instant::now() + self.longest_pause);
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                changed = steps.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                Some(joined) = self.turns.join_next_with_id() => self.turned(joined),
                Some(task) = ends.recv() => self.schedule.ended(task),
                () = std::future::ready(()), if more => {}
                () = tokio::time::sleep_until(due) => {}
            }
            self.schedule.come(Instant::now());
            more = self.seen < *steps.borrow_and_update()
                && self.read().await.unwrap_or_else(|error| {
                    // Read again at the next look, which is soon.
                    tracing::error!(%error, "the journal can't be read");
                    false
                });
        }
        let ends = async { while self.turns.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ends).await.is_err() {
            tracing::info!("some requests are left in the middle: the next start goes on with them");
        }
        self.turns.shutdown().await;
    }

    fn begin_turns(&mut self) {
        while self.turns.len() < self.at_once
            && let Some(id) = self.schedule.next()
        {
            let (work, request) = (Arc::clone(&self.work), id.clone());
            let broken = self.schedule.broken(&id).map(str::to_owned);
            let turn = self.turns.spawn(async move {
                match broken {
                    Some(why) => work.broken(&request, &why).await,
                    None => work.turn(&request).await,
                }
            });
            self.busy.insert(turn.id(), id);
        }
    }

    fn turned(&mut self, joined: Result<(Id, Turn), JoinError>) {
        let (task, turn) = match joined {
            Ok(ended) => ended,
            Err(error) => (error.id(), Turn::Broke(error.to_string())),
        };
        let Some(request) = self.busy.remove(&task) else { return };
        if let Turn::Broke(why) = &turn {
            tracing::error!(%request, %why, "a turn broke off");
        }
        let follow = self.schedule.turned(&request, turn, Instant::now(), self.longest_pause);
        if let Some(task) = follow {
            // The follower lives as long as this.
            let _ = self.follow.send(task);
        }
    }

    /// A part of what has happened in the journal, and whether there is more.
    async fn read(&mut self) -> Result<bool, JournalError> {
        let Calls { calls, seen, more } = self.work.journal.calls(self.seen, PAGE).await?;
        for (call, caller) in calls {
            let id = caller.request.clone();
            let share = Share::of(caller, &self.work.projects);
            match call {
                Call::Wanted => self.schedule.take(&id, share),
                Call::Placed => self.schedule.belongs(&id, share),
            }
        }
        self.seen = seen;
        Ok(more)
    }
}
