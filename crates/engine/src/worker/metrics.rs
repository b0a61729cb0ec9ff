//! What the worker counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    running: AtomicI64,
    created: AtomicU64,
    /// Ended runs by resolution.
    ended: Mutex<BTreeMap<&'static str, u64>>,
    took: Mutex<Histogram>,
    prefetched: AtomicU64,
}

#[derive(Debug, Default)]
struct Histogram {
    /// How many fell under each bound, and all others.
    counts: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            readiness: Mutex::new(Readiness::Starting),
            claimed: AtomicU64::new(0),
            claim_errors: AtomicU64::new(0),
            running: AtomicI64::new(0),
            created: AtomicU64::new(0),
            ended: Mutex::default(),
            took: Mutex::default(),
            prefetched: AtomicU64::new(0),
        }
    }
}

/// A run that counts as running until this is dropped.
pub(crate) struct Busy<'a>(&'a Metrics);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
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

    pub(crate) fn begin(&self) -> Busy<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    pub(crate) fn end(&self, resolution: &'static str, created: usize, took: Duration) {
        self.created.fetch_add(created as u64, Ordering::Relaxed);
        *lock(&self.ended).entry(resolution).or_default() += 1;
        let mut histogram = lock(&self.took);
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        histogram.counts[at] += 1;
        histogram.seconds += seconds;
    }

    pub(crate) fn prefetched(&self) {
        self.prefetched.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn readiness(&self) -> Readiness {
        lock(&self.readiness).clone()
    }

    /// All of it; `cache` is how often a push was there, read, and how often it had to be read.
    pub(crate) fn text(&self, cache: (u64, u64)) -> String {
        let mut text = String::new();
        let counter = |text: &mut String, name: &str, help: &str, value: u64| {
            head(text, name, "counter", help);
            line(text, name, "", value);
        };
        counter(&mut text, "claims_total", "Runs claimed", self.claimed.load(Ordering::Relaxed));
        let errors = self.claim_errors.load(Ordering::Relaxed);
        counter(&mut text, "claim_errors_total", "Calls of claimWork that got no answer or a refusal", errors);
        counter(&mut text, "created_tasks_total", "Tasks created", self.created.load(Ordering::Relaxed));
        let prefetched = self.prefetched.load(Ordering::Relaxed);
        counter(&mut text, "prefetched_pushes_total", "Decision tasks whose artifacts were fetched early", prefetched);
        head(&mut text, "push_reads_total", "counter", "Pushes that actions looked at, by whether they were in memory");
        line(&mut text, "push_reads_total", "{from=\"memory\"}", cache.0);
        line(&mut text, "push_reads_total", "{from=\"elsewhere\"}", cache.1);
        head(&mut text, "running", "gauge", "Runs at work");
        line(&mut text, "running", "", self.running.load(Ordering::Relaxed));
        head(&mut text, "ready", "gauge", "Whether the queue answered when last asked for work");
        line(&mut text, "ready", "", u8::from(self.readiness() == Readiness::Ready));
        head(&mut text, "runs_total", "counter", "Runs ended, by how");
        for (resolution, count) in lock(&self.ended).iter() {
            line(&mut text, "runs_total", &format!("{{resolution=\"{resolution}\"}}"), count);
        }
        self.write_histogram(&mut text);
        text
    }

    fn write_histogram(&self, text: &mut String) {
        head(text, "run_seconds", "histogram", "From a claim to its run's resolution");
        let histogram = lock(&self.took);
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(&histogram.counts) {
            below += count;
            line(text, "run_seconds_bucket", &format!("{{le=\"{bound}\"}}"), below);
        }
        let all: u64 = histogram.counts.iter().sum();
        line(text, "run_seconds_bucket", "{le=\"+Inf\"}", all);
        line(text, "run_seconds_sum", "", histogram.seconds);
        line(text, "run_seconds_count", "", all);
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "# HELP taskgraft_worker_{name} {help}.\n# TYPE taskgraft_worker_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "taskgraft_worker_{name}{labels} {value}");
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
