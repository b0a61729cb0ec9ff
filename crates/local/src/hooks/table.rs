//! What the tables keep of hooks.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use taskgraft_core::api::hooks::{FiredBy, Hook};
use taskgraft_core::ids::TaskId;

use crate::http::ApiError;
use taskgraft_store::StoreError;

/// A hook and what only this service knows of it.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) hook: Hook,
    pub(super) token: String,
    pub(super) seed: String,
    /// Milliseconds since 1970; none without a schedule.
    pub(super) next_fire: Option<i64>,
}

/// A time that a hook fired, as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Fire {
    pub(super) task_id: TaskId,
    pub(super) fired_by: FiredBy,
    /// Milliseconds since 1970.
    pub(super) fired: i64,
    /// Empty where the task was made.
    pub(super) error: String,
}

const COLUMNS: &str =
    "SELECT group_id, hook_id, metadata, bindings, schedule, task, trigger_schema, token, seed, next_fire FROM hooks";

/// A hook, or the error that says there is none.
pub(super) fn find(tx: &Transaction<'_>, group: &str, hook: &str) -> Result<Stored, ApiError> {
    let mut statement = tx.prepare_cached(&format!("{COLUMNS} WHERE group_id = ?1 AND hook_id = ?2"))?;
    let found = statement.query_row([group, hook], stored).optional()?;
    found.ok_or_else(|| ApiError::not_found("No such hook"))
}

/// A group's hooks, by their ids.
pub(super) fn of_group(tx: &Transaction<'_>, group: &str) -> Result<Vec<Stored>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{COLUMNS} WHERE group_id = ?1 ORDER BY hook_id"))?;
    Ok(statement.query_map([group], stored)?.collect::<Result<_, _>>()?)
}

pub(super) fn groups(tx: &Transaction<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT DISTINCT group_id FROM hooks ORDER BY group_id")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Where a walk over the due hooks has got to: the last one's time, group and id.
pub(super) type Reached = (i64, String, String);

/// Some hooks whose schedule says that they should have fired by `now`, the longest due first, after `reached`.
pub(super) fn due(tx: &Transaction<'_>, now: i64, reached: &Reached, most: usize) -> Result<Vec<Stored>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "{COLUMNS} WHERE next_fire <= ?1 AND (next_fire, group_id, hook_id) > (?2, ?3, ?4) \
         ORDER BY next_fire, group_id, hook_id LIMIT ?5"
    ))?;
    let (moment, group, hook) = reached;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(statement.query_map(params![now, moment, group, hook, most], stored)?.collect::<Result<_, _>>()?)
}

/// Writes a hook, new or in place of the one that has its name.
pub(super) fn put(tx: &Transaction<'_>, stored: &Stored) -> Result<(), ApiError> {
    let Stored { hook, token, seed, next_fire } = stored;
    tx.prepare_cached("INSERT OR REPLACE INTO hooks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?.execute(
        params![
            hook.hook_group_id,
            hook.hook_id,
            json(&hook.metadata)?,
            json(&hook.bindings)?,
            json(&hook.schedule)?,
            json(&hook.task)?,
            json(&hook.trigger_schema)?,
            token,
            seed,
            next_fire,
        ],
    )?;
    Ok(())
}

/// Removes a hook and what is known of its fires; that there is none is as good.
pub(super) fn remove(tx: &Transaction<'_>, group: &str, hook: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM hooks WHERE group_id = ?1 AND hook_id = ?2")?.execute([group, hook])?;
    tx.prepare_cached("DELETE FROM hook_fires WHERE group_id = ?1 AND hook_id = ?2")?.execute([group, hook])?;
    Ok(())
}

/// Moves a hook's schedule on; false if it isn't at `from` any more: the hook was changed, removed or fired meanwhile.
pub(super) fn advance(tx: &Transaction<'_>, hook: &Hook, from: i64, to: Option<i64>) -> Result<bool, StoreError> {
    let mut statement =
        tx.prepare_cached("UPDATE hooks SET next_fire = ?4 WHERE group_id = ?1 AND hook_id = ?2 AND next_fire = ?3")?;
    Ok(statement.execute(params![hook.hook_group_id, hook.hook_id, from, to])? > 0)
}

/// Notes a fire, in place of one that failed with that task id; false if this hook has made that task before.
pub(super) fn note(tx: &Transaction<'_>, hook: &Hook, fire: &Fire) -> Result<bool, ApiError> {
    let Hook { hook_group_id, hook_id, .. } = hook;
    // Removed rather than updated: the fire of now is the latest, and fires are listed by their rows.
    tx.prepare_cached("DELETE FROM hook_fires WHERE group_id = ?1 AND hook_id = ?2 AND task_id = ?3 AND error <> ''")?
        .execute([hook_group_id, hook_id, fire.task_id.as_str()])?;
    let fired_by = json(&fire.fired_by)?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO hook_fires (group_id, hook_id, task_id, fired_by, fired, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    let values = params![hook_group_id, hook_id, fire.task_id.as_str(), fired_by, fire.fired, fire.error];
    Ok(statement.execute(values)? > 0)
}

/// Up to `most` fires of a hook with their row ids, the latest first, before the row `before`.
pub(super) fn fires(
    tx: &Transaction<'_>,
    (group, hook): (&str, &str),
    before: i64,
    most: usize,
) -> Result<Vec<(i64, Fire)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, task_id, fired_by, fired, error FROM hook_fires \
         WHERE group_id = ?1 AND hook_id = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![group, hook, before, most], |row| {
        let task_id = row.get_ref(1)?.as_str()?.parse().map_err(unreadable)?;
        Ok((row.get(0)?, Fire { task_id, fired_by: parsed(row, 2)?, fired: row.get(3)?, error: row.get(4)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets the fires before a moment, and of each hook all but its latest `most`.
pub(super) fn forget_fires(tx: &Transaction<'_>, before: i64, most: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM hook_fires WHERE fired < ?1")?.execute([before])?;
    tx.prepare_cached(
        "DELETE FROM hook_fires WHERE id IN (SELECT id FROM (SELECT id, \
         row_number() OVER (PARTITION BY group_id, hook_id ORDER BY id DESC) AS place FROM hook_fires) \
         WHERE place > ?1)",
    )?
    .execute([most])?;
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let hook = Hook {
        hook_group_id: row.get(0)?,
        hook_id: row.get(1)?,
        metadata: parsed(row, 2)?,
        bindings: parsed(row, 3)?,
        schedule: parsed(row, 4)?,
        task: parsed(row, 5)?,
        trigger_schema: parsed(row, 6)?,
    };
    Ok(Stored { hook, token: row.get(7)?, seed: row.get(8)?, next_fire: row.get(9)? })
}

fn json(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(ApiError::internal)
}

fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    #[test]
    fn of_each_hook_the_latest_fires_are_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../migrations/0001.sql")).unwrap();
        connection.execute_batch(include_str!("../migrations/0002.sql")).unwrap();
        let tx = connection.transaction().unwrap();
        for (hook, fired) in [("a", 5), ("a", 20), ("b", 30), ("a", 40), ("a", 50), ("a", 60)] {
            let row = "INSERT INTO hook_fires VALUES (NULL, 'g', ?1, ?2, 'schedule', ?2, '')";
            tx.execute(row, (hook, fired)).unwrap();
        }
        super::forget_fires(&tx, 10, 3).unwrap();
        let left = "SELECT group_concat(hook_id || fired, ' ') FROM hook_fires";
        let left: String = tx.query_row(left, [], |row| row.get(0)).unwrap();
        assert_eq!(left, "b30 a40 a50 a60");
    }
}
