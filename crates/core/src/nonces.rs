//! Each signature counts once: what was seen is remembered for as long as its timestamp is accepted.
//!
//! Remembered are fingerprints of (client, timestamp, nonce), in groups by the timestamp's minute. When there are too
//! many, the oldest minute is forgotten, and from then on timestamps of that minute and before are refused: the time
//! that a signature is good for gets shorter, but none ever counts twice. Only signatures that were right come here, so
//! nobody without credentials can fill it. A restart forgets what it holds: who can't have that refuses what was signed
//! before the start ([`Nonces::since`]).

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// How far a signature's timestamp may be from now, in seconds. A real deployment's value.
pub const MAX_SKEW: i64 = 15 * 60;

/// The most signatures remembered; eight bytes each, and some room.
const MOST: usize = 4_000_000;

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was seen before.
    Replayed,
    /// Too old, or from the future.
    Stale,
}

/// Signatures seen.
#[derive(Debug)]
pub struct Nonces {
    seen: BTreeMap<i64, HashSet<u64>>,
    count: usize,
    most: usize,
    /// The first minute whose timestamps are accepted.
    floor: i64,
    /// The first second whose timestamps are accepted.
    since: i64,
    keys: RandomState,
}

impl Default for Nonces {
    fn default() -> Self {
        Self::holding(MOST)
    }
}

impl Nonces {
    fn holding(most: usize) -> Self {
        Self { seen: BTreeMap::new(), count: 0, most, floor: i64::MIN, since: i64::MIN, keys: RandomState::new() }
    }

    /// The same, where nothing counts that was signed before `since` (seconds since 1970).
    #[must_use]
    pub fn since(since: i64) -> Self {
        Self { since, ..Self::default() }
    }

    /// Notes a signature made at `ts` (seconds since 1970), unless it doesn't count.
    ///
    /// # Errors
    /// If it was seen before, or its time is too far from `now`.
    pub fn note(&mut self, client: &str, ts: i64, nonce: &str, now: i64) -> Result<(), Refused> {
        let minute = ts.div_euclid(60);
        if (now - ts).abs() > MAX_SKEW || minute < self.floor || ts < self.since {
            return Err(Refused::Stale);
        }
        self.forget_before((now - MAX_SKEW).div_euclid(60));
        let fingerprint = self.keys.hash_one((client, ts, nonce));
        if !self.seen.entry(minute).or_default().insert(fingerprint) {
            return Err(Refused::Replayed);
        }
        self.count += 1;
        while self.count > self.most
            && let Some((minute, forgotten)) = self.seen.pop_first()
        {
            self.count -= forgotten.len();
            self.floor = minute + 1;
        }
        Ok(())
    }

    fn forget_before(&mut self, minute: i64) {
        while let Some(first) = self.seen.first_entry().filter(|first| *first.key() < minute) {
            self.count -= first.remove().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_once() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.note("c", 1000, "n", 1000), Ok(()));
        assert_eq!(nonces.note("c", 1000, "n", 1000 + MAX_SKEW), Err(Refused::Replayed));
        assert_eq!(nonces.note("c", 1001, "n", 1000), Ok(()));
        assert_eq!(nonces.note("d", 1000, "n", 1000), Ok(()));
        assert_eq!(nonces.note("c", 1000, "m", 1000), Ok(()));
    }

    #[test]
    fn timestamps_too_far_off_are_refused() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.note("c", 0, "n", MAX_SKEW + 1), Err(Refused::Stale));
        assert_eq!(nonces.note("c", MAX_SKEW + 1, "n", 0), Err(Refused::Stale));
        assert_eq!(nonces.note("c", MAX_SKEW, "n", 0), Ok(()));
        assert_eq!(nonces.note("c", -MAX_SKEW, "n", 0), Ok(()));
    }

    #[test]
    fn nothing_counts_that_was_signed_before_the_start() {
        let mut nonces = Nonces::since(1000);
        assert_eq!(nonces.note("c", 999, "n", 1000), Err(Refused::Stale));
        assert_eq!(nonces.note("c", 1000, "n", 1000), Ok(()));
    }

    #[test]
    fn what_is_forgotten_cannot_be_replayed() {
        let mut nonces = Nonces::holding(100);
        for second in 0..600 {
            assert_eq!(nonces.note("c", second, "n", second), Ok(()));
            assert!(nonces.count <= 100);
        }
        for second in 0..600 {
            assert!(nonces.note("c", second, "n", 600).is_err(), "{second}");
        }
        assert_eq!(nonces.note("c", 600, "n", 600), Ok(()));
        assert_eq!(nonces.note("c", 5000, "n", 5000), Ok(()));
        assert_eq!(nonces.count, 1);
    }
}
