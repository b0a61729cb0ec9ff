//! Everything that lasts: one SQLite file, one thread that writes it, a few connections that read it. What the tables
//! are is its user's: the embedded Taskcluster's and the service's journal both stand on this.
//!
//! A write is acknowledged only after its commit is on disk (WAL, `synchronous=FULL`). Requests that arrive together
//! share one commit, each within a savepoint of its own; `writer.rs` says in which order.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, Transaction};

mod lock;
mod migrate;
mod readers;
mod writer;

pub use lock::{Holder, Lock, LockError};

use readers::Readers;
use writer::Writer;

/// How many connections read at the same time at most.
const READERS: usize = 4;

/// Statements kept prepared per connection.
const STATEMENTS: usize = 256;

/// Why nothing was read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error("failed to open {path}: {error}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A newer taskgraft has written this file.
    #[error("the data is of version {found}, this taskgraft knows versions up to {known}: use a newer one")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The disk is full; nothing was written.
    #[error("the disk is full, nothing was written")]
    Full,
    /// SQLite refused.
    #[error("the database refused: {0}")]
    Sql(rusqlite::Error),
    /// The request was written together with others, and their common commit failed; nothing was written.
    #[error("failed to commit: {0}")]
    Commit(String),
    /// The thread that should have answered is gone, or gave this request up.
    #[error("the store did not answer")]
    Gone,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(_) | None => Self::Sql(error),
        }
    }
}

/// The open database. Cheap to clone; the file is closed with the last clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    readers: Readers,
}

impl Store {
    /// Opens the database at `path`, makes it if there is none (readable by its owner only), and brings its tables
    /// up to date: `migrations[n]` leads from version n to version n + 1, and none is ever edited once released.
    /// Other processes may have it open. Each connection keeps at most `cache_kib` KiB of the file in memory.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or was written by a newer version.
    pub fn open(path: &Path, migrations: &[&str], cache_kib: u32) -> Result<Self, StoreError> {
        make(path).map_err(|error| StoreError::Open { path: path.to_owned(), error })?;
        let mut connection = connect(path, cache_kib)?;
        migrate::to_wal(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate::up(&mut connection, migrations)?;
        let readers = Readers::open(path, READERS, cache_kib)?;
        Ok(Self { shared: Arc::new(Shared { writer: Writer::start(connection)?, readers }) })
    }

    /// Runs `work` in a transaction and waits until what it wrote is on disk. An error of `work` undoes what `work`
    /// wrote, and nothing else. `work` runs on the one thread that writes: no waiting in there.
    ///
    /// # Errors
    /// That of `work`, or the disk's.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        self.write_then(|tx| work(tx).map(|value| (value, ())), |()| ()).await
    }

    /// Like [`Store::write`]; `then` runs after the commit and before the answer, with the second half of what
    /// `work` returned, even if by then nobody waits for the answer any more.
    ///
    /// # Errors
    /// That of `work`, or the disk's.
    pub async fn write_then<T, A, E, F, G>(&self, work: F, then: G) -> Result<T, E>
    where
        T: Send + 'static,
        A: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<(T, A), E> + Send + 'static,
        G: FnOnce(A) + Send + 'static,
    {
        self.shared.writer.write(work, then).await
    }

    /// Runs `work` on a connection that only reads, and sees one consistent state.
    ///
    /// # Errors
    /// That of `work`, or the disk's.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let permit = self.shared.readers.permit().await?;
        let work = move || {
            let _permit = permit;
            shared.readers.with(work)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Gone.into()),
        }
    }
}

/// Makes the file. One that exists is not opened: closing it would drop the locks that another connection of this
/// process holds on it.
fn make(path: &Path) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn connect(path: &Path, cache_kib: u32) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // SQLite counts pages, and KiB below zero.
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
