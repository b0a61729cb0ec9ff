//! A few connections that only read, handed out to blocking threads.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{StoreError, connect};

pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize, cache_kib: u32) -> Result<Self, StoreError> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = connect(path, cache_kib)?;
            connection.pragma_update(None, "query_only", true)?;
            free.push(connection);
        }
        Ok(Self { free: Mutex::new(free), permits: Arc::new(Semaphore::new(count)) })
    }

    /// Waits until a connection is free. Whoever holds a permit finds one.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Gone)
    }

    /// Runs `work` on a free connection, in a transaction, so that it sees one state of things.
    pub(super) fn with<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnOnce(&Transaction<'_>) -> Result<T, E>,
    {
        let taken = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut lent = Lent { connection: taken, to: self };
        let Some(connection) = lent.connection.as_mut() else { return Err(StoreError::Gone.into()) };
        let tx = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(StoreError::from)?;
        work(&tx)
    }
}

/// Gives the connection back, also when the work panics.
struct Lent<'a> {
    connection: Option<Connection>,
    to: &'a Readers,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.to.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
