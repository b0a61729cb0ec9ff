//! How much is done at once: places, of which one caller gets a share only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate::Caller;

/// Places of one sort.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// The most that one caller has.
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Caller, usize>,
}

/// A place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Places>,
    caller: Caller,
}

impl Places {
    /// So many, of which one caller, who may keep a place for long, has a quarter at most.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, each: (most / 4).max(1), taken: Mutex::default() })
    }

    /// A place, if there is one left for this caller.
    pub(super) fn take(self: &Arc<Self>, caller: Caller) -> Option<Place> {
        let mut taken = self.lock();
        let own = taken.by.get(&caller).copied().unwrap_or_default();
        if taken.all >= self.most || own >= self.each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(caller.clone(), own + 1);
        Some(Place { of: Arc::clone(self), caller })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        taken.all -= 1;
        let left = taken.by.get(&self.caller).map_or(0, |own| own - 1);
        if left == 0 {
            taken.by.remove(&self.caller);
        } else {
            taken.by.insert(self.caller.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller::Client(name.to_owned())
    }

    #[test]
    fn there_are_so_many_and_one_caller_gets_a_quarter() {
        let places = Places::new(8);
        let ann: Vec<Place> = std::iter::from_fn(|| places.take(caller("ann"))).collect();
        assert_eq!(ann.len(), 2);
        let others: Vec<Place> = (0..10).filter_map(|n| places.take(caller(&n.to_string()))).collect();
        assert_eq!(others.len(), 6);
        drop(ann);
        assert!(places.take(caller("ann")).is_some());
        drop(others);
        let taken = places.lock();
        assert_eq!((taken.all, taken.by.len()), (0, 0), "nobody is remembered who has none");
    }

    #[test]
    fn few_places_are_for_somebody_and_none_for_nobody() {
        assert!(Places::new(1).take(caller("ann")).is_some());
        assert!(Places::new(0).take(caller("ann")).is_none());
    }
}
