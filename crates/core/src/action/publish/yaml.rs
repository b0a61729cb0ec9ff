//! Writing YAML that people can read, and that both YAML 1.1 and 1.2 read back as what it was.

use serde_json::Value;

/// Bare words that some version of YAML takes for something else.
const RESERVED: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"];

/// `value` as a YAML document in block style, with a newline at its end.
pub(super) fn block(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

/// Writes a collection's lines, each indented by `level`; the first one is indented already.
fn write(value: &Value, level: usize, out: &mut String) {
    let indent = "  ".repeat(level);
    let mut first = true;
    let mut start = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push_str(&indent);
        }
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                start(out);
                out.push_str(&text(key));
                out.push(':');
                if is_block(field) {
                    out.push('\n');
                    out.push_str(&"  ".repeat(level + 1));
                    write(field, level + 1, out);
                } else {
                    out.push(' ');
                    out.push_str(&scalar(field));
                    out.push('\n');
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                start(out);
                out.push_str("- ");
                if is_block(item) {
                    write(item, level + 1, out);
                } else {
                    out.push_str(&scalar(item));
                    out.push('\n');
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        // YAML 1.1 wants a dot in what has an exponent.
        Value::Number(number) if number.is_f64() => {
            let written = number.to_string();
            match written.split_once(['e', 'E']) {
                Some((digits, power)) if !digits.contains('.') => format!("{digits}.0e{power}"),
                Some(_) | None => written,
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Bare where that can't be misread, else in double quotes with JSON's escapes, which YAML has too.
fn text(string: &str) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let bare = string.starts_with(|first: char| first.is_ascii_alphabetic())
        && string.bytes().all(word)
        && !RESERVED.contains(&string.to_ascii_lowercase().as_str());
    if bare {
        return string.to_owned();
    }
    let mut out = String::from("\"");
    for c in string.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Control characters, line breaks of YAML 1.1, and the byte order mark.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
