//! How long something took, in buckets.

use std::time::Duration;

/// How often something took how long.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// Upper bounds, in seconds, rising.
    bounds: &'static [f64],
    /// How many fell under each bound and over the one before.
    counts: Vec<u64>,
    /// How many there were, those over every bound among them.
    all: u64,
    seconds: f64,
}

impl Histogram {
    /// An empty one; `bounds` are the buckets' upper ends in seconds, rising.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], all: 0, seconds: 0.0 }
    }

    /// Counts one that took so long.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let under = self.bounds.iter().zip(&mut self.counts).find(|(bound, _)| seconds <= **bound);
        if let Some((_, count)) = under {
            *count += 1;
        }
        self.all += 1;
        self.seconds += seconds;
    }

    /// Each bound, and how many took no longer.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        self.bounds.iter().zip(&self.counts).map(move |(bound, count)| {
            below += count;
            (*bound, below)
        })
    }

    /// How many there were.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    /// How long they took together.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }
}
