//! What was logged about a request, so that one can be followed without the whole log.

use rusqlite::{Row, Transaction, params};
use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;

use super::{Journal, JournalError, Listed, Page, bounds, rows};

/// A line to keep. It is cut at 16 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// About which request.
    pub request: RequestId,
    /// When it was logged.
    pub at: Millis,
    /// The line, without its end.
    pub text: String,
}

/// A line that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number.
    pub n: i64,
    /// When it was logged.
    pub at: Millis,
    /// The line.
    pub text: String,
}

impl Journal {
    /// Keeps log lines, all or none. Those of requests that are not in the journal are dropped, and so is what a
    /// request has beyond 10,000.
    ///
    /// # Errors
    /// If they can't be written.
    pub async fn log(&self, lines: Vec<NewLine>) -> Result<(), JournalError> {
        self.inner.store.write(move |tx| lines.iter().try_for_each(|line| insert(tx, line))).await
    }

    /// What was logged about a request, the oldest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn log_of(&self, id: &RequestId, page: Page) -> Result<Listed<Line>, JournalError> {
        let id = id.clone();
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT lines.n, at, text FROM lines JOIN requests ON requests.n = lines.request \
                 WHERE id = ? AND lines.n > ? ORDER BY lines.n LIMIT ?",
            )?;
            let after = page.after.unwrap_or(0);
            let found = statement.query(params![id.as_str(), after, page.rows() + 1])?;
            let line = |row: &Row<'_>| {
                let line = Line { n: row.get(0)?, at: rows::moment(row, 1)?, text: row.get(2)? };
                Ok((line.n, line))
            };
            Ok(Listed::read(found, page.rows(), line)?)
        };
        self.inner.store.read(read).await
    }
}

fn insert(tx: &Transaction<'_>, line: &NewLine) -> Result<(), JournalError> {
    let mut count = tx.prepare_cached("UPDATE requests SET lines = lines + 1 WHERE id = ? AND lines < ?")?;
    if count.execute(params![line.request.as_str(), bounds::LINES])? == 0 {
        return Ok(());
    }
    let mut statement =
        tx.prepare_cached("INSERT INTO lines (request, at, text) SELECT n, ?2, ?3 FROM requests WHERE id = ?1")?;
    statement.execute(params![line.request.as_str(), line.at.epoch(), bounds::cut(&line.text, bounds::LINE)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{Place, add};

    #[tokio::test]
    async fn log_lines_are_kept_per_request_and_bounded() {
        let place = Place::new().await;
        let id = add(&place.journal, "click-1").await.id;
        let line = |request: &taskgraft_core::ids::RequestId, text: &str| NewLine {
            request: request.clone(),
            at: place.journal.now(),
            text: text.to_owned(),
        };
        let other = "other".parse().unwrap();
        place.journal.log(vec![line(&id, "one"), line(&other, "lost"), line(&id, &"ä".repeat(20_000))]).await.unwrap();
        place.journal.log((0..10_050).map(|n| line(&id, &n.to_string())).collect()).await.unwrap();
        let mut kept = Vec::new();
        let mut page = Page::first(1000);
        loop {
            let part = place.journal.log_of(&id, page).await.unwrap();
            kept.extend(part.items);
            page.after = part.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(kept.len(), 10_000);
        assert_eq!((kept[0].text.as_str(), kept[1].text.len()), ("one", 16 * 1024));
        assert_eq!(place.journal.log_of(&other, Page::first(10)).await.unwrap().items, []);
    }
}
