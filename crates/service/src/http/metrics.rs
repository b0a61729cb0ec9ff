//! What the HTTP door counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram of an answer's time, in seconds.
const BOUNDS: [f64; 10] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What is counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// By endpoint and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    took: Mutex<BTreeMap<&'static str, Histogram>>,
    in_flight: AtomicI64,
    subscribers: AtomicI64,
    cut: AtomicU64,
}

#[derive(Debug, Default)]
struct Histogram {
    /// How many fell under each bound, and all others.
    counts: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

/// What is counted elsewhere.
pub(super) struct Elsewhere {
    /// How often a push was there, and how often it had to be looked up.
    pub(super) pushes: (u64, u64),
    /// The number of the journal's last change.
    pub(super) changes: i64,
    pub(super) ready: bool,
}

/// Counts one more of something until this is dropped.
pub(super) struct One<'a>(&'a AtomicI64);

impl<'a> One<'a> {
    fn more(gauge: &'a AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(super) fn begin(&self) -> One<'_> {
        One::more(&self.in_flight)
    }

    pub(super) fn subscribe(&self) -> One<'_> {
        One::more(&self.subscribers)
    }

    /// A subscriber that did not read was cut.
    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, endpoint: &'static str, status: u16, took: Duration) {
        *lock(&self.answers).entry((endpoint, status)).or_default() += 1;
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        let mut took = lock(&self.took);
        let histogram = took.entry(endpoint).or_default();
        histogram.counts[at] += 1;
        histogram.seconds += seconds;
    }

    /// All of it.
    pub(super) fn text(&self, elsewhere: &Elsewhere) -> String {
        let mut text = String::new();
        let gauge = |text: &mut String, name: &str, help: &str, value: i64| {
            head(text, name, "gauge", help);
            line(text, name, "", value);
        };
        gauge(&mut text, "ready", "Whether requests are taken", i64::from(elsewhere.ready));
        gauge(&mut text, "in_flight", "Calls being worked on", self.in_flight.load(Ordering::Relaxed));
        gauge(&mut text, "subscribers", "Who follows events", self.subscribers.load(Ordering::Relaxed));
        head(&mut text, "subscribers_cut_total", "counter", "Subscribers cut because they did not read");
        line(&mut text, "subscribers_cut_total", "", self.cut.load(Ordering::Relaxed));
        head(&mut text, "push_reads_total", "counter", "Pushes that calls looked at, by whether they were in memory");
        line(&mut text, "push_reads_total", "{from=\"memory\"}", elsewhere.pushes.0);
        line(&mut text, "push_reads_total", "{from=\"elsewhere\"}", elsewhere.pushes.1);
        head(&mut text, "journal_changes_total", "counter", "Changes of requests that the journal holds or held");
        line(&mut text, "journal_changes_total", "", elsewhere.changes);
        head(&mut text, "answers_total", "counter", "Answers, by endpoint and status");
        for ((endpoint, status), count) in lock(&self.answers).iter() {
            let labels = format!("{{endpoint=\"{endpoint}\",status=\"{status}\"}}");
            line(&mut text, "answers_total", &labels, count);
        }
        self.write_histograms(&mut text);
        text
    }

    fn write_histograms(&self, text: &mut String) {
        head(text, "answer_seconds", "histogram", "From a call's arrival to its answer");
        for (endpoint, histogram) in lock(&self.took).iter() {
            let mut below = 0;
            for (bound, count) in BOUNDS.iter().zip(&histogram.counts) {
                below += count;
                line(text, "answer_seconds_bucket", &format!("{{endpoint=\"{endpoint}\",le=\"{bound}\"}}"), below);
            }
            let all: u64 = histogram.counts.iter().sum();
            line(text, "answer_seconds_bucket", &format!("{{endpoint=\"{endpoint}\",le=\"+Inf\"}}"), all);
            line(text, "answer_seconds_sum", &format!("{{endpoint=\"{endpoint}\"}}"), histogram.seconds);
            line(text, "answer_seconds_count", &format!("{{endpoint=\"{endpoint}\"}}"), all);
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "# HELP taskgraft_http_{name} {help}.\n# TYPE taskgraft_http_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "taskgraft_http_{name}{labels} {value}");
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
        let text = metrics.text(&Elsewhere { pushes: (3, 1), changes: 7, ready: true });
        for line in [
            "taskgraft_http_ready 1",
            "taskgraft_http_in_flight 1",
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
        let none = Elsewhere { pushes: (0, 0), changes: 0, ready: false };
        assert!(metrics.text(&none).contains("taskgraft_http_in_flight 0\n"));
    }
}
