//! Cron patterns, in UTC, as `cron-parser` reads them: five fields, or six with seconds before them.
//!
//! Fields are `*`, `?`, numbers, names of months and weekdays, ranges, steps and lists; `L` is a month's last day.
//! Where both the day of the month and the weekday are restricted, a day that is either will do.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// The most patterns a hook may have, and the longest one in bytes.
const MAX_PATTERNS: usize = 100;
const MAX_LENGTH: usize = 250;

/// How many days ahead a moment is looked for: February 29th may be eight years away.
const MAX_DAYS: usize = 366 * 9;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Names for whole patterns.
const NAMED: &[(&str, &str)] = &[
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
    ("@minutely", "0 * * * * *"),
    ("@secondly", "* * * * * *"),
    ("@weekdays", "0 0 0 * * 1-5"),
    ("@weekends", "0 0 0 * * 0,6"),
];

/// A pattern that says nothing, or never comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CronError {
    /// Too many patterns.
    #[error("a hook has at most {MAX_PATTERNS} patterns in its schedule")]
    TooMany,
    /// One that can't be read.
    #[error("{why} in {pattern}")]
    Pattern { why: String, pattern: String },
}

/// When a hook fires by itself: at any moment that one of its patterns names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule(Vec<Cron>);

impl Schedule {
    pub(super) fn parse(patterns: &[String]) -> Result<Self, CronError> {
        if patterns.len() > MAX_PATTERNS {
            return Err(CronError::TooMany);
        }
        let parse = |pattern: &String| {
            let told = |why| CronError::Pattern { why, pattern: pattern.chars().take(MAX_LENGTH).collect() };
            let cron = Cron::parse(pattern).map_err(told)?;
            let comes = cron.next_after(Timestamp::UNIX_EPOCH).is_some();
            if comes { Ok(cron) } else { Err(told("No such day".to_owned())) }
        };
        patterns.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The first moment after `after`; none without patterns.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|cron| cron.next_after(after)).min()
    }
}

/// One pattern: which values each field allows, bit n for the value n.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    last_day: bool,
    months: u64,
    weekdays: u64,
}

/// What a field may hold.
struct Field {
    from: u8,
    to: u8,
    names: &'static [&'static str],
}

const SECOND: Field = Field { from: 0, to: 59, names: &[] };
const HOUR: Field = Field { from: 0, to: 23, names: &[] };
const DAY: Field = Field { from: 1, to: 31, names: &[] };
const MONTH: Field = Field { from: 1, to: 12, names: &MONTHS };
/// 7 is Sunday too.
const WEEKDAY: Field = Field { from: 0, to: 7, names: &WEEKDAYS };

const EVERY_DAY: u64 = 0xffff_fffe;
const EVERY_WEEKDAY: u64 = 0x7f;

impl Cron {
    fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_LENGTH {
            return Err(format!("More than {MAX_LENGTH} characters"));
        }
        let text = pattern.trim();
        let text = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map_or(text, |(_, text)| text);
        let given: Vec<&str> = text.split_whitespace().collect();
        if given.is_empty() || given.len() > 6 {
            return Err("Invalid cron expression".to_owned());
        }
        // Fields that are missing are the first ones.
        let defaults = ["0", "*", "*", "*", "*", "*"];
        let missing = defaults.len() - given.len();
        let fields: Vec<&str> = defaults.into_iter().take(missing).chain(given).collect();
        let [second, minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err("Invalid cron expression".to_owned());
        };
        let days: Vec<&str> = day.split(',').filter(|part| !part.eq_ignore_ascii_case("l")).collect();
        let weekdays = WEEKDAY.parse(weekday)?;
        Ok(Self {
            seconds: SECOND.parse(second)?,
            minutes: SECOND.parse(minute)?,
            hours: HOUR.parse(hour)?,
            last_day: days.len() < day.split(',').count(),
            days: if days.is_empty() { 0 } else { DAY.parse(&days.join(","))? },
            months: MONTH.parse(month)?,
            weekdays: (weekdays | weekdays >> 7) & EVERY_WEEKDAY,
        })
    }

    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let second = after.as_second().checked_add(1)?;
        let from = Offset::UTC.to_datetime(Timestamp::from_second(second).ok()?);
        let mut date = from.date();
        let mut earliest = from.time();
        for _ in 0..MAX_DAYS {
            if self.allows(date)
                && let Some(time) = self.time_from(earliest)
            {
                return Offset::UTC.to_timestamp(DateTime::from_parts(date, time)).ok();
            }
            date = date.tomorrow().ok()?;
            earliest = Time::midnight();
        }
        None
    }

    fn allows(&self, date: Date) -> bool {
        let day = has(self.days, date.day()) || (self.last_day && date.day() == date.days_in_month());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let (any_day, any_weekday) = (self.days == EVERY_DAY, self.weekdays == EVERY_WEEKDAY);
        let by_day = match (any_day, any_weekday) {
            (false, false) => day || weekday,
            (true, _) => weekday,
            (false, true) => day,
        };
        has(self.months, date.month()) && by_day
    }

    /// The first time of a day that isn't before `earliest`.
    fn time_from(&self, earliest: Time) -> Option<Time> {
        for hour in earliest.hour()..24 {
            if !has(self.hours, hour) {
                continue;
            }
            let first_minute = if hour == earliest.hour() { earliest.minute() } else { 0 };
            for minute in (first_minute..60).filter(|minute| has(self.minutes, *minute)) {
                let now = (hour, minute) == (earliest.hour(), earliest.minute());
                let first_second = if now { earliest.second() } else { 0 };
                if let Some(second) = (first_second..60).find(|second| has(self.seconds, *second)) {
                    return Time::new(hour, minute, second, 0).ok();
                }
            }
        }
        None
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits.checked_shr(value).unwrap_or(0) & 1 == 1)
}

impl Field {
    /// The values that a field's text allows.
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part, text)?))
    }

    /// One part of a list: `*`, `5`, `1-5`, each perhaps with `/step`.
    fn part(&self, part: &str, whole: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0).ok_or_else(|| invalid(whole))?),
            None => (part, 1_usize),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.from, self.to),
            Some((from, to)) => (self.value(from, whole)?, self.value(to, whole)?),
            // `5/15` begins at 5 and goes on to the end.
            None if part.contains('/') => (self.value(range, whole)?, self.to),
            None => (self.value(range, whole)?, self.value(range, whole)?),
        };
        if from > to {
            return Err(format!("Invalid range: {from}-{to}, min({from}) > max({to})"));
        }
        Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str, whole: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(named) = named.and_then(|at| u8::try_from(at).ok()) {
            return Ok(named + self.from);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(whole));
        }
        let value = text.parse().ok().filter(|value| (self.from..=self.to).contains(value));
        value.ok_or_else(|| format!("Constraint error, got value {text} expected range {}-{}", self.from, self.to))
    }
}

fn invalid(field: &str) -> String {
    format!("Invalid characters, got value: {field}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(patterns: &[&str]) -> Result<Schedule, CronError> {
        Schedule::parse(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    /// The next moments from 2026-11-22T19:05:30.5Z, a Sunday.
    fn next(patterns: &[&str], count: usize) -> Vec<String> {
        let schedule = schedule(patterns).unwrap();
        let mut at: Timestamp = "2026-11-22T19:05:30.5Z".parse().unwrap();
        (0..count)
            .map(|_| {
                at = schedule.next_after(at).unwrap();
                at.to_string()
            })
            .collect()
    }

    #[test]
    fn patterns_name_moments() {
        for (pattern, moments) in [
            ("0 0 0 1 1 *", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
            ("@daily", ["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]),
            ("*/20 * * * *", ["2026-11-22T19:20:00Z", "2026-11-22T19:40:00Z"]),
            ("5 19 * * *", ["2026-11-23T19:05:00Z", "2026-11-24T19:05:00Z"]),
            ("31 5 19 * * *", ["2026-11-22T19:05:31Z", "2026-11-23T19:05:31Z"]),
            ("* * * * * *", ["2026-11-22T19:05:31Z", "2026-11-22T19:05:32Z"]),
            ("10/25 5 19,20 * * ?", ["2026-11-22T19:05:35Z", "2026-11-22T20:05:10Z"]),
            ("0 12 * FEB-mar 7", ["2027-02-07T12:00:00Z", "2027-02-14T12:00:00Z"]),
            ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 0 L * *", ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"]),
            ("0 0 24 * 5", ["2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z"]),
            ("0 0 * * Mon-Fri/2", ["2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"]),
        ] {
            assert_eq!(next(&[pattern], 2), moments, "{pattern}");
        }
        let both = next(&["0 6 * * *", "0 3,6 * * 1"], 3);
        assert_eq!(both, ["2026-11-23T03:00:00Z", "2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"]);
        assert_eq!(schedule(&[]).unwrap().next_after(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_it() {
        for (pattern, why) in [
            ("x x x", "Invalid characters, got value: x in x x x"),
            ("0 24 * * *", "Constraint error, got value 24 expected range 0-23 in 0 24 * * *"),
            ("0 0 31 2 *", "No such day in 0 0 31 2 *"),
            ("5-1 * * * *", "Invalid range: 5-1, min(5) > max(1) in 5-1 * * * *"),
            ("*/0 * * * *", "Invalid characters, got value: */0 in */0 * * * *"),
            ("1,,2 * * * *", "Invalid characters, got value: 1,,2 in 1,,2 * * * *"),
            ("", "Invalid cron expression in "),
            ("* * * * * * *", "Invalid cron expression in * * * * * * *"),
        ] {
            assert_eq!(schedule(&[pattern]).map_err(|error| error.to_string()), Err(why.to_owned()));
        }
        assert_eq!(schedule(&vec!["@daily"; 101]), Err(CronError::TooMany));
    }

    proptest! {
        #[test]
        fn the_next_moment_is_the_first_that_the_pattern_allows(
            second in 0_u8..60, minute in 0_u8..60, hour in 0_u8..24, from in 1_600_000_000_i64..1_900_000_000
        ) {
            let cron = Cron::parse(&format!("{second} {minute} {hour} * * *")).unwrap();
            let after = Timestamp::from_second(from).unwrap();
            let next = cron.next_after(after).unwrap();
            let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
            prop_assert_eq!(next.as_second().rem_euclid(86_400), of_day);
            prop_assert!(next > after && next.as_second() - from <= 86_400);
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in ".{0,40}") {
            let _ = Cron::parse(&text);
        }
    }
}
