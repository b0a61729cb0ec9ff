//! The audit log: who asked for what, when, why it was allowed or refused, and what came of it.
//!
//! What happens to a request is entered here in the same transaction; the doors enter what they turn away.

use rusqlite::{Row, Transaction, named_params, params};
use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;

use super::{Journal, JournalError, Listed, Page, bounds, rows};
use crate::request::{Door, Request};

/// What is entered. Texts are cut at 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Who wanted it: a Taskcluster client id, or whom a message names.
    pub who: String,
    /// What they wanted.
    pub what: String,
    /// Why it was allowed or refused; empty where there is nothing to say.
    pub why: String,
    /// What came of it: a word, as `refused`.
    pub outcome: String,
    /// By which door; none for the command line.
    pub door: Option<Door>,
    /// The request; none for what never became one.
    pub request: Option<RequestId>,
}

impl Entry {
    /// An entry about a request.
    #[must_use]
    pub fn of(request: &Request, who: &str, why: &str, outcome: &str) -> Self {
        Self {
            who: who.to_owned(),
            what: request.asked.to_string(),
            why: why.to_owned(),
            outcome: outcome.to_owned(),
            door: Some(request.door),
            request: Some(request.id.clone()),
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// Its number.
    pub n: i64,
    /// When.
    pub at: Millis,
    /// What was entered.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Which entries. What is none lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About this request.
    pub request: Option<RequestId>,
    /// What this one wanted.
    pub who: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// From then on.
    pub since: Option<Millis>,
}

impl Journal {
    /// Enters something into the audit log: all of it, or nothing.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn audit(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.now();
        self.inner.store.write(move |tx| entries.iter().try_for_each(|entry| insert(tx, now, entry))).await
    }

    /// Entries of the audit log, the newest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn audited(&self, filter: AuditFilter, page: Page) -> Result<Listed<Audited>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT n, at, who, what, why, outcome, door, request FROM audit WHERE n < :after \
                 AND (:request IS NULL OR request = :request) AND (:who IS NULL OR who = :who) \
                 AND (:outcome IS NULL OR outcome = :outcome) AND at >= :since ORDER BY n DESC LIMIT :rows",
            )?;
            let found = statement.query(named_params! {
                ":after": page.after.unwrap_or(i64::MAX),
                ":request": filter.request.as_ref().map(RequestId::as_str),
                ":who": filter.who,
                ":outcome": filter.outcome,
                ":since": filter.since.map_or(i64::MIN, Millis::epoch),
                ":rows": page.rows() + 1,
            })?;
            Ok(Listed::read(found, page.rows(), |row| audited(row).map(|entry| (entry.n, entry)))?)
        };
        self.inner.store.read(read).await
    }
}

fn audited(row: &Row<'_>) -> rusqlite::Result<Audited> {
    let some = |column| row.get_ref(column).map(|value| value != rusqlite::types::ValueRef::Null);
    let entry = Entry {
        who: row.get(2)?,
        what: row.get(3)?,
        why: row.get(4)?,
        outcome: row.get(5)?,
        door: if some(6)? { Some(rows::word(row, 6, Door::named)?) } else { None },
        request: if some(7)? { Some(rows::parsed(row, 7)?) } else { None },
    };
    Ok(Audited { n: row.get(0)?, at: rows::moment(row, 1)?, entry })
}

pub(super) fn insert(tx: &Transaction<'_>, at: Millis, entry: &Entry) -> Result<(), JournalError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO audit (at, who, what, why, outcome, door, request) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        at.epoch(),
        bounds::cut(&entry.who, bounds::REASON),
        bounds::cut(&entry.what, bounds::REASON),
        bounds::cut(&entry.why, bounds::REASON),
        bounds::cut(&entry.outcome, bounds::REASON),
        entry.door.map(Door::as_str),
        entry.request.as_ref().map(RequestId::as_str),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use crate::journal::Change;
    use crate::journal::testing::{Place, add};

    #[tokio::test]
    async fn the_audit_log_says_who_wanted_what_and_what_came_of_it() {
        let place = Place::new().await;
        let id = add(&place.journal, "click-1").await.id;
        let why = Change { why: Some("rule 2".to_owned()), ..Change::default() };
        place.journal.apply(&id, Event::Allowed, why).await.unwrap();
        let failed = Change { error: Some("no such job".to_owned()), ..Change::default() };
        place.journal.apply(&id, Event::Failed, failed).await.unwrap();
        let by = Change { by: Some("operator".to_owned()), ..Change::default() };
        place.journal.apply(&id, Event::Retried, by).await.unwrap();
        let turned_away = Entry {
            who: "mallory".to_owned(),
            what: "POST /requests".to_owned(),
            why: "bad signature".to_owned(),
            outcome: "refused".to_owned(),
            door: Some(Door::Http),
            request: None,
        };
        place.journal.audit(vec![turned_away.clone()]).await.unwrap();
        let all = place.journal.audited(AuditFilter::default(), Page::first(10)).await.unwrap().items;
        assert_eq!(all[0].entry, turned_away);
        let told = |entry: &Audited| [&entry.entry.who, &entry.entry.outcome, &entry.entry.why].map(Clone::clone);
        assert_eq!(
            all[1..].iter().rev().map(told).collect::<Vec<_>>(),
            [
                ["ann", "received", ""],
                ["ann", "allowed", "rule 2"],
                ["ann", "failed", "no such job"],
                ["operator", "retried", ""]
            ]
        );
        assert!(all[1].entry.what.starts_with("add-new-jobs on the push of decision task"), "{}", all[1].entry.what);
        let filter = AuditFilter { who: Some("operator".to_owned()), request: Some(id), ..AuditFilter::default() };
        assert_eq!(place.journal.audited(filter, Page::first(10)).await.unwrap().items.len(), 1);
    }
}
