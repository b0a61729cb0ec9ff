//! Who is to have a turn: what of the journal whoever carries requests reads, small however large the requests are.

use rusqlite::{Row, Transaction, params};
use taskgraft_core::ids::RequestId;

use super::steps::{self, What};
use super::{Journal, JournalError, Listed, Page, bounds, rows};
use crate::state::Event;

/// A request that is not at its end, and out of whose share its turns come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The request.
    pub request: RequestId,
    /// The project of its push: as the asker names it, then as it is.
    pub project: Option<String>,
    /// Who asks, by name.
    pub asker: String,
}

/// Why a request is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It came, or somebody wants it tried again or undone.
    Wanted,
    /// Its push is known now, and so its project.
    Placed,
}

/// A part of what has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// In their order.
    pub calls: Vec<(Call, Caller)>,
    /// The last step that was looked at: the next part follows it.
    pub seen: i64,
    /// Whether there may be more by now.
    pub more: bool,
}

impl Journal {
    /// What wants a turn, or is placed, by the steps after number `seq`; of at most `limit` steps, 1000 being the most. A row
    /// that can't be read is logged and passed over, so that it holds up nobody else.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn calls(&self, seq: i64, limit: u32) -> Result<Calls, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let limit = limit.clamp(1, bounds::ROWS);
            let [received, retried, cancel, allowed] = [
                What::Received,
                What::Event(Event::Retried),
                What::Event(Event::CancelAsked),
                What::Event(Event::Allowed),
            ]
            .map(What::as_str);
            let mut statement = tx.prepare_cached(
                "SELECT seq, what = ?6, id, project, asker FROM steps JOIN requests ON requests.n = steps.request \
                 WHERE seq > ?1 AND what IN (?3, ?4, ?5, ?6) ORDER BY seq LIMIT ?2",
            )?;
            let mut found = statement.query(params![seq, limit, received, retried, cancel, allowed])?;
            let (mut calls, mut last, mut read) = (Vec::new(), seq, 0);
            while let Some(row) = found.next()? {
                (last, read) = (row.get(0)?, read + 1);
                let call = if row.get(1)? { Call::Placed } else { Call::Wanted };
                calls.extend(caller(row, 2).map(|caller| (call, caller)));
            }
            let more = read == limit;
            // Steps of other kinds were looked at as well, and some may be forgotten by now.
            let seen = if more { last } else { steps::marks(tx)?.0.max(last) };
            Ok(Calls { calls, seen, more })
        };
        self.inner.store.read(read).await
    }

    /// Requests that are not at their end, the oldest first. What can't be read is logged and passed over.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn unfinished(&self, page: Page) -> Result<Listed<Caller>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT n, id, project, asker FROM requests \
                 WHERE state IN ('received', 'ready', 'asked', 'cancelling') AND n > ? ORDER BY n LIMIT ?",
            )?;
            let found = statement.query((page.after.unwrap_or(0), page.rows() + 1))?;
            let Listed { items, next } = Listed::read(found, page.rows(), |row| Ok((row.get(0)?, caller(row, 1))))?;
            Ok(Listed { items: items.into_iter().flatten().collect(), next })
        };
        self.inner.store.read(read).await
    }
}

/// The request whose id, project and asker begin in that column.
fn caller(row: &Row<'_>, column: usize) -> Option<Caller> {
    let read = || {
        let (request, project) = (rows::parsed(row, column)?, row.get(column + 1)?);
        Ok(Caller { request, project, asker: row.get(column + 2)? })
    };
    let log =
        |error: &rusqlite::Error| tracing::error!(%error, "a request in the journal can't be read, and is passed over");
    read().inspect_err(log).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Change;
    use crate::journal::testing::{Place, add};

    #[tokio::test]
    async fn who_wants_a_turn_is_read_in_parts_and_what_cannot_be_read_holds_up_nobody() {
        let place = Place::new().await;
        let journal = &place.journal;
        let (bad, id) = (add(journal, "bad").await.id, add(journal, "click").await.id);
        let placed = Change { project: Some("elsewhere".to_owned()), ..Change::default() };
        journal.apply(&id, Event::Allowed, placed).await.unwrap();
        journal.facts(&id, Change::default()).await.unwrap();
        let spoil =
            |tx: &rusqlite::Transaction<'_>| Ok(tx.execute("UPDATE requests SET id = 'a b' WHERE key = 'bad'", [])?);
        journal.inner.store.write(spoil).await.map_err(|error: JournalError| error).unwrap();
        assert!(journal.get(&bad).await.unwrap().is_none());
        let (mut calls, mut part) = (Vec::new(), journal.calls(0, 2).await.unwrap());
        assert!(part.more);
        while part.more {
            calls.append(&mut part.calls);
            part = journal.calls(part.seen, 2).await.unwrap();
        }
        calls.append(&mut part.calls);
        let caller = Caller { request: id.clone(), project: Some("elsewhere".to_owned()), asker: "ann".to_owned() };
        assert_eq!(calls, [(Call::Wanted, caller.clone()), (Call::Placed, caller.clone())]);
        assert_eq!(part.seen, *journal.subscribe().borrow(), "also steps that call nobody");
        assert_eq!(journal.unfinished(Page::first(10)).await.unwrap().items, [caller]);
    }
}
