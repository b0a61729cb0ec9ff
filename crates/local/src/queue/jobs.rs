//! What has to happen without anybody asking: deadlines pass, claims expire, old things are forgotten.
//!
//! Each job works through what is due in small transactions, so that requests get their turn between them.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Transaction, params};
use taskgraft_core::state::Event;

use super::artifacts::blobs;
use super::change::{ChangeError, Changes, change};
use super::task::{TASKS, Task};
use super::workers;
use crate::Ctx;
use crate::http::ApiError;
use taskgraft_store::StoreError;

/// How many tasks or artifacts a transaction deals with at most.
const AT_ONCE: usize = 100;

/// To be done once at the start, before anybody asks: removes what a crash left of uploads.
///
/// # Errors
/// The store or the directory of artifacts cannot be read.
pub async fn recover(ctx: &Arc<Ctx>) -> Result<(), ApiError> {
    let named = ctx.store.read(|tx| {
        let mut statement = tx.prepare("SELECT file FROM artifacts WHERE file IS NOT NULL")?;
        let files = statement.query_map([], |row| row.get(0))?.collect::<Result<HashSet<String>, _>>()?;
        Ok::<_, StoreError>(files)
    });
    let (directory, named) = (blobs::directory(ctx), named.await?);
    let swept = tokio::task::spawn_blocking(move || blobs::sweep(&directory, &named)).await;
    swept.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

/// Does everything that is due now, and says whether there was anything.
///
/// # Errors
/// The store's; what was done until then stays done.
pub async fn run_once(ctx: &Arc<Ctx>) -> Result<bool, ApiError> {
    let mut busy = false;
    while change(ctx, |changes| changes.pass_deadlines()).await? {
        busy = true;
    }
    while change(ctx, |changes| changes.expire_claims()).await? {
        busy = true;
    }
    Ok(busy)
}

/// Forgets what has expired: artifacts with their files, tasks, groups, workers.
///
/// # Errors
/// The store's; what was done until then stays done.
pub async fn purge(ctx: &Arc<Ctx>) -> Result<(), ApiError> {
    let now = ctx.now();
    let before = now.as_millisecond();
    loop {
        let files = ctx.store.write(move |tx| purge_artifacts(tx, before)).await?;
        for file in files.iter().flatten() {
            blobs::remove(&blobs::directory(ctx), file).await;
        }
        if files.is_empty() {
            break;
        }
    }
    while ctx.store.write(move |tx| purge_tasks(tx, before)).await? > 0 {}
    ctx.store.write(move |tx| workers::forget(tx, now)).await?;
    Ok(())
}

impl Changes<'_> {
    /// Resolves some tasks whose deadline has passed.
    fn pass_deadlines(&mut self) -> Result<bool, ApiError> {
        let due = self.due("t.state < 3 AND t.deadline <= ?1 ORDER BY t.deadline")?;
        self.let_happen(due, |_| Event::DeadlinePassed)
    }

    /// Ends some runs that their workers were not heard of in time.
    fn expire_claims(&mut self) -> Result<bool, ApiError> {
        let due = self.due("t.state = 2 AND t.taken_until <= ?1 AND t.deadline > ?1 ORDER BY t.taken_until")?;
        let last_run = |task: &Task| task.life.runs.last().map_or(0, |run| run.run_id);
        self.let_happen(due, |task| Event::ClaimExpired { run: last_run(task) })
    }

    fn due(&self, which: &str) -> Result<Vec<Task>, StoreError> {
        let mut statement = self.tx.prepare_cached(&format!("{TASKS} WHERE {which} LIMIT {AT_ONCE}"))?;
        Ok(statement.query_map([self.now.as_millisecond()], Task::of)?.collect::<Result<_, _>>()?)
    }

    fn let_happen(&mut self, due: Vec<Task>, event: impl Fn(&Task) -> Event) -> Result<bool, ApiError> {
        let mut any = false;
        for mut task in due {
            let event = event(&task);
            match self.apply(&mut task, &event) {
                Ok(changed) => any |= changed,
                Err(ChangeError::Refused(refusal)) => {
                    tracing::warn!(task = %task.task_id, %refusal, "what was due was refused");
                }
                Err(ChangeError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(any)
    }
}

/// Deletes some artifacts and answers their files, `None` for those without one; empty when nothing is left to do.
fn purge_artifacts(tx: &Transaction<'_>, before: i64) -> Result<Vec<Option<String>>, StoreError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM artifacts WHERE id IN (SELECT id FROM artifacts WHERE expires < ?1 LIMIT ?2) RETURNING file",
    )?;
    Ok(statement.query_map(params![before, AT_ONCE as i64], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Deletes some tasks with all that belongs to them, then groups without tasks; answers how many tasks.
fn purge_tasks(tx: &Transaction<'_>, before: i64) -> Result<usize, StoreError> {
    let mut statement = tx.prepare_cached("SELECT id FROM tasks WHERE expires < ?1 LIMIT ?2")?;
    let rows: Vec<i64> =
        statement.query_map(params![before, AT_ONCE as i64], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for row in &rows {
        // Its artifacts expired before it did. Rows about what it depends on go with what it depends on.
        for sql in [
            "DELETE FROM dependencies WHERE dependency = ?",
            "DELETE FROM definitions WHERE id = ?",
            "DELETE FROM tasks WHERE id = ?",
        ] {
            tx.prepare_cached(sql)?.execute([row])?;
        }
    }
    tx.prepare_cached(
        "DELETE FROM task_groups WHERE expires < ?1 AND NOT EXISTS (SELECT 1 FROM tasks WHERE group_row = task_groups.id)",
    )?
    .execute([before])?;
    Ok(rows.len())
}
