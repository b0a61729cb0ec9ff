//! JSON-e's numbers: integers as long as they fit 64 bits, floats else.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// Whole floats up to here are integers: beyond, a float says nothing about the digits of one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number of an expression or of the data. What JavaScript holds as a float is an integer here while nothing is lost.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    /// Within `i64::MIN ..= u64::MAX`.
    Int(i128),
    /// Finite, and no whole number within ±2^53.
    Float(f64),
}

impl Number {
    pub(super) fn from_int(int: i128) -> Self {
        if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&int) {
            return Self::Int(int);
        }
        #[expect(clippy::cast_precision_loss, reason = "more digits than JSON's integers have")]
        Self::Float(int as f64)
    }

    /// Nothing for what JSON can't write: infinities, and what is no number.
    pub(super) fn from_float(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        if float.fract() == 0.0 && float.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
            return Some(Self::Int(float as i128));
        }
        Some(Self::Float(float))
    }

    pub(super) fn from_json(number: &serde_json::Number) -> Self {
        number
            .as_i128()
            .map(Self::from_int)
            .or_else(|| number.as_f64().and_then(Self::from_float))
            .unwrap_or(Self::Int(0))
    }

    /// A literal of an expression, or a text given to `number()`: digits, a sign, decimals, an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if !numeric {
            return None;
        }
        let int = text.parse::<i128>().ok().map(Self::from_int);
        int.or_else(|| text.parse::<f64>().ok().and_then(Self::from_float))
    }

    #[expect(clippy::cast_precision_loss, reason = "where a float takes part, the result is one")]
    pub(super) fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// The value as an index or a step; nothing for decimals.
    pub(super) fn as_index(self) -> Option<i64> {
        match self {
            Self::Int(int) => i64::try_from(int).ok(),
            Self::Float(_) => None,
        }
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Int(0))
    }

    fn with(self, other: Self, ints: fn(i128, i128) -> Option<i128>, floats: fn(f64, f64) -> f64) -> Option<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self, other)
            && let Some(int) = ints(left, right)
        {
            return Some(Self::from_int(int));
        }
        Self::from_float(floats(self.as_float(), other.as_float()))
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        self.with(other, i128::checked_add, |left, right| left + right)
    }

    pub(super) fn sub(self, other: Self) -> Option<Self> {
        self.with(other, i128::checked_sub, |left, right| left - right)
    }

    pub(super) fn mul(self, other: Self) -> Option<Self> {
        self.with(other, i128::checked_mul, |left, right| left * right)
    }

    /// Nothing also for a division by zero.
    pub(super) fn div(self, other: Self) -> Option<Self> {
        let whole =
            |left: i128, right: i128| if left.checked_rem(right) == Some(0) { left.checked_div(right) } else { None };
        self.with(other, whole, |left, right| left / right)
    }

    pub(super) fn pow(self, other: Self) -> Option<Self> {
        let whole = |left: i128, right: i128| u32::try_from(right).ok().and_then(|right| left.checked_pow(right));
        self.with(other, whole, f64::powf)
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Int(int) => Self::from_int(-int),
            Self::Float(float) => Self::Float(-float),
        }
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(&right),
            // Both are finite.
            (left, right) => left.as_float().total_cmp(&right.as_float()),
        }
    }

    /// This number applied to one that rounds.
    pub(super) fn rounded(self, round: fn(f64) -> f64) -> Option<Self> {
        match self {
            Self::Int(_) => Some(self),
            Self::Float(float) => Self::from_float(round(float)),
        }
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Int(int) => i64::try_from(int)
                .map(Value::from)
                .or_else(|_| u64::try_from(int).map(Value::from))
                .unwrap_or(Value::Null),
            Self::Float(float) => Value::from(float),
        }
    }
}

impl fmt::Display for Number {
    /// As JavaScript writes numbers into texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) if (1e-6..1e21).contains(&float.abs()) => write!(f, "{float}"),
            Self::Float(float) => {
                let text = format!("{float:e}");
                f.write_str(&if text.contains("e-") { text } else { text.replace('e', "e+") })
            }
        }
    }
}
