//! Whether what the service needs was there lately: its journal to write in, and the deployment's auth and queue.
//!
//! Somebody looks every few seconds, whoever asks is told what was seen. What fails to answer once is no trouble yet; what
//! has not answered for a while is, until it answers again. So asking costs nothing, and the answer doesn't flap.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use taskgraft_client::{Client, Retry};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::journal::Journal;

/// How it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often.
    pub every: Duration,
    /// How long an answer may take.
    pub within: Duration,
    /// For how long what did answer may fail to.
    pub lately: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { every: seconds(10), within: seconds(5), lately: seconds(45) }
    }
}

/// One look at something: nothing, or why it isn't there.
type Look = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Something that is needed.
pub struct Need {
    name: &'static str,
    look: Look,
}

impl Need {
    /// Something called `name`, which is there if `look` says so.
    pub fn new<L, F, E>(name: &'static str, look: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let look = move || {
            let found = look();
            let found = async move { found.await.map_err(|error| error.to_string()) };
            Box::pin(found) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        Self { name, look: Box::new(look) }
    }

    /// All that a service needs.
    #[must_use]
    pub fn all(journal: &Journal, client: &Client, pace: &Pace) -> Vec<Self> {
        let client = client.with_patience(Retry::never(), pace.within, Arc::default());
        let (auth, queue, journal) = (client.clone(), client, journal.clone());
        vec![
            Self::new("journal", move || {
                let journal = journal.clone();
                async move { journal.try_write().await.map_err(|error| format!("failed to {error}")) }
            }),
            Self::new("auth", move || {
                let auth = auth.clone();
                async move { auth.auth().ping().await.map_err(|error| format!("failed to {error}")) }
            }),
            Self::new("queue", move || {
                let queue = queue.clone();
                async move { queue.queue().ping().await.map_err(|error| format!("failed to {error}")) }
            }),
        ]
    }
}

/// What was seen lately. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reach {
    seen: Arc<Mutex<Vec<Seen>>>,
    looked: watch::Receiver<bool>,
    pace: Pace,
}

/// What was seen of one need.
#[derive(Debug)]
struct Seen {
    name: &'static str,
    /// When it was there last.
    there: Option<Instant>,
    /// Why it wasn't, if it was not at the last look.
    why: Option<String>,
}

/// Something that is needed has not been there lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What: `journal`, `auth` or `queue`.
    pub name: &'static str,
    /// For how long, and why.
    pub why: String,
}

impl Reach {
    /// Looks at all `needs` until `stopping` becomes true, from now on.
    #[must_use]
    pub fn watch(needs: Vec<Need>, pace: Pace, mut stopping: watch::Receiver<bool>) -> Self {
        let seen = needs.iter().map(|need| Seen { name: need.name, there: None, why: None }).collect();
        let seen = Arc::new(Mutex::new(seen));
        let (done, looked) = watch::channel(false);
        let reach = Self { seen, looked, pace };
        let looking = reach.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pace.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    _ = ticks.tick() => {}
                }
                let found = join_all(needs.iter().map(|need| tokio::time::timeout(pace.within, (need.look)())));
                for (need, found) in needs.iter().zip(found.await) {
                    let late = || Err(format!("no answer within {} s", pace.within.as_secs_f32()));
                    looking.note(need.name, found.unwrap_or_else(|_| late()));
                }
                done.send_replace(true);
            }
        });
        reach
    }

    /// What is missing, if anything is. The first who ask wait for the first look.
    ///
    /// # Errors
    /// The first need that was not there lately.
    pub async fn all(&self) -> Result<(), Missing> {
        // Nobody looks any more: the service stops, and says so itself.
        let _ = self.looked.clone().wait_for(|looked| *looked).await;
        let now = Instant::now();
        self.seen().iter().find_map(|seen| seen.missing(now, self.pace.lately)).map_or(Ok(()), Err)
    }

    fn note(&self, name: &'static str, found: Result<(), String>) {
        let mut all = self.seen();
        let Some(seen) = all.iter_mut().find(|seen| seen.name == name) else { return };
        match found {
            Ok(()) => {
                if seen.why.take().is_some() {
                    tracing::info!(need = name, "there again");
                }
                seen.there = Some(Instant::now());
            }
            Err(why) => {
                if seen.why.is_none() {
                    tracing::warn!(need = name, %why, "not there");
                }
                seen.why = Some(why);
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn missing(&self, now: Instant, lately: Duration) -> Option<Missing> {
        let why = self.why.as_ref()?;
        let since = match self.there {
            Some(there) if now.duration_since(there) <= lately => return None,
            Some(there) => format!("not there for {} s", now.duration_since(there).as_secs()),
            None => "never there so far".to_owned(),
        };
        Some(Missing { name: self.name, why: format!("{}: {since}: {why}", self.name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { every: Duration::from_secs(3600), within: Duration::from_millis(200), lately: Duration::from_secs(45) };

    #[test]
    fn what_fails_once_is_no_trouble_and_what_fails_for_a_while_is_until_it_is_back() {
        let there = Instant::now();
        let after = |seconds| there + Duration::from_secs(seconds);
        let missing = |seen: &Seen, seconds| seen.missing(after(seconds), PACE.lately).map(|missing| missing.why);
        let mut seen = Seen { name: "queue", there: Some(there), why: None };
        assert_eq!(missing(&seen, 3600), None, "nobody has looked since, but it was there");
        seen.why = Some("away".to_owned());
        assert_eq!(missing(&seen, 45), None);
        assert_eq!(missing(&seen, 46).unwrap(), "queue: not there for 46 s: away");
        seen.there = None;
        assert_eq!(missing(&seen, 0).unwrap(), "queue: never there so far: away");
    }

    #[tokio::test]
    async fn who_asks_first_waits_for_the_first_look_and_who_does_not_answer_is_not_waited_for() {
        let (_stop, stopping) = watch::channel(false);
        let there = || Need::new("there", || std::future::ready(Ok::<_, &str>(())));
        let silent = Need::new("silent", std::future::pending::<Result<(), &str>>);
        assert_eq!(Reach::watch(vec![there()], PACE, stopping.clone()).all().await, Ok(()));
        let missing = Reach::watch(vec![there(), silent], PACE, stopping).all().await.unwrap_err();
        assert_eq!(missing.why, "silent: never there so far: no answer within 0.2 s");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_look_once_it_stops() {
        let (_stop, stopping) = watch::channel(true);
        let never = Need::new("never", std::future::pending::<Result<(), &str>>);
        let pace = Pace { within: Duration::from_secs(3600), ..PACE };
        assert_eq!(Reach::watch(vec![never], pace, stopping).all().await, Ok(()));
    }
}
