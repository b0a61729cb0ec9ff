//! Parsing a definition, refusing what the queue can't take.

use std::ops::ControlFlow;

use memchr::memmem;
use serde_json::Value;

use super::{number, place};

/// A text that is no JSON value, or holds something that can't be sent to the queue as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct BadValue {
    /// Where, as a JSON pointer; empty is the whole value.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl BadValue {
    /// What `error` says about `text`, with the place where it says it.
    pub(super) fn new(text: &[u8], error: &serde_json::Error) -> Self {
        Self { pointer: place::pointer(text, place::offset(text, error)), reason: place::reason(error) }
    }

    pub(super) fn here(reason: &str) -> Self {
        Self { pointer: String::new(), reason: reason.to_owned() }
    }

    /// The same, seen from a value that has this one at `pointer`.
    #[must_use]
    pub(crate) fn below(self, pointer: &str) -> Self {
        Self { pointer: format!("{pointer}{}", self.pointer), ..self }
    }
}

/// The JSON value in `text`.
///
/// # Errors
///
/// No JSON, or nested deeper than 128; a lone surrogate; NUL in a string or key; a number outside what 64 bits hold,
/// which a JavaScript queue would silently change.
pub fn parse(text: &[u8]) -> Result<Value, BadValue> {
    let value: Value = serde_json::from_slice(text).map_err(|error| BadValue::new(text, &error))?;
    if memmem::find(text, b"\\u0000").is_some()
        && let ControlFlow::Break(pointer) = find_nul(&value, &mut String::new())
    {
        return Err(BadValue { pointer, reason: "NUL can't be sent to the queue".to_owned() });
    }
    if number::may_be_rounded(&value)
        && let Some(at) = number::too_large(text)
    {
        return Err(BadValue { pointer: place::pointer(text, at), reason: "an integer above 64 bits".to_owned() });
    }
    Ok(value)
}

/// The place of the first string or key with a NUL.
fn find_nul(value: &Value, pointer: &mut String) -> ControlFlow<String> {
    match value {
        Value::String(text) if text.contains('\0') => ControlFlow::Break(pointer.clone()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| in_step(pointer, &index.to_string(), |pointer| find_nul(item, pointer))),
        Value::Object(fields) => fields.iter().try_for_each(|(key, field)| {
            in_step(pointer, key, |pointer| {
                if key.contains('\0') { ControlFlow::Break(pointer.clone()) } else { find_nul(field, pointer) }
            })
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => ControlFlow::Continue(()),
    }
}

/// Does `work` with `step` appended to the pointer.
fn in_step<T>(pointer: &mut String, step: &str, work: impl FnOnce(&mut String) -> T) -> T {
    let length = pointer.len();
    place::push_step(pointer, step);
    let done = work(pointer);
    pointer.truncate(length);
    done
}
