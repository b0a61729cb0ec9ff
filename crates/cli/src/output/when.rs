//! Times for people: local, and relative where that says more.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Tells times from one moment, in one time zone.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    now: Timestamp,
    zone: TimeZone,
}

impl Times {
    /// As seen now and here.
    pub(crate) fn here() -> Self {
        Self::at(Timestamp::now(), TimeZone::system())
    }

    /// As seen at a moment in a zone.
    pub(crate) fn at(now: Timestamp, zone: TimeZone) -> Self {
        Self { now, zone }
    }

    /// How long ago, such as `14 min ago`; for what is to come, when, such as `in 3 d`.
    pub(crate) fn ago(&self, at: Timestamp) -> String {
        let seconds = self.now.as_second() - at.as_second();
        let text = rough(seconds.unsigned_abs());
        match seconds {
            0 => "just now".to_owned(),
            1.. => format!("{text} ago"),
            _ => format!("in {text}"),
        }
    }

    /// The day, such as `2027-06-01`.
    pub(crate) fn day(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).date().to_string()
    }

    /// Day and time, such as `2026-11-22 17:04`.
    pub(crate) fn minute(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// One unit is enough to tell an age by.
fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long something took, such as `0.04 s`, `11.4 s` or `3 min 5 s`.
pub(crate) fn span(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_secs() {
        0 if seconds < 0.095 => format!("{seconds:.2} s"),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", took.as_secs() / 60, took.as_secs() % 60),
        hours => format!("{} h {} min", hours / 3600, hours % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let times = Times { now: "2026-11-22T12:00:00Z".parse().unwrap(), zone: TimeZone::UTC };
        let ago = |text: &str| times.ago(text.parse().unwrap());
        assert_eq!(ago("2026-11-22T12:00:00Z"), "just now");
        assert_eq!(ago("2026-11-22T11:46:00Z"), "14 min ago");
        assert_eq!(ago("2026-11-22T09:59:00Z"), "2 h ago");
        assert_eq!(ago("2026-11-12T12:00:00Z"), "10 d ago");
        assert_eq!(ago("2026-11-25T12:00:00Z"), "in 3 d");
        assert_eq!(times.day("2027-06-01T03:00:00Z".parse().unwrap()), "2027-06-01");
    }

    #[test]
    fn spans_are_as_exact_as_they_are_short() {
        assert_eq!(span(Duration::from_millis(41)), "0.04 s");
        assert_eq!(span(Duration::from_millis(199)), "0.2 s");
        assert_eq!(span(Duration::from_millis(11_420)), "11.4 s");
        assert_eq!(span(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(span(Duration::from_secs(7300)), "2 h 1 min");
    }
}
