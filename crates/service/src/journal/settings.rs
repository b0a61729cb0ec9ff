//! How a journal behaves.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a journal behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long things are kept.
    pub keep: Keep,
    /// How many messages that nobody understood are kept at most; beyond it the oldest go.
    pub letters: u32,
    /// How often to look whether another process has written; none: never, as for a command that soon ends.
    pub look: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: Keep::default(), letters: 10_000, look: Some(Duration::from_millis(500)) }
    }
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Requests, with their steps and log lines, from their end on.
    pub requests: Duration,
    /// Messages that nobody understood.
    pub letters: Duration,
    /// Entries of the audit log.
    pub audit: Duration,
}

/// As the configuration has it where it says nothing.
impl Default for Keep {
    fn default() -> Self {
        Self { requests: 90 * DAY, letters: 14 * DAY, audit: 365 * DAY }
    }
}
