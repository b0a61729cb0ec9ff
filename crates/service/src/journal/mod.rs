//! The journal: every request is written down here before anything is done about it, and everything that becomes of it.
//!
//! One SQLite file. What a call that writes has returned from is on disk. A request's state changes by
//! [`next`](crate::next) alone; each change is a [`Step`] with a number, numbers only grow in the order of the commits,
//! and so whoever has seen all up to one number misses nothing by asking for what follows it. Other processes may read
//! and write the same file: their steps wake those who wait here as well, after a moment.

mod audit;
mod bounds;
mod calls;
mod change;
mod error;
mod find;
mod letters;
mod lines;
mod purge;
mod read;
mod receive;
mod rows;
mod settings;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Transaction;
use taskgraft_client::Clock;
use taskgraft_core::time::Millis;
use taskgraft_store::Store;

pub use audit::{AuditFilter, Audited, Entry};
pub use calls::{Call, Caller, Calls};
pub use change::Change;
pub use error::JournalError;
pub use letters::{Letter, NewLetter, Settled};
pub use lines::{Line, NewLine};
pub use purge::Purged;
pub use read::{Filter, Glance, Listed, Page};
pub use receive::{Received, Window};
pub use settings::{Keep, Settings};
pub use steps::{Step, What};

use steps::Tides;

/// What the file is called where nothing else names it.
pub const FILE: &str = "journal.sqlite";

const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
];

/// How much of the file each connection keeps in memory, in KiB: memory is flat as soon as that is full.
const CACHE_KIB: u32 = 8 << 10;

/// The open journal. Cheap to clone; the file is closed with the last clone.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    settings: Settings,
    clock: Arc<dyn Clock>,
    tides: Tides,
}

impl Journal {
    /// Opens the journal at `path`; makes it if there is none, readable by its owner only.
    ///
    /// # Errors
    /// The file can't be opened, is no journal, or was written by a newer taskgraft.
    pub async fn open(path: &Path, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let store = Store::open(path, &MIGRATIONS, CACHE_KIB)?;
        let tides = Tides::of(&store).await?;
        let look = settings.look;
        let inner = Arc::new(Inner { store, settings, clock, tides });
        if let Some(every) = look {
            tokio::spawn(steps::look(Arc::downgrade(&inner), every));
        }
        Ok(Self { inner })
    }

    /// Writes to the file, and leaves it as it is: whether that can be done.
    ///
    /// # Errors
    /// If it can't.
    pub async fn try_write(&self) -> Result<(), JournalError> {
        let write = |tx: &Transaction<'_>| {
            // The same number again is a page that goes to the disk all the same.
            let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(tx.pragma_update(None, "user_version", version)?)
        };
        self.inner.store.write(write).await
    }

    /// Now, as the journal writes it down.
    fn now(&self) -> Millis {
        self.inner.clock.now().into()
    }
}
