//! What the worker counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taskgraft_serve::{Exposition, Gauge, Histogram, Kind, One};

/// Upper bounds of the histogram of an action's time, in seconds.
const BOUNDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Whether the worker takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The queue has not answered yet.
    Starting,
    /// The queue answered when last asked.
    Ready,
    /// The queue did not answer, or refused.
    Trouble(String),
    /// It claims no more.
    Stopping,
}

/// What the worker counts since it started.
#[derive(Debug)]
pub struct Metrics {
    readiness: Mutex<Readiness>,
    claimed: AtomicU64,
    claim_errors: AtomicU64,
    running: Gauge,
    created: AtomicU64,
    /// Ended runs by resolution.
    ended: Mutex<BTreeMap<&'static str, u64>>,
    took: Mutex<Histogram>,
    prefetched: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            readiness: Mutex::new(Readiness::Starting),
            claimed: AtomicU64::new(0),
            claim_errors: AtomicU64::new(0),
            running: Gauge::default(),
            created: AtomicU64::new(0),
            ended: Mutex::default(),
            took: Mutex::new(Histogram::new(&BOUNDS)),
            prefetched: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// The queue answered, with so many tasks.
    pub(crate) fn claimed(&self, tasks: usize) {
        *lock(&self.readiness) = Readiness::Ready;
        self.claimed.fetch_add(tasks as u64, Ordering::Relaxed);
    }

    pub(crate) fn claim_failed(&self, why: String) {
        *lock(&self.readiness) = Readiness::Trouble(why);
        self.claim_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) {
        *lock(&self.readiness) = Readiness::Stopping;
    }

    /// A run counts as running until what is returned is dropped.
    pub(crate) fn begin(&self) -> One<'_> {
        self.running.one()
    }

    pub(crate) fn end(&self, resolution: &'static str, created: usize, took: Duration) {
        self.created.fetch_add(created as u64, Ordering::Relaxed);
        *lock(&self.ended).entry(resolution).or_default() += 1;
        lock(&self.took).add(took);
    }

    pub(crate) fn prefetched(&self) {
        self.prefetched.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn readiness(&self) -> Readiness {
        lock(&self.readiness).clone()
    }

    /// All of it; `cache` is how often a push was there, read, and how often it had to be read.
    pub(crate) fn text(&self, cache: (u64, u64)) -> String {
        let mut told = Exposition::new("taskgraft_worker_");
        let mut counter = |name, help, count: &AtomicU64| {
            told.single(Kind::Counter, name, help, count.load(Ordering::Relaxed));
        };
        counter("claims_total", "Runs claimed", &self.claimed);
        counter("claim_errors_total", "Calls of claimWork that got no answer or a refusal", &self.claim_errors);
        counter("created_tasks_total", "Tasks created", &self.created);
        counter("prefetched_pushes_total", "Decision tasks whose artifacts were fetched early", &self.prefetched);
        told.family(Kind::Counter, "push_reads_total", "Pushes that actions looked at, by whether they were in memory");
        told.sample("push_reads_total", &[("from", "memory")], cache.0);
        told.sample("push_reads_total", &[("from", "elsewhere")], cache.1);
        told.single(Kind::Gauge, "running", "Runs at work", self.running.now());
        let ready = u8::from(self.readiness() == Readiness::Ready);
        told.single(Kind::Gauge, "ready", "Whether the queue answered when last asked for work", ready);
        told.family(Kind::Counter, "runs_total", "Runs ended, by how");
        for (resolution, count) in lock(&self.ended).iter() {
            told.sample("runs_total", &[("resolution", resolution)], count);
        }
        let took = lock(&self.took);
        told.histograms("run_seconds", "From a claim to its run's resolution", [(&[][..], &*took)]);
        told.text()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.claimed(2);
        let busy = metrics.begin();
        metrics.end("completed", 50, Duration::from_millis(200));
        metrics.end("failed", 0, Duration::from_secs(400));
        let text = metrics.text((3, 1));
        for line in [
            "taskgraft_worker_claims_total 2",
            "taskgraft_worker_running 1",
            "taskgraft_worker_ready 1",
            "taskgraft_worker_created_tasks_total 50",
            "taskgraft_worker_push_reads_total{from=\"memory\"} 3",
            "taskgraft_worker_runs_total{resolution=\"completed\"} 1",
            "taskgraft_worker_run_seconds_bucket{le=\"0.1\"} 0",
            "taskgraft_worker_run_seconds_bucket{le=\"0.25\"} 1",
            "taskgraft_worker_run_seconds_bucket{le=\"300\"} 1",
            "taskgraft_worker_run_seconds_bucket{le=\"+Inf\"} 2",
            "taskgraft_worker_run_seconds_count 2",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
        }
        let typed: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut once = typed.clone();
        once.dedup();
        assert_eq!(typed, once, "each is declared once");
        drop(busy);
        assert!(metrics.text((0, 0)).contains("taskgraft_worker_running 0\n"));
    }
}
