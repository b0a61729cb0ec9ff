//! Integers that don't fit: JSON has no bound, `serde_json` turns what is above 64 bits into a float.

use serde_json::Value;

/// From here on a float may have been an integer in the text: 2^63.
const ROUNDED_FROM: f64 = 9_223_372_036_854_775_808.0;

/// Whether some number in `value` is so large that the text has to be looked at.
pub(super) fn may_be_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|float| float.abs() >= ROUNDED_FROM),
        Value::Array(items) => items.iter().any(may_be_rounded),
        Value::Object(fields) => fields.values().any(may_be_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Where valid JSON has its first integer that neither `i64` nor `u64` holds.
pub(super) fn too_large(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = super::place::string_end(text, at),
            b'-' | b'0'..=b'9' => {
                let rest = &text[at..];
                let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let token = &rest[..rest.iter().position(|byte| !is_number(byte)).unwrap_or(rest.len())];
                if !fits(token) {
                    return Some(at);
                }
                at += token.len();
            }
            _ => at += 1,
        }
    }
    None
}

fn fits(token: &[u8]) -> bool {
    let is_float = token.iter().any(|byte| b".eE".contains(byte));
    let text = std::str::from_utf8(token).unwrap_or_default();
    is_float || text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok()
}
