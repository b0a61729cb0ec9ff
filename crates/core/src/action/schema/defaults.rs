//! Filling in what an input leaves out.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// `input` with the defaults that `schema` has for it. The schema was found to be finite.
pub(super) fn fill(schema: &Value, mut input: Value) -> Value {
    if input.is_null() && !allows_null(schema) {
        input = match schema.get("default") {
            Some(default) => default.clone(),
            None if schema.get("type").is_some_and(|kind| kind == "object") => Value::Object(Map::new()),
            None => Value::Null,
        };
    }
    fill_in(schema, schema, &mut input);
    input
}

fn allows_null(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "null",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

fn fill_in(root: &Value, schema: &Value, value: &mut Value) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| follow(root, to)) {
        fill_in(root, target, value);
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        all.iter().for_each(|part| fill_in(root, part, value));
    }
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, property) in properties {
                if !fields.contains_key(name)
                    && let Some(default) = default_of(root, property)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill_in(root, property, field);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let wanted = match schema.get("items") {
                    Some(Value::Array(each)) => each.get(at),
                    other => other,
                };
                if let Some(wanted) = wanted {
                    fill_in(root, wanted, item);
                }
            }
        }
        Value::Number(number) => {
            if schema.get("type").is_some_and(|kind| kind == "integer")
                && let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole)
            {
                *value = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn default_of<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    schema.get("default").or_else(|| {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| follow(root, to))?;
        default_of(root, target)
    })
}

/// The integer that a float stands for, where it is exact.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and no larger than what a float can count to")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// The part of a schema that a reference names: `#`, or `#/a/b` as in a URL.
pub(super) fn follow<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    root.pointer(&unquoted(pointer)?)
}

/// A URL fragment's text.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let (code, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
