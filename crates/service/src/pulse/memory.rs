//! Answers that are remembered for a while, so many of them: the longest unused is forgotten first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Values by key.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    /// The most that are kept.
    max: usize,
    /// For how long.
    lasts: Duration,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, Kept<V>>,
    /// The keys in the order of their last use.
    used: BTreeMap<u64, K>,
    clock: u64,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    since: Timestamp,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Memory<K, V> {
    pub(super) fn new(max: usize, lasts: Duration) -> Self {
        let inner = Inner { values: HashMap::new(), used: BTreeMap::new(), clock: 0 };
        Self { max, lasts, inner: Mutex::new(inner) }
    }

    /// What is remembered.
    pub(super) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let kept = inner.values.get_mut(key)?;
        inner.used.remove(&kept.used);
        if now.duration_since(kept.since).unsigned_abs() > self.lasts {
            inner.values.remove(key);
            return None;
        }
        inner.clock += 1;
        kept.used = inner.clock;
        inner.used.insert(inner.clock, key.clone());
        Some(kept.value.clone())
    }

    /// Remembers this from now on.
    pub(super) fn put(&self, key: K, value: V, now: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        if let Some(before) = inner.values.insert(key.clone(), Kept { value, since: now, used }) {
            inner.used.remove(&before.used);
        }
        inner.used.insert(used, key);
        while inner.values.len() > self.max {
            let Some((_, oldest)) = inner.used.pop_first() else { return };
            inner.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_is_forgotten_and_so_is_what_is_old() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let memory = Memory::new(2, Duration::from_secs(10));
        memory.put("a", 1, at(0));
        memory.put("b", 2, at(1));
        assert_eq!(memory.get(&"a", at(2)), Some(1));
        memory.put("c", 3, at(3));
        assert_eq!(
            [memory.get(&"a", at(4)), memory.get(&"b", at(4)), memory.get(&"c", at(4))],
            [Some(1), None, Some(3)]
        );
        assert_eq!(memory.get(&"a", at(11)), None, "too old");
        memory.put("a", 4, at(11));
        memory.put("a", 5, at(12));
        assert_eq!([memory.get(&"a", at(20)), memory.get(&"c", at(13))], [Some(5), Some(3)]);
        assert_eq!(memory.inner.lock().unwrap().used.len(), 2);
    }
}
