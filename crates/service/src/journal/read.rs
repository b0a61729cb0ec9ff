//! Reading requests.

use rusqlite::{OptionalExtension as _, Row, Rows, ToSql, Transaction, named_params};
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;
use taskgraft_engine::PushRef;

use super::find::{Also, OnPush};
use super::{Journal, JournalError, bounds, rows};
use crate::request::{Door, Request};
use crate::state::State;

/// Which requests. What is none lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Come by this door.
    pub door: Option<Door>,
    /// For a push of this project.
    pub project: Option<String>,
    /// Asked by this asker, by name.
    pub asker: Option<String>,
    /// On this push, as far as the journal knows: named so, or on a decision task that is known to be that.
    pub push: Option<PushRef>,
    /// With this key, or a message with this id.
    pub key: Option<String>,
    /// Received then or later.
    pub since: Option<Millis>,
}

/// A part of a long list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Where the part before ended, as [`Listed::next`] said; none for the beginning.
    pub after: Option<i64>,
    /// How many at most; 1000 at once are the most.
    pub limit: u32,
}

impl Page {
    /// The first `limit`.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// How many rows to read: at least one.
    pub(super) fn rows(self) -> u32 {
        self.limit.clamp(1, bounds::ROWS)
    }
}

/// What a part of a list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins; none if there is no more.
    pub next: Option<i64>,
}

impl<T> Listed<T> {
    /// A part out of numbered rows, of which one more than `limit` is asked for. It ends early, after one item at least,
    /// where they are so large that not all should be in memory at once.
    pub(super) fn read(
        mut rows: Rows<'_>,
        limit: u32,
        item: impl Fn(&Row<'_>) -> rusqlite::Result<(i64, T)>,
    ) -> rusqlite::Result<Self> {
        let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
        while let Some(row) = rows.next()? {
            if items.len() >= limit as usize || bytes >= bounds::PART {
                return Ok(Self { items, next: last });
            }
            bytes += rows::size(row)?;
            let (n, item) = item(row)?;
            items.push(item);
            last = Some(n);
        }
        Ok(Self { items, next: None })
    }
}

/// What can be said of a request without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// How it came.
    pub door: Door,
    /// Who asks, by name.
    pub asker: String,
    /// The project of its push: as the asker names it, then as it is.
    pub project: Option<String>,
    /// Its state.
    pub state: State,
    /// How much there is to read, in bytes: input, plan and report.
    pub bytes: u64,
}

impl Journal {
    /// A look at a request, however large it is.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn glance(&self, id: &RequestId) -> Result<Option<Glance>, JournalError> {
        let id = id.clone();
        let read = move |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT door, asker, project, state, octet_length(authority) + octet_length(asked) \
                 + coalesce(octet_length(plan), 0) + coalesce(octet_length(report), 0) \
                 FROM requests LEFT JOIN outcomes ON request = n WHERE id = ?",
            )?;
            let glance = |row: &Row<'_>| {
                Ok(Glance {
                    door: rows::word(row, 0, Door::named)?,
                    asker: row.get(1)?,
                    project: row.get(2)?,
                    state: rows::word(row, 3, State::named)?,
                    bytes: row.get::<_, i64>(4)?.unsigned_abs(),
                })
            };
            Ok(statement.query_row([id.as_str()], glance).optional()?)
        };
        self.inner.store.read(read).await
    }

    /// A request, whole.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn get(&self, id: &RequestId) -> Result<Option<Request>, JournalError> {
        let id = id.clone();
        let read = move |tx: &Transaction<'_>| Ok(rows::find(tx, &id)?.map(|(_, request)| request));
        self.inner.store.read(read).await
    }

    /// Requests, the newest first, without their plans and reports, which are large.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn list(&self, filter: Filter, page: Page) -> Result<Listed<Request>, JournalError> {
        let read = move |tx: &Transaction<'_>| {
            let push = filter.push.as_ref().map(OnPush::of);
            let also = Also::of(push.as_ref(), filter.key.as_ref());
            let mut statement = tx.prepare_cached(&format!(
                "SELECT {} FROM requests WHERE n < :after AND (:state IS NULL OR state = :state) \
                 AND (:door IS NULL OR door = :door) AND (:project IS NULL OR project = :project) \
                 AND (:asker IS NULL OR asker = :asker) AND received >= :since{} ORDER BY n DESC LIMIT :rows",
                rows::COLUMNS,
                also.sql
            ))?;
            let (state, door) = (filter.state.map(State::as_str), filter.door.map(Door::as_str));
            let (after, since) = (page.after.unwrap_or(i64::MAX), filter.since.map_or(i64::MIN, Millis::epoch));
            let rows = page.rows() + 1;
            let told: &[(&str, &dyn ToSql)] = named_params! {
                ":after": after,
                ":state": state,
                ":door": door,
                ":project": filter.project,
                ":asker": filter.asker,
                ":since": since,
                ":rows": rows,
            };
            let found = statement.query(&*[told, &also.told].concat())?;
            Ok(Listed::read(found, page.rows(), rows::request)?)
        };
        self.inner.store.read(read).await
    }

    /// How many requests are not at their end.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn waiting(&self) -> Result<u64, JournalError> {
        let read = |tx: &Transaction<'_>| {
            let mut statement = tx.prepare_cached(
                "SELECT count(*) FROM requests WHERE state IN ('received', 'ready', 'asked', 'cancelling')",
            )?;
            Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
        };
        self.inner.store.read(read).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Event;
    use crate::journal::Change;
    use crate::journal::testing::{Place, add, wish};

    #[tokio::test]
    async fn lists_come_in_parts_and_filtered() {
        let place = Place::new().await;
        let mut ids = Vec::new();
        for n in 0..5 {
            place.clock.go(Duration::from_secs(1));
            ids.push(add(&place.journal, &format!("click-{n}")).await.id);
        }
        let failed = place.journal.apply(&ids[1], Event::Failed, Change::default()).await.unwrap();
        let mut seen = Vec::new();
        let mut page = Page::first(2);
        loop {
            let part = place.journal.list(Filter::default(), page).await.unwrap();
            assert!(part.items.len() <= 2);
            seen.extend(part.items.into_iter().map(|request| request.id));
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ids.iter().rev().cloned().collect::<Vec<_>>());
        let count = async |filter| place.journal.list(filter, Page::first(100)).await.unwrap().items.len();
        assert_eq!(count(Filter { state: Some(State::Failed), ..Filter::default() }).await, 1);
        assert_eq!(count(Filter { since: Some(failed.received), ..Filter::default() }).await, 4);
        assert_eq!(count(Filter { project: Some("lander".to_owned()), ..Filter::default() }).await, 5);
        assert_eq!(count(Filter { door: Some(Door::Pulse), ..Filter::default() }).await, 0);
        assert_eq!(count(Filter { asker: Some("bob".to_owned()), ..Filter::default() }).await, 0);
        let first = place.journal.unfinished(Page::first(3)).await.unwrap();
        let rest = place.journal.unfinished(Page { after: first.next, limit: 3 }).await.unwrap();
        let open: Vec<_> = first.items.into_iter().chain(rest.items).map(|caller| caller.request).collect();
        assert_eq!(open, [&ids[0], &ids[2], &ids[3], &ids[4]].map(Clone::clone));
    }

    #[tokio::test]
    async fn a_part_of_what_is_large_has_less_in_it() {
        let place = Place::new().await;
        let mut ids = Vec::new();
        for n in 0..7 {
            let mut large = wish(&format!("click-{n}"), "add-new-jobs");
            large.asked.input = "x".repeat(900_000).into();
            let id = place.journal.receive(large).await.unwrap().request().id.clone();
            assert!(place.journal.glance(&id).await.unwrap().unwrap().bytes > 900_000);
            ids.push(id);
        }
        let (mut seen, mut page) = (Vec::new(), Page::first(1000));
        loop {
            let part = place.journal.list(Filter::default(), page).await.unwrap();
            assert!((1..=3).contains(&part.items.len()), "{}", part.items.len());
            seen.extend(part.items.into_iter().map(|request| request.id));
            page.after = part.next;
            if page.after.is_none() {
                break;
            }
        }
        seen.reverse();
        assert_eq!(seen, ids);
    }
}
