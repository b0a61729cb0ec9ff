//! Writing down what comes in.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction, params};
use taskgraft_core::time::Millis;

use super::audit::{self, Entry};
use super::steps::{self, What};
use super::{Journal, JournalError, bounds, rows};
use crate::request::{NewRequest, Request};
use crate::state::State;

/// How long after an acknowledgement was sent it may still be lost with its connection: that is noticed, and made anew, in
/// less.
const UNSURE: Duration = Duration::from_secs(600);

/// What a request that came in turned out to be. Whichever it is, it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is new.
    New(Request),
    /// It came before, and this is what has become of it since.
    Known(Request),
    /// Its key is taken by this request, which asks for something else: the one that came is to be refused.
    Other(Request),
}

impl Received {
    /// The request that is in the journal.
    #[must_use]
    pub fn request(&self) -> &Request {
        match self {
            Self::New(request) | Self::Known(request) | Self::Other(request) => request,
        }
    }
}

impl Journal {
    /// Writes a request down, unless the same one is there. Many may call this at once, and should: those who do share
    /// one write to the disk.
    ///
    /// # Errors
    /// If it is too large, or can't be written: then it was not received.
    pub async fn receive(&self, new: NewRequest) -> Result<Received, JournalError> {
        self.receive_as(new, None).await
    }

    /// The same for a request whose key is but a hash of what it says: within `window` of the last one an equal one is
    /// the same request, later it is a new one, and its key then ends with when it came.
    ///
    /// # Errors
    /// As [`Journal::receive`].
    pub async fn receive_within(&self, new: NewRequest, window: Duration) -> Result<Received, JournalError> {
        self.receive_as(new, Some(Window { window, again: false })).await
    }

    /// The same for a message that the broker says it delivers again: it may be an equal one that is here, however old,
    /// whose acknowledgement was lost. It is not if other messages of its exchange came ten minutes and more after that
    /// one: then the broker had long got its acknowledgement.
    ///
    /// # Errors
    /// As [`Journal::receive`].
    pub async fn receive_again(&self, new: NewRequest, window: Duration) -> Result<Received, JournalError> {
        self.receive_as(new, Some(Window { window, again: true })).await
    }

    async fn receive_as(&self, new: NewRequest, window: Option<Window>) -> Result<Received, JournalError> {
        bounds::check("a key", &new.key, bounds::NAME)?;
        bounds::check("an asker's name", &new.asker.name, bounds::NAME)?;
        let texts = Texts::of(&new)?;
        let now = self.now();
        let write = move |tx: &Transaction<'_>| {
            let mut new = new;
            if let Some(window) = window {
                new.key = windowed(tx, &new.key, &texts.authority, now, window)?;
            }
            if let Some((n, found)) = rows::find(tx, &new.id())? {
                let same = found.asked == new.asked;
                if same && window.is_some() {
                    tx.prepare_cached("UPDATE requests SET seen = ?2 WHERE n = ?1")?
                        .execute(params![n, now.epoch()])?;
                }
                return Ok((if same { Received::Known(found) } else { Received::Other(found) }, None));
            }
            let request = fresh(new, now);
            let seq = insert(tx, &request, &texts)?;
            Ok((Received::New(request), Some(seq)))
        };
        let tides = self.inner.tides.clone();
        let raise = move |seq| tides.step(seq);
        self.inner.store.write_then(write, raise).await
    }
}

/// What of a request is kept as JSON.
struct Texts {
    asked: String,
    authority: String,
}

impl Texts {
    fn of(new: &NewRequest) -> Result<Self, JournalError> {
        // Only a map with keys that are no strings can't be written as JSON, and there is none in these.
        let text = |value: serde_json::Result<String>| value.unwrap_or_default();
        let texts = Self {
            asked: text(serde_json::to_string(&new.asked)),
            authority: text(serde_json::to_string(&new.asker.authority)),
        };
        bounds::check("what is asked", &texts.asked, bounds::ASKED)?;
        bounds::check("an authority", &texts.authority, bounds::ASKED)?;
        Ok(texts)
    }
}

/// For how long a hash names one request.
#[derive(Debug, Clone, Copy)]
struct Window {
    window: Duration,
    /// Whether the broker delivers it again.
    again: bool,
}

/// The key of the last request with this hash if that came within the window, else a new one.
fn windowed(
    tx: &Transaction<'_>,
    hash: &str,
    authority: &str,
    now: Millis,
    window: Window,
) -> Result<String, JournalError> {
    // `0` follows `/`: between them is every key that begins with the hash and a slash.
    let (from, to) = (format!("{hash}/"), format!("{hash}0"));
    let since = since(tx, authority, now, window)?;
    let mut statement = tx.prepare_cached(
        "SELECT key FROM requests WHERE key > ?1 AND key < ?2 \
         AND iif(?4, coalesce(seen, received), received) >= ?3 ORDER BY n DESC LIMIT 1",
    )?;
    let last = statement.query_row(params![from, to, since, window.again], |row| row.get(0));
    Ok(last.optional()?.unwrap_or_else(|| format!("{hash}/{now}")))
}

/// From when on an equal request is the same one.
fn since(tx: &Transaction<'_>, authority: &str, now: Millis, window: Window) -> Result<i64, JournalError> {
    let before = |at: i64, passed: Duration| at.saturating_sub(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX));
    let since = before(now.epoch(), window.window);
    if !window.again {
        return Ok(since);
    }
    // What came just now says nothing of the connection before: it may stand behind the redelivered ones in the queue.
    let mut statement = tx.prepare_cached(
        "SELECT max(coalesce(seen, received)) FROM requests \
         WHERE door = 'pulse' AND authority = ?1 AND coalesce(seen, received) <= ?2",
    )?;
    let last: Option<i64> = statement.query_row(params![authority, before(now.epoch(), UNSURE)], |row| row.get(0))?;
    Ok(since.min(last.map_or(i64::MIN, |last| before(last, UNSURE))))
}

fn fresh(new: NewRequest, now: Millis) -> Request {
    Request {
        id: new.id(),
        project: new.asked.project.clone().or_else(|| new.asked.push.project().map(str::to_owned)),
        key: new.key,
        door: new.door,
        asker: new.asker,
        asked: new.asked,
        state: State::Received,
        decision: None,
        builds: None,
        action_task: None,
        plan: None,
        report: None,
        error: None,
        with_dependencies: false,
        received: now,
        changed: now,
        retries: 0,
    }
}

fn insert(tx: &Transaction<'_>, request: &Request, texts: &Texts) -> Result<i64, JournalError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO requests (id, key, door, asker, authority, asked, project, state, received, changed) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?9, ?9)",
    )?;
    statement.execute(params![
        request.id.as_str(),
        request.key,
        request.door.as_str(),
        request.asker.name,
        texts.authority,
        texts.asked,
        request.project,
        request.state.as_str(),
        request.received.epoch(),
    ])?;
    let n = tx.last_insert_rowid();
    audit::insert(tx, request.received, &Entry::of(request, &request.asker.name, "", "received"))?;
    steps::insert(tx, n, request.received, What::Received, request.state)
}
