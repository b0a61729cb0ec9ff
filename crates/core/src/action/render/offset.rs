//! `$fromNow`: offsets such as `1 year 2 days` or `- 3 hours`, from a moment.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::error::{Problem, quoted};
use crate::time;

/// A year has 365 days and a month 30, as in Taskcluster's clients.
const UNITS: &[(&str, i64)] = &[
    ("years|year|yr|y", 365 * DAY),
    ("months|month|mo", 30 * DAY),
    ("weeks|week|wk|w", 7 * DAY),
    ("days|day|d", DAY),
    ("hours|hour|hr|h", 3600),
    ("minutes|minute|min|m", 60),
    ("seconds|second|sec|s", 1),
];
const DAY: i64 = 86_400;

/// Each unit at most once, the largest first, perhaps behind a sign.
static OFFSET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let units: String = UNITS.iter().map(|(names, _)| format!(r"(?:\s*([0-9]{{1,9}})\s*(?:{names}))?")).collect();
    Regex::new(&format!(r"^\s*([+-])?{units}\s*$")).ok()
});

/// `reference` (RFC 3339) moved by `offset`, in Taskcluster's spelling.
///
/// # Errors
/// Either can't be read, or the result is beyond the years that have four digits.
pub(super) fn from_now(offset: &str, reference: &str) -> Result<String, Problem> {
    let unreadable = || Problem::Template(format!("offset string: '{}' does not parse", quoted(offset)));
    let from = time::parse(reference).map_err(|error| Problem::Template(error.to_string()))?;
    let captures = OFFSET.as_ref().and_then(|regex| regex.captures(offset)).ok_or_else(unreadable)?;
    let seconds: i64 = UNITS
        .iter()
        .enumerate()
        .filter_map(|(at, (_, length))| Some(captures.get(at + 2)?.as_str().parse::<i64>().ok()? * length))
        .sum();
    let back = captures.get(1).is_some_and(|sign| sign.as_str() == "-");
    let moved = from.checked_add(SignedDuration::from_secs(if back { -seconds } else { seconds })).ok();
    moved.filter(has_four_digits).map(time::format_ms).ok_or_else(unreadable)
}

fn has_four_digits(moment: &Timestamp) -> bool {
    (-62_167_219_200..253_402_300_800).contains(&moment.as_second())
}
