//! What an unquoted scalar means in YAML 1.1, as PyYAML resolves it.

use serde_json::{Number, Value};

/// The value of the plain scalar `text`.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return false.into(),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) {
        return text.into();
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let number = integer(digits)
        .and_then(|number| signed(negative, number))
        .or_else(|| float(digits, digits.len() < text.len()).and_then(|number| decimal(negative, number)));
    number.map_or_else(|| text.into(), Value::Number)
}

fn signed(negative: bool, number: u64) -> Option<Number> {
    if negative { i64::try_from(-i128::from(number)).ok().map(Number::from) } else { Some(number.into()) }
}

fn decimal(negative: bool, number: f64) -> Option<Number> {
    Number::from_f64(if negative { -number } else { number })
}

/// Binary, octal, decimal, hexadecimal and base 60, `_` ignored. Nothing if it is none or does not fit.
fn integer(digits: &str) -> Option<u64> {
    let radix = |digits: &str, radix| {
        let digits = digits.replace('_', "");
        // `from_str_radix` would take a second sign.
        digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then(|| u64::from_str_radix(&digits, radix).ok())?
    };
    match digits.as_bytes() {
        b"0" => Some(0),
        [b'0', b'b', ..] => radix(&digits[2..], 2),
        [b'0', b'x', ..] => radix(&digits[2..], 16),
        [b'0', ..] => radix(digits, 8),
        [b'1'..=b'9', ..] if digits.contains(':') => {
            let (whole, sixtieths) = digits.split_once(':')?;
            sixtieths
                .split(':')
                .try_fold(radix(whole, 10)?, |sum, part| sum.checked_mul(60)?.checked_add(base_60(part)?))
        }
        [b'1'..=b'9', ..] => radix(digits, 10),
        _ => None,
    }
}

/// One place of a base 60 number: `[0-5]?[0-9]`.
fn base_60(part: &str) -> Option<u64> {
    match part.as_bytes() {
        [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'] => part.parse().ok(),
        _ => None,
    }
}

/// `1.5`, `1.e+3`, `.5`, `1:30.5`: always with a point, an exponent always with a sign. Infinities and NaN have no JSON.
fn float(digits: &str, had_sign: bool) -> Option<f64> {
    let (whole, rest) = digits.split_once('.')?;
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit() || digit == b'_');
    if let Some((whole, sixtieths)) = whole.split_once(':') {
        if !(whole.starts_with(|first: char| first.is_ascii_digit()) && is_number(whole) && is_number(rest)) {
            return None;
        }
        let whole: f64 = whole.replace('_', "").parse().ok()?;
        let minutes = sixtieths.split(':').try_fold(whole, |sum, part| Some(sum * 60.0 + base_60(part)? as f64))?;
        return Some(minutes + format!("0.{}0", rest.replace('_', "")).parse::<f64>().ok()?);
    }
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => {
            let signed = exponent.strip_prefix(['+', '-'])?;
            (!signed.is_empty() && signed.bytes().all(|digit| digit.is_ascii_digit())).then_some(())?;
            (fraction, exponent)
        }
        None => (rest, "+0"),
    };
    let starts_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let shaped = if whole.is_empty() { !had_sign && starts_with_digit(fraction) } else { starts_with_digit(whole) };
    (shaped && is_number(whole) && is_number(fraction)).then_some(())?;
    format!("{}.{}e{exponent}", whole.replace('_', ""), fraction.replace('_', "")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_as_in_yaml_1_1() {
        let cases = [
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("+17", json!(17)),
            ("1_000", json!(1000)),
            ("0777", json!(511)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1:30", json!(90)),
            ("1:30:05", json!(5405)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.5", json!(1.5)),
            ("-1.5e+3", json!(-1500.0)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1_0.5", json!(10.5)),
            ("1:30.5", json!(90.5)),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), value, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_string() {
        for text in [
            "1e3",
            "12345e67",
            "0o17",
            "089",
            "1.5e3",
            "-.5",
            "+",
            "-",
            ".",
            "..",
            "1:60",
            "1:",
            "0x",
            "0b2",
            "--1",
            "+-1",
            "1.2.3",
            "99999999999999999999999999999999999999999",
            ".inf",
            ".nan",
            "2024-01-02",
            "1,000",
            "0.1e+",
            "_1",
        ] {
            assert_eq!(resolve(text), json!(text), "{text}");
        }
    }

    #[test]
    fn booleans_and_null() {
        assert_eq!(
            [resolve("yes"), resolve("Off"), resolve("~"), resolve("")],
            [json!(true), json!(false), json!(null), json!(null)]
        );
        assert_eq!([resolve("y"), resolve("nO"), resolve("nil")], [json!("y"), json!("nO"), json!("nil")]);
    }
}
