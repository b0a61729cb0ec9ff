//! What the listener has done since it started.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use taskgraft_serve::{Exposition, Kind};

/// What the listener has done since it started, counted as it does it.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) received: AtomicU64,
    pub(super) known: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) unacknowledged: AtomicU64,
    pub(super) waits: AtomicU64,
}

/// What the counters said at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Messages that became a request.
    pub received: u64,
    /// Messages whose request was in the journal already.
    pub known: u64,
    /// Messages that could not be understood.
    pub dead: u64,
    /// Messages that were dealt with but not acknowledged, since the connection was gone: they come again.
    pub unacknowledged: u64,
    /// How often the journal could not write, and was tried again.
    pub waits: u64,
}

impl Counted {
    /// The same in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { received, known, dead, unacknowledged, waits } = self;
        let mut told = Exposition::new("taskgraft_pulse_");
        told.family(Kind::Counter, "messages_total", "Messages that were dealt with, by what became of them");
        for (became, count) in [("request", received), ("known", known), ("dead", dead)] {
            told.sample("messages_total", &[("became", became)], count);
        }
        let help = "Messages that come again, since the connection was gone";
        told.single(Kind::Counter, "unacknowledged_total", help, unacknowledged);
        told.single(
            Kind::Counter,
            "journal_waits_total",
            "How often the journal could not write a message down",
            waits,
        );
        told.text()
    }
}

impl Counters {
    /// What they say now.
    #[must_use]
    pub fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            received: read(&self.received),
            known: read(&self.known),
            dead: read(&self.dead),
            unacknowledged: read(&self.unacknowledged),
            waits: read(&self.waits),
        }
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_told_by_its_name() {
        let counters = Counters::default();
        for _ in 0..3 {
            Counters::count(&counters.known);
        }
        Counters::count(&counters.waits);
        let text = counters.now().text();
        assert!(text.contains("\ntaskgraft_pulse_messages_total{became=\"known\"} 3\n"), "{text}");
        assert!(text.ends_with("\ntaskgraft_pulse_journal_waits_total 1\n"), "{text}");
    }
}
