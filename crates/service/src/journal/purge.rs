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

impl Journal {
    /// Forgets what has been kept for its time. A request is forgotten only after its end; the same one delivered
    /// again later is a new one to the journal, though its tasks have the ids that they had.
    ///
    /// # Errors
    /// If it can't be written; what was forgotten until then stays so.
    pub async fn purge(&self) -> Result<Purged, JournalError> {
        let keep = self.inner.settings.keep;
        let now = self.now();
        // First what there may be most of, so that no write takes long.
        self.forget(before(now, keep.requests), lines).await?;
        Ok(Purged {
            requests: self.forget(before(now, keep.requests), requests).await?,
            letters: self.forget(before(now, keep.letters), letters).await?,
            audit: self.forget(before(now, keep.audit), audit).await?,
        })
    }

    async fn forget(
        &self,
        before: i64,
        chunk: fn(&Transaction<'_>, i64) -> Result<usize, JournalError>,
    ) -> Result<usize, JournalError> {
        let mut gone = 0;
        loop {
            let more = self.inner.store.write(move |tx| chunk(tx, before)).await?;
            gone += more;
            if more < CHUNK as usize {
                return Ok(gone);
            }
        }
    }
}

fn before(now: Millis, keep: Duration) -> i64 {
    now.epoch().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
}

const OLD: &str = "state NOT IN ('received', 'ready', 'asked', 'cancelling') AND changed < ?";

/// Lines of old requests.
fn lines(tx: &Transaction<'_>, before: i64) -> Result<usize, JournalError> {
    let sql = format!(
        "DELETE FROM lines WHERE n IN
         (SELECT n FROM lines WHERE request IN (SELECT n FROM requests WHERE {OLD}) LIMIT ?)"
    );
    Ok(tx.prepare_cached(&sql)?.execute(params![before, CHUNK])?)
}

fn requests(tx: &Transaction<'_>, before: i64) -> Result<usize, JournalError> {
    let mut statement = tx.prepare_cached(&format!("SELECT n FROM requests WHERE {OLD} LIMIT ?"))?;
    let old = statement.query_map(params![before, CHUNK], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for n in &old {
        for sql in [
            "DELETE FROM lines WHERE request = ?",
            "DELETE FROM steps WHERE request = ?",
            "DELETE FROM outcomes WHERE request = ?",
            "DELETE FROM requests WHERE n = ?",
        ] {
            tx.prepare_cached(sql)?.execute([n])?;
        }
    }
    Ok(old.len())
}

fn letters(tx: &Transaction<'_>, before: i64) -> Result<usize, JournalError> {
    let sql = "DELETE FROM letters WHERE n IN (SELECT n FROM letters WHERE at < ? LIMIT ?)";
    let gone = tx.prepare_cached(sql)?.execute(params![before, CHUNK])?;
    tx.prepare_cached("DELETE FROM wishes WHERE letter NOT IN (SELECT n FROM letters)")?.execute([])?;
    Ok(gone)
}

fn audit(tx: &Transaction<'_>, before: i64) -> Result<usize, JournalError> {
    let sql = "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE at < ? LIMIT ?)";
    Ok(tx.prepare_cached(sql)?.execute(params![before, CHUNK])?)
}
