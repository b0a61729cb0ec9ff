//! What decision tasks left, kept read by a process that lives on: its next action on the same push reads nothing again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taskgraft_core::ids::TaskId;
use tokio::sync::OnceCell;

/// A run of a decision task: its artifacts never change once it is resolved.
pub(crate) type Key = (TaskId, u16);

/// Values by run, the longest unused forgotten first.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    /// The most bytes that all of them may stand for together; the newest stays whatever it is worth.
    max: u64,
    /// The last used last.
    entries: Mutex<Vec<Entry<T>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Entry<T> {
    key: Key,
    value: Arc<OnceCell<(Arc<T>, u64)>>,
}

impl<T> Memory<T> {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, entries: Mutex::default(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// How often a value was there, and how often it had to be made.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The value of `key`, made by `make` with its size in bytes if it isn't there. Who asks meanwhile waits for it.
    ///
    /// # Errors
    /// What `make` fails with; then the next who asks tries again.
    pub(crate) async fn get<E>(
        &self,
        key: Key,
        make: impl Future<Output = Result<(Arc<T>, u64), E>>,
    ) -> Result<Arc<T>, E> {
        let cell = self.cell(key);
        let there = cell.initialized();
        let (value, _) = cell.get_or_try_init(|| make).await?;
        let counter = if there { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        self.forget();
        Ok(Arc::clone(value))
    }

    fn cell(&self, key: Key) -> Arc<OnceCell<(Arc<T>, u64)>> {
        let mut entries = self.lock();
        let entry = match entries.iter().position(|entry| entry.key == key) {
            Some(at) => entries.remove(at),
            None => Entry { key, value: Arc::default() },
        };
        let value = Arc::clone(&entry.value);
        entries.push(entry);
        value
    }

    /// Forgets the longest unused until the rest fits.
    fn forget(&self) {
        let mut entries = self.lock();
        let size = |entry: &Entry<T>| entry.value.get().map_or(0, |(_, size)| *size);
        let mut all: u64 = entries.iter().map(size).sum();
        while all > self.max && entries.len() > 1 {
            all -= size(&entries.remove(0));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        (TaskId::from_bytes([n; 16]), 0)
    }

    async fn get(memory: &Memory<u8>, n: u8, size: u64) -> Arc<u8> {
        memory.get(key(n), async { Ok::<_, ()>((Arc::new(n), size)) }).await.unwrap()
    }

    #[tokio::test]
    async fn the_longest_unused_are_forgotten_and_the_newest_stays() {
        let memory = Memory::new(10);
        for n in [1, 2, 1, 3] {
            get(&memory, n, 5).await;
        }
        // 2 is gone: 1 was used after it.
        assert_eq!(memory.counts(), (1, 3));
        get(&memory, 1, 5).await;
        get(&memory, 2, 100).await;
        assert_eq!(memory.counts(), (2, 4));
        get(&memory, 2, 100).await;
        assert_eq!(memory.counts(), (3, 4), "larger than all that may be kept, and still kept while nothing else is");
    }

    #[tokio::test]
    async fn many_who_ask_at_once_have_it_made_once_and_a_failure_is_not_kept() {
        let memory = Memory::<u8>::new(10);
        let failed = memory.get(key(1), async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        let made = AtomicU64::new(0);
        let make = || {
            memory.get(key(1), async {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, ()>((Arc::new(7), 1))
            })
        };
        let all = futures_util::future::join_all((0..10).map(|_| make())).await;
        assert!(all.iter().all(|value| value.as_ref().is_ok_and(|value| **value == 7)));
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }
}
