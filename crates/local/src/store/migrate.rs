//! The tables' versions: each migration leads from one to the next, and none is ever edited once released.

use rusqlite::Connection;

use super::StoreError;

/// `MIGRATIONS[n]` leads from version n to version n + 1.
const MIGRATIONS: [&str; 2] = [include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// Brings the tables up to the newest version.
pub(super) fn up(connection: &mut Connection) -> Result<(), StoreError> {
    apply(connection, &MIGRATIONS)
}

/// Applies what is missing of `migrations`, each in a transaction of its own.
pub(super) fn apply(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let newer = || StoreError::Newer { found, known };
    let done = usize::try_from(found).map_err(|_| newer())?;
    let missing = migrations.get(done..).ok_or_else(newer)?;
    for (version, sql) in (found + 1..).zip(missing) {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}
