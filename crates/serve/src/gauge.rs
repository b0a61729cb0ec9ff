//! How many of something there are now.

use std::sync::atomic::{AtomicI64, Ordering};

/// How many of something there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// One that counts until this is dropped.
#[derive(Debug)]
#[must_use = "it counts until this is dropped"]
pub struct One<'a>(&'a Gauge);

impl Gauge {
    /// Counts one more.
    pub fn one(&self) -> One<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self)
    }

    /// How many there are.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
