//! Moments as Taskcluster writes them: UTC, three decimals, `Z`.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is no RFC 3339 moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 date and time")]
pub struct InvalidTime(String);

/// `moment` as `YYYY-MM-DDTHH:MM:SS.mmmZ`; what is finer than a millisecond is cut off.
#[must_use]
pub fn format_ms(moment: Timestamp) -> String {
    let at = Offset::UTC.to_datetime(floor_ms(moment));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Reads any RFC 3339 spelling of a moment: `Z`, `z` or an offset, `T`, `t` or a space, any number of decimals. Without
/// an offset, which a real queue takes too, it is UTC.
///
/// # Errors
/// A text without a date or time, or one outside the years 0 to 9999.
pub fn parse(text: &str) -> Result<Timestamp, InvalidTime> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    let invalid = || InvalidTime(text.chars().take(64).collect());
    // jiff also takes ISO 8601 spellings and zone names in brackets, and years with a sign: RFC 3339 has none of them.
    let plain = text.len() >= 19 && text.is_ascii() && text.as_bytes()[4] == b'-' && !text.contains('[');
    if !plain {
        return Err(invalid());
    }
    let here = |_| Offset::UTC.to_timestamp(PARSER.parse_datetime(text)?);
    PARSER.parse_timestamp(text).or_else(here).map_err(|_| invalid())
}

/// `moment` without what is finer than a millisecond.
#[must_use]
pub fn floor_ms(moment: Timestamp) -> Timestamp {
    let ms = moment.as_nanosecond().div_euclid(1_000_000);
    // Flooring stays in range except within the first millisecond of year -9999.
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(moment)
}

/// A moment on the wire: written by [`format_ms`], read by [`parse`] and cut to milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub Timestamp);

impl Millis {
    /// Milliseconds since 1970, as the database stores them.
    #[must_use]
    pub fn epoch(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl From<Timestamp> for Millis {
    fn from(moment: Timestamp) -> Self {
        Self(floor_ms(moment))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_ms(self.0))
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_ms(self.0))
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse(&text).map(Self::from).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in -62_135_596_800_000_i64..253_402_300_000_000) {
            let moment = Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(parse(&format_ms(moment)), Ok(moment));
            prop_assert_eq!(format_ms(moment).len(), 24);
        }
    }

    #[test]
    fn every_spelling_of_a_moment_is_one_moment() {
        for text in [
            "2026-11-22T16:00:00.5Z",
            "2026-11-22t16:00:00.500z",
            "2026-11-22 16:00:00.500000Z",
            "2026-11-22T17:00:00.5+01:00",
            "2026-11-22T15:30:00.500-00:30",
            "2026-11-22T16:00:00.5",
        ] {
            assert_eq!(parse(text).map(format_ms), Ok("2026-11-22T16:00:00.500Z".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_millisecond_is_cut_off() {
        assert_eq!(parse("2026-11-22T16:00:00.0019Z").map(format_ms), Ok("2026-11-22T16:00:00.001Z".to_owned()));
        assert_eq!(parse("1969-12-31T23:59:59.9999Z").map(format_ms), Ok("1969-12-31T23:59:59.999Z".to_owned()));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "now", "2026-11-22", "2026-11-22T16", "2026-13-22T16:00:00Z", "+002026-11-22T16:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
