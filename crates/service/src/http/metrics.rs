//! What the HTTP door counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taskgraft_serve::{Exposition, Gauge, Histogram, Kind, One};

/// Upper bounds of the histogram of an answer's time, in seconds.
const BOUNDS: [f64; 10] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What is counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// By endpoint and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    took: Mutex<BTreeMap<&'static str, Histogram>>,
    in_flight: Gauge,
    subscribers: Gauge,
    cut: AtomicU64,
}

/// What is counted elsewhere.
pub(super) struct Elsewhere {
    /// How often a push was there, and how often it had to be looked up.
    pub(super) pushes: (u64, u64),
    /// The number of the journal's last change.
    pub(super) changes: i64,
    pub(super) ready: bool,
    /// How many calls wait for a request's end.
    pub(super) waiting: i64,
}

impl Metrics {
    pub(super) fn begin(&self) -> One<'_> {
        self.in_flight.one()
    }

    pub(super) fn subscribe(&self) -> One<'_> {
        self.subscribers.one()
    }

    /// A subscriber that did not read was cut.
    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, endpoint: &'static str, status: u16, took: Duration) {
        *lock(&self.answers).entry((endpoint, status)).or_default() += 1;
        lock(&self.took).entry(endpoint).or_insert_with(|| Histogram::new(&BOUNDS)).add(took);
    }

    /// All of it.
    pub(super) fn text(&self, elsewhere: &Elsewhere) -> String {
        let mut told = Exposition::new("taskgraft_http_");
        told.single(Kind::Gauge, "ready", "Whether requests are taken", u8::from(elsewhere.ready));
        told.single(Kind::Gauge, "in_flight", "Calls that are not answered yet", self.in_flight.now());
        told.single(Kind::Gauge, "waiting", "Calls that wait for a request's end", elsewhere.waiting);
        told.single(Kind::Gauge, "subscribers", "Who follows events", self.subscribers.now());
        let cut = self.cut.load(Ordering::Relaxed);
        told.single(Kind::Counter, "subscribers_cut_total", "Subscribers cut because they did not read", cut);
        told.family(Kind::Counter, "push_reads_total", "Pushes that calls looked at, by whether they were in memory");
        told.sample("push_reads_total", &[("from", "memory")], elsewhere.pushes.0);
        told.sample("push_reads_total", &[("from", "elsewhere")], elsewhere.pushes.1);
        let help = "Changes of requests that the journal holds or held";
        told.single(Kind::Counter, "journal_changes_total", help, elsewhere.changes);
        told.family(Kind::Counter, "answers_total", "Answers, by endpoint and status");
        for ((endpoint, status), count) in lock(&self.answers).iter() {
            told.sample("answers_total", &[("endpoint", endpoint), ("status", &status.to_string())], count);
        }
        let took = lock(&self.took);
        let took: Vec<_> = took.iter().map(|(endpoint, took)| ([("endpoint", *endpoint)], took)).collect();
        let took = took.iter().map(|(labels, took)| (&labels[..], *took));
        told.histograms("answer_seconds", "From a call's arrival to its answer", took);
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
    fn what_was_answered_is_told_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.answered("plan", 200, Duration::from_millis(4));
        metrics.answered("plan", 200, Duration::from_secs(60));
        let busy = metrics.begin();
        let text = metrics.text(&Elsewhere { pushes: (3, 1), changes: 7, ready: true, waiting: 2 });
        for line in [
            "taskgraft_http_ready 1",
            "taskgraft_http_in_flight 1",
            "taskgraft_http_waiting 2",
            "taskgraft_http_journal_changes_total 7",
            "taskgraft_http_push_reads_total{from=\"memory\"} 3",
            "taskgraft_http_answers_total{endpoint=\"plan\",status=\"200\"} 2",
            "taskgraft_http_answer_seconds_bucket{endpoint=\"plan\",le=\"0.005\"} 1",
            "taskgraft_http_answer_seconds_bucket{endpoint=\"plan\",le=\"30\"} 1",
            "taskgraft_http_answer_seconds_bucket{endpoint=\"plan\",le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
        }
        drop(busy);
        let none = Elsewhere { pushes: (0, 0), changes: 0, ready: false, waiting: 0 };
        assert!(metrics.text(&none).contains("taskgraft_http_in_flight 0\n"));
    }
}
