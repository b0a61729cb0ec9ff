//! Requests as rows.

use rusqlite::types::Type;
use rusqlite::{Row, Transaction, params};
use serde::de::DeserializeOwned;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::time::Millis;

use crate::request::{Asker, Door, Request};
use crate::state::State;

/// The columns that [`request`] reads.
pub(super) const COLUMNS: &str = "n, id, key, door, asker, authority, asked, project, state, decision, action_task, \
     error, with_dependencies, received, changed, retries, undone, builds";

/// A request without its plan and report, and its row's number.
pub(super) fn request(row: &Row<'_>) -> rusqlite::Result<(i64, Request)> {
    let request = Request {
        id: parsed(row, 1)?,
        key: row.get(2)?,
        door: word(row, 3, Door::named)?,
        asker: Asker { name: row.get(4)?, authority: json(row, 5)? },
        asked: json(row, 6)?,
        project: row.get(7)?,
        state: word(row, 8, State::named)?,
        decision: task(row, 9)?,
        action_task: task(row, 10)?,
        plan: None,
        report: None,
        error: row.get(11)?,
        with_dependencies: row.get(12)?,
        received: moment(row, 13)?,
        changed: moment(row, 14)?,
        retries: row.get(15)?,
        undone: row.get(16)?,
        builds: optional(row, 17)?,
    };
    Ok((row.get(0)?, request))
}

/// The request of that id without its plan and report, and its row's number.
pub(super) fn glimpse(tx: &Transaction<'_>, id: &RequestId) -> rusqlite::Result<Option<(i64, Request)>> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM requests WHERE id = ?"))?;
    statement.query_map([id.as_str()], request)?.next().transpose()
}

/// The whole request of that id, and its row's number.
pub(super) fn find(tx: &Transaction<'_>, id: &RequestId) -> rusqlite::Result<Option<(i64, Request)>> {
    let Some((n, mut found)) = glimpse(tx, id)? else { return Ok(None) };
    let mut statement = tx.prepare_cached("SELECT plan, report FROM outcomes WHERE request = ?")?;
    let mut rows = statement.query(params![n])?;
    if let Some(row) = rows.next()? {
        found.plan = optional(row, 0)?;
        found.report = optional(row, 1)?;
    }
    Ok(Some((n, found)))
}

/// How large a row is, in bytes of its texts.
pub(super) fn size(row: &Row<'_>) -> rusqlite::Result<usize> {
    let column =
        |column| row.get_ref(column).map(|value| value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len));
    (0..row.as_ref().column_count()).map(column).sum()
}

/// A moment, written as milliseconds since 1970.
pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Millis> {
    let ms = row.get(column)?;
    jiff::Timestamp::from_millisecond(ms).map(Millis::from).map_err(|error| unreadable(column, error))
}

/// One of a set of words.
pub(super) fn word<T>(row: &Row<'_>, column: usize, named: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    named(&text).ok_or_else(|| unreadable(column, format!("`{text}` is not known here")))
}

/// A text that is an id.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, error))
}

fn task(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TaskId>> {
    if row.get_ref(column)? == rusqlite::types::ValueRef::Null { Ok(None) } else { parsed(row, column).map(Some) }
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

fn optional<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
