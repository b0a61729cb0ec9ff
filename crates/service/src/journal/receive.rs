//! Writing down what comes in.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction, params};
use taskgraft_core::time::Millis;

use super::audit::{self, Entry};
use super::steps::{self, What};
use super::{Journal, JournalError, bounds, rows};
use crate::request::{Authority, NewRequest, Request};
use crate::state::State;

/// How long after an acknowledgement was sent it may still be lost with its connection: that is noticed, and made anew, in
/// less.
const UNSURE: Duration = Duration::from_secs(600);

/// What a request that came in turned out to be. Whichever it is, it is on disk. It comes without its plan and report,
/// which are large.
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
    /// one, or the connection stood: then the broker had long got its acknowledgement.
    ///
    /// # Errors
    /// As [`Journal::receive`].
    pub async fn receive_again(&self, new: NewRequest, window: Duration) -> Result<Received, JournalError> {
        self.receive_as(new, Some(Window { window, again: true })).await
    }

    /// Says that the connection to the broker of these exchanges stands, and that nothing that it brought waits to be
    /// acknowledged.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn connected(&self, exchanges: &[String]) -> Result<(), JournalError> {
        let now = self.now();
        let authorities: Vec<String> = exchanges.iter().map(|exchange| authority(exchange)).collect();
        let write = move |tx: &Transaction<'_>| authorities.iter().try_for_each(|authority| link(tx, authority, now));
        self.inner.store.write(write).await
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
            if let Some((n, found)) = rows::glimpse(tx, &new.id())? {
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

/// For how long what says the same is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// After the last equal one came.
    pub window: Duration,
    /// Whether the broker delivers it again: then that one may be as old as its acknowledgement may have been lost.
    pub again: bool,
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

/// On whose authority messages of an exchange are carried out, as it is kept.
pub(super) fn authority(exchange: &str) -> String {
    // Nothing in it can't be written as JSON.
    serde_json::to_string(&Authority::Policy { exchange: exchange.to_owned() }).unwrap_or_default()
}

/// So many milliseconds since 1970, and so much earlier.
fn before(at: i64, passed: Duration) -> i64 {
    at.saturating_sub(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

/// Notes that a connection stands. Of what was noted before, only the last is kept that is long enough ago to count.
fn link(tx: &Transaction<'_>, authority: &str, now: Millis) -> Result<(), JournalError> {
    tx.prepare_cached("INSERT INTO links (authority, at) VALUES (?, ?)")?.execute(params![authority, now.epoch()])?;
    let mut statement = tx.prepare_cached(
        "DELETE FROM links WHERE authority = ?1 \
         AND at < (SELECT max(at) FROM links WHERE authority = ?1 AND at <= ?2)",
    )?;
    statement.execute(params![authority, before(now.epoch(), UNSURE)])?;
    Ok(())
}

/// From when on an equal one is the same; `authority` is that of messages of its exchange, as JSON.
pub(super) fn since(tx: &Transaction<'_>, authority: &str, now: Millis, window: Window) -> Result<i64, JournalError> {
    let since = before(now.epoch(), window.window);
    if !window.again {
        return Ok(since);
    }
    // What came just now says nothing of the connection before: it may stand behind the redelivered ones in the queue.
    let mut statement = tx.prepare_cached(
        "SELECT max(at) FROM (SELECT max(coalesce(seen, received)) AS at FROM requests \
         WHERE door = 'pulse' AND authority = ?1 AND coalesce(seen, received) <= ?2 \
         UNION ALL SELECT max(at) FROM links WHERE authority = ?1 AND at <= ?2)",
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
        undone: 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{Place, add, wish};
    use crate::journal::{Change, Filter, Page};
    use crate::{Door, Event};
    use taskgraft_core::ids::TaskId;

    #[tokio::test]
    async fn a_second_delivery_is_the_same_request_as_far_as_it_has_come() {
        let place = Place::new().await;
        let first = add(&place.journal, "click-1").await;
        let decision = TaskId::from_bytes([1; 16]);
        let change = Change { decision: Some(decision), plan: Some(true.into()), ..Change::default() };
        place.journal.apply(&first.id, Event::Allowed, change).await.unwrap();
        let again = place.journal.receive(wish("click-1", "add-new-jobs")).await.unwrap();
        let Received::Known(again) = again else { panic!("{again:?}") };
        assert_eq!((&again.id, again.state, again.decision), (&first.id, State::Ready, Some(decision)));
        assert_eq!(again.plan, None, "what is large is not read while others wait to write");
    }

    #[tokio::test]
    async fn a_key_that_is_taken_is_told_with_what_has_it() {
        let place = Place::new().await;
        let first = add(&place.journal, "click-1").await;
        let other = place.journal.receive(wish("click-1", "cancel-all")).await.unwrap();
        assert_eq!(other, Received::Other(first));
        let mut bob = wish("click-1", "cancel-all");
        bob.asker.name = "bob".to_owned();
        assert!(
            matches!(place.journal.receive(bob).await.unwrap(), Received::New(_)),
            "another asker has keys of his own"
        );
    }

    #[tokio::test]
    async fn equal_bodies_are_one_request_within_the_window() {
        let place = Place::new().await;
        let window = Duration::from_secs(60);
        let message = || crate::NewRequest { door: Door::Pulse, ..wish("6f3a", "backfill") };
        let first = place.journal.receive_within(message(), window).await.unwrap();
        place.clock.go(window);
        let second = place.journal.receive_within(message(), window).await.unwrap();
        assert_eq!(second, Received::Known(first.request().clone()));
        place.clock.go(Duration::from_millis(1));
        let third = place.journal.receive_within(message(), window).await.unwrap();
        assert!(matches!(&third, Received::New(request) if request.id != first.request().id), "{third:?}");
        let another = crate::NewRequest { key: "6f3".to_owned(), ..message() };
        assert!(matches!(place.journal.receive_within(another, window).await.unwrap(), Received::New(_)));
    }

    #[tokio::test]
    async fn what_is_delivered_again_is_an_equal_one_whose_acknowledgement_may_be_lost_and_else_a_click_of_its_own() {
        let place = Place::new().await;
        let (minute, hours) = (Duration::from_secs(60), Duration::from_secs(7 * 3600));
        let message = |key: &str| crate::NewRequest { door: Door::Pulse, ..wish(key, "backfill") };
        let other = |key: &'static str| place.journal.receive_within(message(key), minute);
        let again = || place.journal.receive_again(message("6f3a"), minute);
        let first = place.journal.receive_within(message("6f3a"), minute).await.unwrap();
        let is_first = |received: &Received| matches!(received, Received::Known(it) if it.id == first.request().id);
        // Nothing came since: its acknowledgement may have been lost, and the broker away for long.
        place.clock.go(4 * hours);
        assert!(is_first(&again().await.unwrap()));
        // The same once more, while others came after the broker was back: this acknowledgement may be lost as well.
        assert!(matches!(other("behind it").await.unwrap(), Received::New(_)));
        place.clock.go(hours);
        assert!(is_first(&again().await.unwrap()));
        // What comes together with it tells nothing of the connection before.
        place.clock.go(hours);
        other("in the same moment").await.unwrap();
        assert!(is_first(&again().await.unwrap()));
        // Others came long after it, and the connection that had its acknowledgement was there for them.
        place.clock.go(11 * minute);
        other("long after").await.unwrap();
        place.clock.go(11 * minute);
        let elsewhere = crate::NewRequest {
            asker: crate::Asker {
                authority: crate::Authority::Nobody("elsewhere".to_owned()),
                ..message("6f3a").asker
            },
            ..message("6f3a")
        };
        assert!(is_first(&place.journal.receive_again(elsewhere, minute).await.unwrap()), "its exchange was silent");
        place.clock.go(11 * minute);
        other("longer after").await.unwrap();
        place.clock.go(11 * minute);
        let click = again().await.unwrap();
        assert!(matches!(&click, Received::New(it) if it.id != first.request().id), "{click:?}");
        assert_eq!(again().await.unwrap(), Received::Known(click.request().clone()));
    }

    #[tokio::test]
    async fn a_connection_that_stood_long_after_a_message_had_its_acknowledgement() {
        let place = Place::new().await;
        let (minutes, window) = (|n: u64| Duration::from_secs(60 * n), Duration::from_secs(60));
        let exchanges = ["exchange/a", "exchange/b"].map(str::to_owned);
        let message = |exchange: &String| {
            let mut message = crate::NewRequest { door: Door::Pulse, ..wish(exchange, "backfill") };
            message.asker.authority = Authority::Policy { exchange: exchange.clone() };
            message
        };
        let again = |exchange| place.journal.receive_again(message(exchange), window);
        for exchange in &exchanges {
            place.journal.receive_within(message(exchange), window).await.unwrap();
        }
        // Just after them, and just before they come again: neither says anything.
        place.clock.go(minutes(9));
        place.journal.connected(&exchanges).await.unwrap();
        place.clock.go(minutes(60));
        place.journal.connected(&exchanges).await.unwrap();
        assert!(matches!(again(&exchanges[0]).await.unwrap(), Received::Known(_)));
        for _ in 0..5 {
            place.journal.connected(&exchanges[..1]).await.unwrap();
            place.clock.go(minutes(5));
        }
        assert!(matches!(again(&exchanges[0]).await.unwrap(), Received::New(_)));
        assert!(matches!(again(&exchanges[1]).await.unwrap(), Received::New(_)));
        let kept = place
            .journal
            .inner
            .store
            .read(|tx| Ok::<i64, JournalError>(tx.query_row("SELECT count(*) FROM links", [], |row| row.get(0))?));
        assert!(kept.await.unwrap() <= 6, "what counts no more is forgotten");
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_received() {
        let place = Place::new().await;
        let mut large = wish("click-1", "add-new-jobs");
        large.asked.input = "x".repeat(bounds::ASKED).into();
        let refused = place.journal.receive(large).await;
        assert!(matches!(refused, Err(JournalError::TooLarge { what: "what is asked", .. })), "{refused:?}");
        assert!(place.journal.receive(wish(&"k".repeat(2000), "add-new-jobs")).await.is_err());
        assert_eq!(place.journal.list(Filter::default(), Page::first(10)).await.unwrap().items, []);
    }
}
