//! Durations as people write them: `90 days`, `30 s`.

use std::time::Duration;

use serde::Serializer;

/// A unit's names, those that are written of several and of one first, and its milliseconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["days", "day", "d"], 86_400_000),
    (&["h", "h", "hours", "hour"], 3_600_000),
    (&["min", "min", "minutes", "minute"], 60_000),
    (&["s", "s", "seconds", "second"], 1000),
    (&["ms", "ms"], 1),
];

/// A duration: a whole number and a unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = UNITS.iter().find(|(names, _)| names.contains(&unit.trim())).map(|(_, millis)| *millis);
    let millis = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    millis.map(Duration::from_millis).ok_or_else(|| "a duration is needed, such as \"90 days\", \"30 s\"".to_owned())
}

/// The same as text, in the largest unit that has no rest.
pub(super) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = |(_, unit): &&(&[&str], u64)| millis > 0 && millis.is_multiple_of(u128::from(*unit));
    let (names, unit) = UNITS.iter().find(fits).copied().unwrap_or((&["ms", "ms"], 1));
    let number = millis / u128::from(unit);
    format!("{number} {}", names.get(usize::from(number == 1)).copied().unwrap_or_default())
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..1 << 50) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }
    }

    #[test]
    fn a_number_and_a_unit_are_needed() {
        for (given, seconds) in [("90 days", 90 * 86_400), ("1h", 3600), ("2 minutes", 120), ("60 s", 60)] {
            assert_eq!(parse(given), Ok(Duration::from_secs(seconds)), "{given}");
        }
        for given in
            ["", "90", "days", "-1 s", "1.5 h", "1 week", "99999999999999999999 s", "18446744073709551615 days"]
        {
            assert!(parse(given).is_err(), "{given}");
        }
    }
}
