//! Everything that happened to requests, in order, and waking those who wait for more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;
use taskgraft_store::Store;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Inner, Journal, JournalError, bounds, rows};
use crate::state::{Event, State};

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number. Later steps have larger ones; there may be gaps.
    pub seq: i64,
    /// The request.
    pub request: RequestId,
    /// When.
    pub at: Millis,
    /// What.
    pub what: What,
    /// The request's state from then on.
    pub state: State,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was written down.
    Received,
    /// Something more is known of it.
    Facts,
    /// Its state changed.
    Event(Event),
}

impl What {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Facts => "facts",
            Self::Event(event) => event.as_str(),
        }
    }

    fn named(word: &str) -> Option<Self> {
        match word {
            "received" => Some(Self::Received),
            "facts" => Some(Self::Facts),
            word => Event::named(word).map(Self::Event),
        }
    }
}

impl Serialize for What {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Journal {
    /// The first `limit` steps after number `seq`; 1000 at once are the most.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn since(&self, seq: i64, limit: u32) -> Result<Vec<Step>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT seq, id, at, what, steps.state FROM steps JOIN requests ON requests.n = steps.request \
                 WHERE seq > ? ORDER BY seq LIMIT ?",
            )?;
            let found = statement.query_map((seq, limit.clamp(1, bounds::ROWS)), step)?;
            Ok(found.collect::<Result<_, _>>()?)
        };
        self.inner.store.read(read).await
    }

    /// The steps of one request, the first 1000.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn steps_of(&self, id: &RequestId) -> Result<Vec<Step>, JournalError> {
        let id = id.clone();
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT seq, id, at, what, steps.state FROM steps JOIN requests ON requests.n = steps.request \
                 WHERE id = ? ORDER BY seq LIMIT ?",
            )?;
            let found = statement.query_map(params![id.as_str(), bounds::ROWS], step)?;
            Ok(found.collect::<Result<_, _>>()?)
        };
        self.inner.store.read(read).await
    }

    /// Which of these events has happened to a request last, if any has.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn last_of(&self, id: &RequestId, events: &'static [Event]) -> Result<Option<Event>, JournalError> {
        let id = id.clone();
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached("SELECT n FROM requests WHERE id = ?")?;
            let n = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
            Ok(n.map(|n| last_of(tx, n, events)).transpose()?.flatten())
        };
        self.inner.store.read(read).await
    }

    /// The number of the newest step; whoever holds this wakes when there is a newer one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.inner.tides.steps.subscribe()
    }
}

fn step(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        seq: row.get(0)?,
        request: rows::parsed(row, 1)?,
        at: rows::moment(row, 2)?,
        what: rows::word(row, 3, What::named)?,
        state: rows::word(row, 4, State::named)?,
    })
}

/// Which of these events has happened last to the request in row `n`.
pub(super) fn last_of(tx: &Transaction<'_>, n: i64, events: &[Event]) -> rusqlite::Result<Option<Event>> {
    let mut statement = tx.prepare_cached("SELECT what FROM steps WHERE request = ? ORDER BY seq DESC")?;
    let mut rows = statement.query([n])?;
    while let Some(row) = rows.next()? {
        if let What::Event(event) = rows::word(row, 0, What::named)?
            && events.contains(&event)
        {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// Writes a step down, and returns its number.
pub(super) fn insert(tx: &Transaction<'_>, n: i64, at: Millis, what: What, state: State) -> Result<i64, JournalError> {
    let mut statement = tx.prepare_cached("INSERT INTO steps (request, at, what, state) VALUES (?, ?, ?, ?)")?;
    statement.execute(params![n, at.epoch(), what.as_str(), state.as_str()])?;
    Ok(tx.last_insert_rowid())
}

/// How far the journal has come: the newest step, and the newest wish to try a message again.
#[derive(Clone)]
pub(super) struct Tides {
    steps: Arc<watch::Sender<i64>>,
    pub(super) letters: Arc<watch::Sender<i64>>,
}

impl Tides {
    pub(super) async fn of(store: &Store) -> Result<Self, JournalError> {
        let (steps, letters) = store.read(marks).await?;
        Ok(Self { steps: Arc::new(watch::Sender::new(steps)), letters: Arc::new(watch::Sender::new(letters)) })
    }

    /// A step was written.
    pub(super) fn step(&self, seq: Option<i64>) {
        if let Some(seq) = seq {
            raise(&self.steps, seq);
        }
    }
}

/// Numbers only grow: one that comes late wakes nobody.
pub(super) fn raise(mark: &watch::Sender<i64>, to: i64) {
    mark.send_if_modified(|mark| {
        let higher = to > *mark;
        *mark = to.max(*mark);
        higher
    });
}

/// The numbers given out last, which stay known when what had them is forgotten.
pub(super) fn marks(tx: &Transaction<'_>) -> Result<(i64, i64), JournalError> {
    let mut statement = tx.prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?")?;
    let mut mark = |table| statement.query_row([table], |row| row.get(0));
    Ok((mark("steps")?, mark("wishes")?))
}

/// Looks every so often whether another process has written, until the journal is closed.
pub(super) async fn look(journal: Weak<Inner>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = journal.upgrade() else { return };
        // A file that can't be read now is looked at again: whoever reads or writes it is told why.
        if let Ok((steps, letters)) = inner.store.read(marks).await {
            raise(&inner.tides.steps, steps);
            raise(&inner.tides.letters, letters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{FIRST, Place, add, letter, quiet, wish};
    use crate::journal::{Change, Settings};

    #[tokio::test]
    async fn whoever_waits_for_steps_misses_none() {
        let place = Place::new().await;
        let mut woken = place.journal.subscribe();
        let id = add(&place.journal, "click-1").await.id;
        woken.changed().await.unwrap();
        let seen = *woken.borrow_and_update();
        assert_eq!(place.journal.since(0, 10).await.unwrap().last().unwrap().seq, seen);
        place.journal.apply(&id, Event::Allowed, Change::default()).await.unwrap();
        place.journal.facts(&id, Change::default()).await.unwrap();
        woken.changed().await.unwrap();
        let what: Vec<_> =
            place.journal.since(seen, 10).await.unwrap().into_iter().map(|step| (step.what, step.state)).collect();
        assert_eq!(what, [(What::Event(Event::Allowed), State::Ready), (What::Facts, State::Ready)]);
        // A delivery that changes nothing is no step.
        place.journal.receive(wish("click-1", "add-new-jobs")).await.unwrap();
        assert_eq!(place.journal.steps_of(&id).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn what_another_writes_wakes_those_who_wait_here() {
        let place = Place::with(Settings { look: Some(Duration::from_millis(5)), ..Settings::default() }).await;
        let (mut steps, mut letters) = (place.journal.subscribe(), place.journal.subscribe_letters());
        let other = place.again(quiet()).await;
        let id = add(&other, "click-1").await.id;
        steps.changed().await.unwrap();
        assert_eq!(place.journal.since(0, 10).await.unwrap()[0].request, id);
        let n = other.dead_letter(letter(b"{"), FIRST).await.unwrap();
        other.want_letter(n, "local user 1", "a test").await.unwrap();
        letters.changed().await.unwrap();
        assert_eq!(place.journal.wanted_letters(10).await.unwrap()[0].n, n);
    }
}
