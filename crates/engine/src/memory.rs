//! What was read or looked up, kept by a process that lives on: its next action on the same push reads nothing again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Values by key, the longest unused forgotten first.
#[derive(Debug)]
pub struct Memory<K, T> {
    /// The most that all of them may weigh together; the newest stays whatever it weighs.
    max: u64,
    /// How long a value counts after its making began; for good where this is not set.
    fresh: Option<Duration>,
    /// What a value weighs beside what it weighed when it was made.
    grown: fn(&T) -> u64,
    /// The last used last.
    entries: Mutex<Vec<Entry<K, T>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Entry<K, T> {
    key: K,
    begun: Instant,
    value: Arc<OnceCell<(Arc<T>, u64)>>,
}

impl<K: Eq, T> Memory<K, T> {
    /// A memory of values that never change, for as much as weighs `max`.
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self {
            max,
            fresh: None,
            grown: |_| 0,
            entries: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The same for values that count only so long.
    #[must_use]
    pub fn for_a_while(max: u64, fresh: Duration) -> Self {
        Self { fresh: Some(fresh), ..Self::new(max) }
    }

    /// The same for values that come to weigh more: so much, by now, beside what they weighed when they were made.
    #[must_use]
    pub fn growing(self, grown: fn(&T) -> u64) -> Self {
        Self { grown, ..self }
    }

    /// How often a value was there, and how often it had to be made.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The value of `key`, made by `make` with its weight if it isn't there. Who asks meanwhile waits for it.
    ///
    /// # Errors
    /// What `make` fails with; then the next who asks tries again.
    pub async fn get<E>(&self, key: K, make: impl Future<Output = Result<(Arc<T>, u64), E>>) -> Result<Arc<T>, E> {
        let cell = self.cell(key);
        let there = cell.initialized();
        let (value, _) = cell.get_or_try_init(|| make).await?;
        let counter = if there { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        self.forget();
        Ok(Arc::clone(value))
    }

    fn cell(&self, key: K) -> Arc<OnceCell<(Arc<T>, u64)>> {
        let mut entries = self.lock();
        let now = Instant::now();
        if let Some(fresh) = self.fresh {
            entries.retain(|entry| now.duration_since(entry.begun) < fresh);
        }
        let entry = match entries.iter().position(|entry| entry.key == key) {
            Some(at) => entries.remove(at),
            None => Entry { key, begun: now, value: Arc::default() },
        };
        let value = Arc::clone(&entry.value);
        entries.push(entry);
        value
    }

    /// Forgets the longest unused until the rest fits.
    fn forget(&self) {
        let mut entries = self.lock();
        let size =
            |entry: &Entry<K, T>| entry.value.get().map_or(0, |(value, size)| size.saturating_add((self.grown)(value)));
        let mut all: u64 = entries.iter().map(size).sum();
        while all > self.max && entries.len() > 1 {
            all -= size(&entries.remove(0));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<K, T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(memory: &Memory<u8, u8>, n: u8, size: u64) -> Arc<u8> {
        memory.get(n, async { Ok::<_, ()>((Arc::new(n), size)) }).await.unwrap()
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
    async fn what_has_grown_weighs_more() {
        let memory = Memory::<u8, AtomicU64>::new(10).growing(|value| value.load(Ordering::SeqCst));
        let get = |n| memory.get(n, async { Ok::<_, ()>((Arc::default(), 4)) });
        let first = get(1).await.unwrap();
        get(2).await.unwrap();
        get(1).await.unwrap();
        assert_eq!(memory.counts(), (1, 2));
        first.store(3, Ordering::SeqCst);
        get(1).await.unwrap();
        get(2).await.unwrap();
        assert_eq!(memory.counts(), (2, 3), "2 had to go");
    }

    #[tokio::test]
    async fn what_counts_for_a_while_is_made_again_after_it() {
        for (fresh, counts) in [(Duration::ZERO, (0, 2)), (Duration::from_secs(3600), (1, 1))] {
            let memory = Memory::for_a_while(10, fresh);
            get(&memory, 1, 5).await;
            get(&memory, 1, 5).await;
            assert_eq!(memory.counts(), counts);
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_have_it_made_once_and_a_failure_is_not_kept() {
        let memory = Memory::<u8, u8>::new(10);
        let failed = memory.get(1, async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        let made = AtomicU64::new(0);
        let make = || {
            memory.get(1, async {
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
