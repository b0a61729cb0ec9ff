//! Filling in what an input leaves out.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::MAX_INPUT_BYTES;

/// `input` with the defaults that `schema` has for it; nothing if they come to more than an input may be. The schema was
/// found to be finite.
pub(super) fn fill(schema: &Value, mut input: Value) -> Option<Value> {
    let mut filling = Filling { root: schema, left: MAX_INPUT_BYTES };
    if input.is_null() && !allows_null(schema) {
        input = match schema.get("default") {
            Some(default) => default.clone(),
            None if schema.get("type").is_some_and(|kind| kind == "object") => Value::Object(Map::new()),
            None => Value::Null,
        };
    }
    filling.fill(schema, &mut input)?;
    Some(input)
}

fn allows_null(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "null",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

struct Filling<'a> {
    root: &'a Value,
    /// How many more bytes of defaults there may be: one may stand for each item of a list.
    left: usize,
}

impl<'a> Filling<'a> {
    fn fill(&mut self, schema: &'a Value, value: &mut Value) -> Option<()> {
        if let Some(target) = self.target(schema) {
            self.fill(target, value)?;
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            all.iter().try_for_each(|part| self.fill(part, value))?;
        }
        match value {
            Value::Object(fields) => self.object(schema, fields)?,
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    let wanted = match schema.get("items") {
                        Some(Value::Array(each)) => each.get(at),
                        other => other,
                    };
                    if let Some(wanted) = wanted {
                        self.fill(wanted, item)?;
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
        Some(())
    }

    fn object(&mut self, schema: &'a Value, fields: &mut Map<String, Value>) -> Option<()> {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Some(()) };
        for (name, property) in properties {
            if !fields.contains_key(name)
                && let Some(default) = self.default_of(property)
            {
                self.left = self.left.checked_sub(name.len() + super::bounds::length(default, self.left)?)?;
                fields.insert(name.clone(), default.clone());
            }
            if let Some(field) = fields.get_mut(name) {
                self.fill(property, field)?;
            }
        }
        Some(())
    }

    fn default_of(&self, schema: &'a Value) -> Option<&'a Value> {
        schema.get("default").or_else(|| self.default_of(self.target(schema)?))
    }

    fn target(&self, schema: &'a Value) -> Option<&'a Value> {
        follow(self.root, schema.get("$ref")?.as_str()?)
    }
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
