//! The tables' versions.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::StoreError;

/// How long another process may keep the file to itself while this one opens it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Applies what is missing of `migrations`, each in a transaction of its own. The version is read within it, so that of
/// two processes which open an old file at once each step is done by one.
pub(super) fn up(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found == known {
            return Ok(());
        }
        let next = usize::try_from(found).ok().and_then(|done| migrations.get(done));
        let sql = next.ok_or(StoreError::Newer { found, known })?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.commit()?;
    }
}

/// Has the file keep a write-ahead log. SQLite asks for it without waiting its turn, so this does the waiting.
pub(super) fn to_wal(connection: &Connection) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return Ok(result?),
        }
    }
}
