//! Dead letters: messages that nobody understood, kept so that somebody can look, and have them tried again.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_core::pulse::requester;
use taskgraft_core::time::Millis;
use tokio::sync::watch;

use super::audit::{self, Entry};
use super::{Journal, JournalError, Listed, Page, Window, bounds, receive, rows, steps};
use crate::fingerprint::fingerprint;
use crate::log;
use crate::request::Door;

const SELECT: &str = "SELECT letters.n, at, exchange, routing_key, message_id, reason, body, size, wishes.n, became \
     FROM letters LEFT JOIN wishes ON wishes.letter = letters.n";

/// A message that nobody understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    /// The exchange it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its AMQP message id, if it has one.
    pub message_id: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// It. Of more than 1 MiB the beginning is kept.
    pub body: Vec<u8>,
}

/// A dead letter as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub n: i64,
    /// When it came.
    pub at: Millis,
    /// The message and what is wrong with it.
    pub message: NewLetter,
    /// The size of the whole body in bytes; larger than what is kept if it was cut.
    pub size: u64,
    /// Whether somebody wants it tried again, which has not happened yet.
    pub wanted: bool,
    /// The request that it turned out to be when it was tried again.
    pub became: Option<RequestId>,
}

/// What trying a dead letter again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Settled {
    /// It is this request.
    Request(RequestId),
    /// It is as dead as before, for this reason.
    Dead(String),
}

impl Letter {
    /// Whether only its beginning was kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.size > self.message.body.len() as u64
    }
}

impl Journal {
    /// Keeps a message that nobody understood, enters it into the audit log, and returns its number. One that is here, with
    /// the same message id, or within `window` where it has none, is the same one.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn dead_letter(&self, letter: NewLetter, window: Window) -> Result<i64, JournalError> {
        let (now, most) = (self.now(), self.inner.settings.letters);
        let new = New { entry: refused(&letter), hash: hash(&letter), letter };
        let write = move |tx: &Transaction<'_>| match seen(tx, now, &new, window)? {
            Some(n) => Ok(n),
            None => insert(tx, now, &new, most),
        };
        self.inner.store.write(write).await
    }

    /// Dead letters, the newest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn dead_letters(&self, page: Page) -> Result<Listed<Letter>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let sql = format!("{SELECT} WHERE letters.n < ? ORDER BY letters.n DESC LIMIT ?");
            let mut statement = tx.prepare_cached(&sql)?;
            let found = statement.query(params![page.after.unwrap_or(i64::MAX), page.rows() + 1])?;
            Ok(Listed::read(found, page.rows(), |row| letter(row).map(|letter| (letter.n, letter)))?)
        };
        self.inner.store.read(read).await
    }

    /// One dead letter.
    ///
    /// # Errors
    /// If there is none of that number, or the file can't be read.
    pub async fn letter(&self, n: i64) -> Result<Letter, JournalError> {
        let read = move |tx: &Transaction<'_>| find(tx, n);
        self.inner.store.read(read).await
    }

    /// Wants a dead letter tried again: whoever listens does so. `by` and `why` are for the audit log.
    ///
    /// # Errors
    /// If there is none of that number, if it was cut, or it can't be written.
    pub async fn want_letter(&self, n: i64, by: &str, why: &str) -> Result<(), JournalError> {
        let (now, tides) = (self.now(), self.inner.tides.clone());
        let (by, why) = (by.to_owned(), why.to_owned());
        self.inner
            .store
            .write_then(
                move |tx| Ok(((), want(tx, now, n, (by, why))?)),
                move |mark| steps::raise(&tides.letters, mark),
            )
            .await
    }

    /// Dead letters that somebody wants tried again, those first that were wanted first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn wanted_letters(&self, limit: u32) -> Result<Vec<Letter>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let sql = format!("{SELECT} WHERE wishes.n IS NOT NULL ORDER BY wishes.n LIMIT ?");
            let mut statement = tx.prepare_cached(&sql)?;
            let found = statement.query_map([limit.clamp(1, bounds::ROWS)], letter)?;
            Ok(found.collect::<Result<_, _>>()?)
        };
        self.inner.store.read(read).await
    }

    /// Says what trying a dead letter again came to.
    ///
    /// # Errors
    /// If there is none of that number, or it can't be written.
    pub async fn settle_letter(&self, n: i64, settled: Settled) -> Result<(), JournalError> {
        let now = self.now();
        self.inner.store.write(move |tx| settle(tx, now, n, settled)).await
    }

    /// Wakes whoever holds it when somebody wants a dead letter tried again.
    #[must_use]
    pub fn subscribe_letters(&self) -> watch::Receiver<i64> {
        self.inner.tides.letters.subscribe()
    }
}

/// What the audit log says of a message that comes to nothing.
fn refused(letter: &NewLetter) -> Entry {
    let NewLetter { exchange, routing_key, reason, body, .. } = letter;
    Entry {
        who: requester(body).unwrap_or_else(|| format!("somebody at {exchange}")),
        what: format!("to {exchange} with the key {routing_key}: {}", log::beginning(body)),
        why: reason.clone(),
        outcome: "refused".to_owned(),
        door: Some(Door::Pulse),
        request: None,
    }
}

/// Enters something about the message number `n` into the audit log.
fn enter(tx: &Transaction<'_>, at: Millis, n: i64, entry: Entry) -> Result<(), JournalError> {
    audit::insert(tx, at, &Entry { what: format!("message {n} {}", entry.what), ..entry })
}

/// A message that may be here already.
struct New {
    letter: NewLetter,
    /// For the audit log.
    entry: Entry,
    hash: String,
}

/// What is the same for equal messages only, whatever their ids.
fn hash(letter: &NewLetter) -> String {
    fingerprint([letter.exchange.as_bytes(), letter.routing_key.as_bytes(), &letter.body])
}

/// The number of the message that this one is once more, if it is one.
fn seen(tx: &Transaction<'_>, now: Millis, new: &New, window: Window) -> Result<Option<i64>, JournalError> {
    let from = match &new.letter.message_id {
        // The same id and something else in it is another message.
        Some(_) => i64::MIN,
        None => receive::since(tx, &receive::authority(&new.letter.exchange), now, window)?,
    };
    let mut statement = tx.prepare_cached(
        "UPDATE letters SET seen = ?5 WHERE n = (SELECT n FROM letters WHERE hash = ?1 AND message_id IS ?2 \
         AND iif(?4, coalesce(seen, at), at) >= ?3 ORDER BY n DESC LIMIT 1) RETURNING n",
    )?;
    let id = new.letter.message_id.as_deref().map(|id| bounds::cut(id, bounds::NAME));
    Ok(statement.query_row(params![new.hash, id, from, window.again, now.epoch()], |row| row.get(0)).optional()?)
}

fn insert(tx: &Transaction<'_>, now: Millis, new: &New, most: u32) -> Result<i64, JournalError> {
    let New { letter, entry, hash } = new;
    let mut statement = tx.prepare_cached(
        "INSERT INTO letters (at, exchange, routing_key, message_id, reason, body, size, hash) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let size = i64::try_from(letter.body.len()).unwrap_or(i64::MAX);
    statement.execute(params![
        now.epoch(),
        bounds::cut(&letter.exchange, bounds::NAME),
        bounds::cut(&letter.routing_key, bounds::NAME),
        letter.message_id.as_deref().map(|id| bounds::cut(id, bounds::NAME)),
        bounds::cut(&letter.reason, bounds::REASON),
        letter.body.get(..bounds::BODY).unwrap_or(&letter.body),
        size,
        hash,
    ])?;
    let n = tx.last_insert_rowid();
    // Numbers have no gaps but where letters went for their age, so at most as many stay as may.
    tx.prepare_cached("DELETE FROM letters WHERE n <= ?")?.execute([n - i64::from(most)])?;
    enter(tx, now, n, entry.clone())?;
    Ok(n)
}

fn find(tx: &Transaction<'_>, n: i64) -> Result<Letter, JournalError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} WHERE letters.n = ?"))?;
    let found = statement.query_row([n], letter).optional()?;
    found.ok_or(JournalError::NoLetter(n))
}

fn want(tx: &Transaction<'_>, now: Millis, n: i64, (who, why): (String, String)) -> Result<i64, JournalError> {
    let letter = find(tx, n)?;
    if letter.is_cut() {
        return Err(JournalError::Cut(n));
    }
    let entry = Entry { who, why, outcome: "retried".to_owned(), door: None, ..refused(&letter.message) };
    enter(tx, now, n, entry)?;
    // Wanted twice before anybody looked, it is tried once.
    tx.prepare_cached("INSERT INTO wishes (letter) VALUES (?) ON CONFLICT DO NOTHING")?.execute([n])?;
    let mut statement = tx.prepare_cached("SELECT n FROM wishes WHERE letter = ?")?;
    Ok(statement.query_row([n], |row| row.get(0))?)
}

fn settle(tx: &Transaction<'_>, now: Millis, n: i64, settled: Settled) -> Result<(), JournalError> {
    let message = find(tx, n)?.message;
    let (became, reason) = match settled {
        // The audit log has it as a request.
        Settled::Request(id) => (Some(id), None),
        Settled::Dead(reason) => {
            let message = NewLetter { reason, ..message };
            enter(tx, now, n, refused(&message))?;
            (None, Some(message.reason))
        }
    };
    let mut statement =
        tx.prepare_cached("UPDATE letters SET became = ?2, reason = coalesce(?3, reason) WHERE n = ?1")?;
    let reason = reason.as_deref().map(|reason| bounds::cut(reason, bounds::REASON));
    statement.execute(params![n, became.as_ref().map(RequestId::as_str), reason])?;
    tx.prepare_cached("DELETE FROM wishes WHERE letter = ?")?.execute([n])?;
    Ok(())
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let wanted: Option<i64> = row.get(8)?;
    let became: Option<String> = row.get(9)?;
    Ok(Letter {
        n: row.get(0)?,
        at: rows::moment(row, 1)?,
        message: NewLetter {
            exchange: row.get(2)?,
            routing_key: row.get(3)?,
            message_id: row.get(4)?,
            reason: row.get(5)?,
            body: row.get(6)?,
        },
        size: row.get::<_, i64>(7)?.unsigned_abs(),
        wanted: wanted.is_some(),
        became: if became.is_some() { Some(rows::parsed(row, 9)?) } else { None },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::testing::{FIRST, Place, add, letter, quiet, wish};
    use crate::journal::{AuditFilter, Audited, Settings};
    use crate::{Authority, NewRequest};

    #[tokio::test]
    async fn a_dead_letter_is_tried_again_when_somebody_wants_it() {
        let place = Place::new().await;
        let journal = &place.journal;
        let id = add(journal, "click-1").await.id;
        let (a, b) = (
            journal.dead_letter(letter(b"a"), FIRST).await.unwrap(),
            journal.dead_letter(letter(b"b"), FIRST).await.unwrap(),
        );
        for n in [b, a, b] {
            journal.want_letter(n, "local user 1", "a test").await.unwrap();
        }
        let wanted: Vec<_> = journal.wanted_letters(10).await.unwrap().into_iter().map(|letter| letter.n).collect();
        assert_eq!(wanted, [b, a]);
        journal.settle_letter(b, Settled::Request(id.clone())).await.unwrap();
        journal.settle_letter(a, Settled::Dead("still no JSON".to_owned())).await.unwrap();
        assert_eq!(journal.wanted_letters(10).await.unwrap(), []);
        let kept = journal.dead_letters(Page::first(10)).await.unwrap().items;
        assert_eq!((kept[0].n, &kept[0].became, kept[0].message.reason.as_str()), (b, &Some(id), "no JSON"));
        assert_eq!((kept[1].n, &kept[1].became, kept[1].message.reason.as_str()), (a, &None, "still no JSON"));
        // A new wish has a new number, so that whoever has seen the old ones wakes.
        let mut woken = journal.subscribe_letters();
        woken.mark_unchanged();
        journal.want_letter(a, "local user 1", "a test").await.unwrap();
        assert!(woken.has_changed().unwrap());
        assert!(matches!(journal.want_letter(99, "local user 1", "a test").await, Err(JournalError::NoLetter(99))));
    }

    #[tokio::test]
    async fn a_message_that_comes_again_is_the_letter_that_it_was() {
        let place = Place::new().await;
        let journal = &place.journal;
        let again = Window { again: true, ..FIRST };
        let keep = async |body: &[u8], id: Option<&str>, window: Window| {
            let letter = NewLetter { message_id: id.map(str::to_owned), ..letter(body) };
            journal.dead_letter(letter, window).await.unwrap()
        };
        let named = keep(b"a", Some("m-1"), FIRST).await;
        place.clock.go(Duration::from_secs(7 * 3600));
        assert_eq!(keep(b"a", Some("m-1"), FIRST).await, named);
        assert_ne!(keep(b"a", Some("m-2"), FIRST).await, named);
        assert_ne!(keep(b"b", Some("m-1"), FIRST).await, named, "a publisher may give an id twice");
        let nameless = keep(b"a", None, FIRST).await;
        place.clock.go(FIRST.window);
        assert_eq!(keep(b"a", None, FIRST).await, nameless);
        place.clock.go(Duration::from_millis(1));
        let later = keep(b"a", None, FIRST).await;
        assert_ne!(later, nameless, "another click");
        // Its acknowledgement may have been lost, until others came long after it.
        place.clock.go(Duration::from_secs(3600));
        assert_eq!(keep(b"a", None, again).await, later);
        place.clock.go(Duration::from_secs(3600));
        let mut other = NewRequest { door: Door::Pulse, ..wish("click", "backfill") };
        other.asker.authority = Authority::Policy { exchange: letter(b"").exchange };
        journal.receive(other).await.unwrap();
        place.clock.go(Duration::from_secs(3600));
        let last = keep(b"a", None, again).await;
        assert!(![named, nameless, later].contains(&last));
        assert_eq!(journal.dead_letters(Page::first(100)).await.unwrap().items.len(), 6);
        let entered = journal.audited(AuditFilter::default(), Page::first(100)).await.unwrap().items;
        assert_eq!(entered.iter().filter(|told| told.entry.outcome == "refused").count(), 6, "each once");
    }

    #[tokio::test]
    async fn dead_letters_are_bounded_in_size_and_number() {
        let place = Place::with(Settings { letters: 3, ..quiet() }).await;
        let large = place.journal.dead_letter(letter(&vec![b'x'; 3 * 1024 * 1024]), FIRST).await.unwrap();
        let kept = &place.journal.dead_letters(Page::first(10)).await.unwrap().items[0];
        assert_eq!((kept.size, kept.message.body.len(), kept.is_cut()), (3 * 1024 * 1024, bounds::BODY, true));
        assert!(matches!(place.journal.want_letter(large, "local user 1", "a test").await, Err(JournalError::Cut(_))));
        for n in 0..5 {
            place.journal.dead_letter(letter(&[n]), FIRST).await.unwrap();
        }
        let kept: Vec<_> =
            place.journal.dead_letters(Page::first(10)).await.unwrap().items.iter().map(|kept| kept.n).collect();
        assert_eq!(kept, [large + 5, large + 4, large + 3]);
    }

    #[tokio::test]
    async fn the_audit_log_says_what_became_of_a_message() {
        let place = Place::new().await;
        let journal = &place.journal;
        let garbage = journal.dead_letter(letter(b"{\"requester\": \"ann\""), FIRST).await.unwrap();
        let body = br#"{"requester": "ann@lander.example", "action": "dance", "at": "https://h/?bewit=s3cret"}"#;
        let click = journal.dead_letter(letter(body), FIRST).await.unwrap();
        journal.want_letter(click, "local user 1", "by hand").await.unwrap();
        journal.settle_letter(click, Settled::Dead("nobody can dance".to_owned())).await.unwrap();
        assert!(journal.want_letter(99, "local user 1", "by hand").await.is_err());
        let all = journal.audited(AuditFilter::default(), Page::first(10)).await.unwrap().items;
        let told: Vec<_> = all.iter().rev().map(|Audited { entry, .. }| entry.clone()).collect();
        let what = format!("message {click} to exchange/treeherder/v1/job-actions with the key a.b.c: ");
        assert!(told[1].what.starts_with(&what) && told[1].what.contains("dance"), "{}", told[1].what);
        assert!(!told[1].what.contains("s3cret"), "{}", told[1].what);
        let told: Vec<_> = told
            .iter()
            .map(|entry| (entry.who.as_str(), entry.outcome.as_str(), entry.why.as_str(), entry.door))
            .collect();
        assert_eq!(
            told,
            [
                ("somebody at exchange/treeherder/v1/job-actions", "refused", "no JSON", Some(Door::Pulse)),
                ("ann@lander.example", "refused", "no JSON", Some(Door::Pulse)),
                ("local user 1", "retried", "by hand", None),
                ("ann@lander.example", "refused", "nobody can dance", Some(Door::Pulse)),
            ]
        );
        assert!(all[3].entry.what.contains(&format!("message {garbage} ")), "{:?}", all[3]);
    }
}
