//! `{"relative-datestamp": "2 days"}`: a moment that far behind the one at which a task is created.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::{Value, json};

use super::{DefinitionError, rewrite};
use crate::plan::Policy;
use crate::time;

/// The first number and unit in a text, wherever they stand, as the reference looks for them.
static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"((?:[0-9]+)?\.?[0-9]+) *([a-z]+)").ok());

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A definition's `created`, `deadline` or `expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datestamp {
    /// So long after the task's creation.
    Relative(SignedDuration),
    /// A moment.
    Absolute(Timestamp),
}

impl Datestamp {
    /// Reads `{"relative-datestamp": text}` or a moment.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn read(value: &Value) -> Result<Self, DefinitionError> {
        let bad = || DefinitionError::Datestamp(value.to_string().chars().take(80).collect());
        match value.as_str() {
            Some(text) => time::parse(text).map(Self::Absolute).map_err(|_| bad()),
            None => {
                duration(value.get("relative-datestamp").and_then(Value::as_str).ok_or_else(bad)?).map(Self::Relative)
            }
        }
    }

    /// The moment, for a task created at `now`.
    ///
    /// # Errors
    ///
    /// It is out of the calendar.
    pub fn at(self, now: Timestamp) -> Result<Timestamp, DefinitionError> {
        match self {
            Self::Absolute(moment) => Ok(moment),
            Self::Relative(length) => {
                now.checked_add(length).map_err(|_| DefinitionError::Datestamp(length.to_string()))
            }
        }
    }
}

/// The length of time that `text` names: a whole number and a unit, from seconds to years; a month has 30 days, a
/// year 365.
///
/// # Errors
///
/// No number with a unit, a fraction, an unknown unit, or more than can be counted.
pub fn duration(text: &str) -> Result<SignedDuration, DefinitionError> {
    let bad = || DefinitionError::Datestamp(text.chars().take(80).collect());
    let found = PATTERN.as_ref().and_then(|pattern| pattern.captures(text)).ok_or_else(bad)?;
    let unit = match &found[2] {
        "seconds" | "second" | "s" => 1,
        "minutes" | "minute" | "min" => MINUTE,
        "hours" | "hour" | "h" => HOUR,
        "days" | "day" | "d" => DAY,
        "months" | "month" | "mo" => 30 * DAY,
        "years" | "year" | "y" => 365 * DAY,
        _ => return Err(bad()),
    };
    let count: i64 = found[1].parse().map_err(|_| bad())?;
    count.checked_mul(unit).map(SignedDuration::from_secs).ok_or_else(bad)
}

/// `definition` with every relative datestamp replaced by that moment after `now`, in milliseconds.
///
/// # Errors
///
/// A datestamp that says no length of time.
pub fn resolve_timestamps(definition: &Value, now: Timestamp) -> Result<Value, DefinitionError> {
    let from_now = |text: &str| Ok(time::format_ms(Datestamp::Relative(duration(text)?).at(now)?));
    rewrite(definition, &[("relative-datestamp", &from_now)])
}

/// A text that is a moment, as the reference looks for them (its `actions/util.py`).
static MOMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let date = r"[0-9]{4}-[0-1][0-9]-[0-3][0-9][t\s]";
    let time = r"(?:[0-2][0-9]:[0-5][0-9]:[0-5][0-9]|23:59:60)(?:\.[0-9]+)?(?:z|[+-][0-9]{2}:[0-9]{2})";
    Regex::new(&format!("(?i)^{date}{time}$")).ok()
});

/// `definition`, as the queue answers it, with all moments made relative to its creation, in whole seconds.
///
/// The reference forgets the sign of one before the creation, and stops at one that it can't read. Under
/// [`Policy::Graft`] both stay as they are.
///
/// # Errors
///
/// A definition that doesn't say when it was created.
pub fn relativize_datestamps(definition: &Value, policy: Policy) -> Result<Value, DefinitionError> {
    let created = definition.get("created").and_then(Value::as_str).and_then(|text| time::parse(text).ok());
    let created = created.ok_or(DefinitionError::Type { pointer: "/created", expected: "a moment" })?;
    relative_to(definition, created, policy)
}

fn relative_to(value: &Value, created: Timestamp, policy: Policy) -> Result<Value, DefinitionError> {
    match value {
        Value::String(text) if MOMENT.as_ref().is_some_and(|pattern| pattern.is_match(text)) => {
            // The reference reads only this one form.
            let canonical = text.contains(['T', 't']) && text.contains('.') && text.ends_with(['Z', 'z']);
            let since = time::parse(text).ok().filter(|_| canonical).map(|at| at.duration_since(created));
            match (since, policy) {
                (Some(since), Policy::Graft) if since.is_negative() => Ok(value.clone()),
                (Some(since), _) => Ok(json!({"relative-datestamp": format!("{} seconds", since.as_secs())})),
                (None, Policy::Graft) => Ok(value.clone()),
                (None, Policy::Reference) => Err(DefinitionError::Datestamp(text.clone())),
            }
        }
        Value::Array(items) => items.iter().map(|item| relative_to(item, created, policy)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| Ok((key.clone(), relative_to(field, created, policy)?)));
            Ok(Value::Object(fields.collect::<Result<_, DefinitionError>>()?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_the_reference_reads_them() {
        for (text, seconds) in [
            ("0 seconds", 0),
            ("1 day", DAY),
            ("28days", 28 * DAY),
            ("in 2 months or so", 60 * DAY),
            ("-3 min", 180),
            ("1.5y 2 hours", 5 * 365 * DAY),
        ] {
            // "1.5y": the reference takes "1.5" for the number and fails on it.
            let expected = if text.starts_with("1.5") { None } else { Some(seconds) };
            assert_eq!(duration(text).ok().map(|length| length.as_secs()), expected, "{text}");
        }
        for text in ["", "soon", "5", "2 fortnights", "99999999999999999999 days", "9000000000000000000 years"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn datestamps_are_resolved_anywhere() {
        let now = "2026-01-31T23:59:59.9999Z".parse().unwrap();
        let definition = json!({"a": [{"relative-datestamp": "1 day"}], "b": {"relative-datestamp": "x", "c": 1}});
        let expected = json!({"a": ["2026-02-01T23:59:59.999Z"], "b": {"relative-datestamp": "x", "c": 1}});
        assert_eq!(resolve_timestamps(&definition, now).unwrap(), expected);
        assert!(resolve_timestamps(&json!({"relative-datestamp": 1}), now).is_err());
        assert!(resolve_timestamps(&json!({"relative-datestamp": "8000 years"}), now).is_err());
    }
}
