//! Forgetting what has been kept long enough.

use std::time::Duration;

use rusqlite::{Transaction, params};
use taskgraft_core::time::Millis;

use super::{Journal, JournalError};

/// How many rows one transaction forgets: others want to write as well.
const CHUNK: u32 = 500;

/// How much was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Requests, with their steps and log lines.
    pub requests: usize,
    /// Messages that nobody understood.
    pub letters: usize,
    /// Entries of the audit log.
    pub audit: usize,
}

/// What one transaction has forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    gone: usize,
    /// Whether there may be more.
    more: bool,
}

impl Chunk {
    fn of(gone: usize) -> Self {
        Self { gone, more: gone == CHUNK as usize }
    }
}

impl Journal {
    /// Forgets what has been kept for its time. A request is forgotten only after its end; the same one delivered
    /// again later is a new one to the journal, though its tasks have the ids that they had.
    ///
    /// # Errors
    /// If it can't be written; what was forgotten until then stays so. Likewise if this is dropped before it is ready.
    pub async fn purge(&self) -> Result<Purged, JournalError> {
        let keep = self.inner.settings.keep;
        let now = self.now();
        Ok(Purged {
            requests: self.forget(before(now, keep.requests), requests).await?,
            letters: self.forget(before(now, keep.letters), letters).await?,
            audit: self.forget(before(now, keep.audit), audit).await?,
        })
    }

    async fn forget(
        &self,
        before: i64,
        chunk: fn(&Transaction<'_>, i64) -> Result<Chunk, JournalError>,
    ) -> Result<usize, JournalError> {
        let mut gone = 0;
        loop {
            let forgotten = self.inner.store.write(move |tx| chunk(tx, before)).await?;
            gone += forgotten.gone;
            if !forgotten.more {
                return Ok(gone);
            }
        }
    }
}

fn before(now: Millis, keep: Duration) -> i64 {
    now.epoch().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
}

const OLD: &str = "state NOT IN ('received', 'ready', 'asked', 'cancelling') AND changed < ?";

fn requests(tx: &Transaction<'_>, before: i64) -> Result<Chunk, JournalError> {
    let mut statement = tx.prepare_cached(&format!("SELECT n FROM requests WHERE {OLD} LIMIT ?"))?;
    let old = statement.query_map(params![before, CHUNK], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let mut left = CHUNK;
    for (gone, n) in old.iter().enumerate() {
        // There may be many of them: they go before their request, some at a time.
        let sql = "DELETE FROM lines WHERE n IN (SELECT n FROM lines WHERE request = ? LIMIT ?)";
        let lines = tx.prepare_cached(sql)?.execute(params![n, left])?;
        left = left.saturating_sub(u32::try_from(lines).unwrap_or(CHUNK));
        if left == 0 {
            return Ok(Chunk { gone, more: true });
        }
        for sql in [
            "DELETE FROM steps WHERE request = ?",
            "DELETE FROM outcomes WHERE request = ?",
            "DELETE FROM requests WHERE n = ?",
        ] {
            tx.prepare_cached(sql)?.execute([n])?;
        }
        left -= 1;
    }
    Ok(Chunk::of(old.len()))
}

fn letters(tx: &Transaction<'_>, before: i64) -> Result<Chunk, JournalError> {
    let sql = "DELETE FROM letters WHERE n IN (SELECT n FROM letters WHERE at < ? LIMIT ?)";
    let gone = tx.prepare_cached(sql)?.execute(params![before, CHUNK])?;
    tx.prepare_cached("DELETE FROM wishes WHERE letter NOT IN (SELECT n FROM letters)")?.execute([])?;
    Ok(Chunk::of(gone))
}

fn audit(tx: &Transaction<'_>, before: i64) -> Result<Chunk, JournalError> {
    let sql = "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE at < ? LIMIT ?)";
    Ok(Chunk::of(tx.prepare_cached(sql)?.execute(params![before, CHUNK])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use crate::journal::testing::{FIRST, Place, add, letter, quiet};
    use crate::journal::{Change, Keep, NewLine, Settings};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[tokio::test]
    async fn what_has_ended_is_forgotten_after_its_time_and_nothing_before() {
        let keep = Keep { requests: 10 * DAY, letters: 5 * DAY, audit: 20 * DAY };
        let place = Place::with(Settings { keep, ..quiet() }).await;
        let journal = &place.journal;
        let (open, ended) = (add(journal, "open").await.id, add(journal, "ended").await.id);
        journal.dead_letter(letter(b"x"), FIRST).await.unwrap();
        place.clock.go(5 * DAY);
        journal.apply(&ended, Event::Failed, Change { plan: Some(1.into()), ..Change::default() }).await.unwrap();
        journal.log(vec![NewLine { request: ended.clone(), at: journal.now(), text: "x".to_owned() }]).await.unwrap();
        assert_eq!(journal.purge().await.unwrap(), Purged::default());
        place.clock.go(Duration::from_millis(1));
        assert_eq!(journal.purge().await.unwrap(), Purged { letters: 1, ..Purged::default() });
        place.clock.go(10 * DAY);
        let seq = *journal.subscribe().borrow();
        assert_eq!(journal.purge().await.unwrap(), Purged { requests: 1, ..Purged::default() });
        assert_eq!(journal.get(&ended).await.unwrap(), None);
        assert_eq!(journal.steps_of(&ended).await.unwrap(), []);
        assert!(journal.get(&open).await.unwrap().is_some(), "it has not ended");
        let left: i64 = journal
            .inner
            .store
            .read(|tx| {
                let sql = "SELECT (SELECT count(*) FROM lines) + (SELECT count(*) FROM outcomes)";
                Ok::<_, JournalError>(tx.query_row(sql, [], |row| row.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!(left, 0);
        place.clock.go(10 * DAY);
        assert_eq!(journal.purge().await.unwrap(), Purged { audit: 4, ..Purged::default() });
        // Numbers are not given out again, though the step that had the last one is forgotten.
        let again = place.again(quiet()).await;
        assert_eq!(*again.subscribe().borrow(), seq);
    }
    #[tokio::test]
    async fn a_request_with_many_lines_is_forgotten_in_parts() {
        let place = Place::new().await;
        let journal = &place.journal;
        let [first, last] = ["first", "last"].map(|key| add(journal, key));
        for id in [first.await.id, last.await.id] {
            let line = || NewLine { request: id.clone(), at: journal.now(), text: "x".to_owned() };
            journal.log(std::iter::repeat_with(line).take(CHUNK as usize + 100).collect()).await.unwrap();
            journal.apply(&id, Event::Failed, Change::default()).await.unwrap();
        }
        let before = journal.now().epoch() + 1;
        let mut chunks = Vec::new();
        while chunks.last().is_none_or(|chunk: &Chunk| chunk.more) {
            chunks.push(journal.inner.store.write(move |tx| requests(tx, before)).await.unwrap());
        }
        let chunk = |gone, more| Chunk { gone, more };
        assert_eq!(chunks, [chunk(0, true), chunk(1, true), chunk(1, false)]);
    }
}
