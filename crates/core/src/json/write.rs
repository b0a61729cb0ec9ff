//! Writing JSON byte for byte as the reference does: Python's `json.dumps(…, sort_keys=True, indent=2,
//! separators=(",", ": "))`.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `value` as the reference writes it: keys sorted by code point, two spaces a level, non-ASCII escaped, floats as
/// Python prints them, no newline at the end.
#[must_use]
pub fn to_string_sorted(value: &Value) -> String {
    let mut out = String::new();
    write_sorted(value, 0, &mut out);
    out
}

/// Appends `value` as it is written inside `level` objects or arrays.
pub fn write_sorted(value: &Value, level: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_items('[', items.iter(), ']', level, out, |item, out| {
            write_sorted(item, level + 1, out);
        }),
        Value::Object(fields) => {
            let write = |(key, field): (&String, &Value), out: &mut String| {
                write_string(key, out);
                out.push_str(": ");
                write_sorted(field, level + 1, out);
            };
            // By the bytes of the keys, which for UTF-8 is by code point. They are already, unless a feature of
            // `serde_json` that some other crate asks for keeps them as inserted.
            if fields.keys().is_sorted() {
                write_items('{', fields.iter(), '}', level, out, write);
            } else {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| *key);
                write_items('{', fields.into_iter(), '}', level, out, write);
            }
        }
    }
}

fn write_items<I: ExactSizeIterator>(
    open: char,
    items: I,
    close: char,
    level: usize,
    out: &mut String,
    write: impl Fn(I::Item, &mut String),
) {
    out.push(open);
    let is_empty = items.len() == 0;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        new_line(level + 1, out);
        write(item, out);
    }
    if !is_empty {
        new_line(level, out);
    }
    out.push(close);
}

fn new_line(level: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\') {
        // All before `at` is ASCII, so a character starts there.
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        if let Some(char) = chars.next() {
            write_escape(char, out);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn write_escape(char: char, out: &mut String) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

fn write_number(number: &Number, out: &mut String) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(float, out),
        Some(_) | None => out.push_str(&number.to_string()),
    }
}

/// Python's `repr`: the shortest digits that read back as the same float, with an exponent (of at least two digits)
/// from 1e16 on and below 1e-4.
fn write_float(float: f64, out: &mut String) {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{float}");
        let is_whole = !plain.contains('.');
        out.push_str(&plain);
        out.push_str(if is_whole { ".0" } else { "" });
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_written_as_python_prints_them() {
        let floats = [
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (-0.0, "-0.0"),
            (5e-324, "5e-324"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (-2.5, "-2.5"),
        ];
        for (float, expected) in floats {
            assert_eq!(to_string_sorted(&json!(float)), expected);
        }
    }

    #[test]
    fn the_layout_is_the_references() {
        let value = json!({"b": [1, {}], "a": [], "é😀\u{7f}": "\u{1}\"\\\n", "Z": {"x": -1, "y": u64::MAX}});
        let expected = r#"{
  "Z": {
    "x": -1,
    "y": 18446744073709551615
  },
  "a": [],
  "b": [
    1,
    {}
  ],
  "\u00e9\ud83d\ude00\u007f": "\u0001\"\\\n"
}"#;
        assert_eq!(to_string_sorted(&value), expected);
    }
}
