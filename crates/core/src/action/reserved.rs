//! What travels with a request beside its input: under the key `taskgraft` of an input that is an object.
//!
//! It is taken off before the input is validated, and no published schema knows of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::TaskId;
use crate::ids::derive::Digest;
use crate::json::to_string_sorted;
use crate::plan::{Outline, PlanHash, Strayed};

/// The reserved key of an action's input.
pub const KEY: &str = "taskgraft";

/// The most characters of a requester's key.
pub const MAX_KEY: usize = 128;

/// What stands in a sealed key between its name and its seal.
const SEAL: &str = ".for.";

/// From where on an integer is not every reader's: a hooks service that is written in JavaScript rounds it.
const SAFE: f64 = 9_007_199_254_740_992.0;

/// The most bytes that verdicts may take up in what [`add`] writes. An image that runs an action gets its input as one
/// environment variable, of which Linux takes 128 KiB.
pub const MAX_VERDICTS_BYTES: usize = 32 << 10;

/// What travels with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// The requester's own name for the request: the same one creates nothing twice. 1 to [`MAX_KEY`] visible ASCII
    /// characters.
    pub key: String,
    /// The hash of the outline of the plan that the requester was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanHash>,
    /// That outline, where it isn't too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Outline>,
}

/// What is wrong with what travels under the reserved key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReservedError {
    /// It is not what it should be.
    #[error("read the input's reserved key `{KEY}`: {0}")]
    Shape(String),
    /// The requester's key can't be one.
    #[error("read the input's reserved key `{KEY}`: `key` must be 1 to {MAX_KEY} visible ASCII characters")]
    Key,
    /// There are verdicts without the hash that they are checked by.
    #[error("read the input's reserved key `{KEY}`: `verdicts` are there, but not the hash `plan`")]
    NoHash,
    /// The key is sealed for something else.
    #[error("use the key `{0}`: it is for another input")]
    OtherInput(String),
    /// The hash is of other verdicts.
    #[error("read the input's reserved key `{KEY}`: `plan` is not the hash of `verdicts`")]
    Hash,
}

impl Reserved {
    /// Only a key.
    ///
    /// # Errors
    /// If it can't be one.
    pub fn keyed(key: &str) -> Result<Self, ReservedError> {
        let fits = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self { key: key.to_owned(), plan: None, verdicts: None }) } else { Err(ReservedError::Key) }
    }

    /// Only a key, `NAME.for.SEAL`, that by itself tells what it is for: no action task carries it out for another subject
    /// or input.
    ///
    /// # Errors
    /// If it can't be one.
    pub fn sealed(name: &str, subject: Option<TaskId>, input: &Value) -> Result<Self, ReservedError> {
        Self::keyed(&format!("{name}{SEAL}{}", seal(subject, input)))
    }

    /// Whether the key is sealed. If not, what it is for is what it was used for first.
    ///
    /// # Errors
    /// If it is sealed for another subject or input than this.
    pub fn is_sealed(&self, subject: Option<TaskId>, input: &Value) -> Result<bool, ReservedError> {
        let sealed = self.key.rsplit_once(SEAL).and_then(|(_, sealed)| sealed.parse::<TaskId>().ok());
        match sealed {
            None => Ok(false),
            Some(sealed) if sealed == seal(subject, input) => Ok(true),
            Some(_) => Err(ReservedError::OtherInput(self.key.clone())),
        }
    }

    /// The same with the outline of the plan that was shown. One that is too long leaves only its hash.
    #[must_use]
    pub fn shown(self, outline: Outline) -> Self {
        let length = serde_json::to_string(&outline).map_or(usize::MAX, |text| text.len());
        let plan = Some(outline.hash());
        Self { plan, verdicts: (length <= MAX_VERDICTS_BYTES).then_some(outline), ..self }
    }

    /// Whether the plan that was shown is still right, given the outline of today's: if not, which labels have moved, as
    /// far as that travelled with the request.
    ///
    /// # Errors
    /// The labels; none where only the hash is known.
    pub fn agrees(&self, now: &Outline) -> Result<(), Vec<Strayed>> {
        if self.plan.is_none_or(|shown| shown == now.hash()) {
            return Ok(());
        }
        match &self.verdicts {
            None => Err(Vec::new()),
            Some(was) => match now.moved_from(was) {
                moved if moved.is_empty() => Ok(()),
                moved => Err(moved),
            },
        }
    }

    fn read(value: Value) -> Result<Self, ReservedError> {
        let read: Self = serde_json::from_value(value).map_err(|error| {
            // An error may quote what it found.
            ReservedError::Shape(error.to_string().chars().take(200).collect())
        })?;
        Self::keyed(&read.key)?;
        match (&read.plan, &read.verdicts) {
            (None, Some(_)) => Err(ReservedError::NoHash),
            (Some(hash), Some(verdicts)) if verdicts.hash() != *hash => Err(ReservedError::Hash),
            _ => Ok(read),
        }
    }
}

/// A hash of what a key is for, written as ids are.
fn seal(subject: Option<TaskId>, input: &Value) -> TaskId {
    let subject = subject.map(|task| task.to_string()).unwrap_or_default();
    // An action without input is sent an empty one when a key goes with it.
    let input = if input.is_null() { "{}".to_owned() } else { to_string_sorted(&plain(input)) };
    Digest::new("key").part(&subject).part(&input).task_id()
}

/// `value` with numbers as every reader of JSON has them: 1.0 is 1.
#[expect(clippy::cast_possible_truncation, reason = "whole and in bounds")]
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < SAFE => (float as i64).into(),
            Some(float) => float.into(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// The input without the reserved key, and what travelled there. An input that is no object has none.
///
/// # Errors
/// If what is there is not what [`add`] writes.
pub fn split_off(mut input: Value) -> Result<(Value, Option<Reserved>), ReservedError> {
    let reserved = input.as_object_mut().and_then(|fields| fields.remove(KEY)).map(Reserved::read).transpose()?;
    Ok((input, reserved))
}

/// The input with `reserved` under the reserved key; none if it is no object, or uses that key for something else.
/// Where there is no input at all, there is one now.
#[must_use]
pub fn add(input: Value, reserved: &Reserved) -> Option<Value> {
    let mut fields = match input {
        Value::Object(fields) if !fields.contains_key(KEY) => fields,
        Value::Null => Map::new(),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    fields.insert(KEY.to_owned(), serde_json::to_value(reserved).ok()?);
    Some(Value::Object(fields))
}

/// The key that an input carries, whatever else may be wrong with it: what an action task of ours is known by.
#[must_use]
pub fn key_of(input: &Value) -> Option<&str> {
    input.get(KEY)?.get("key")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn what_is_added_is_split_off_again(key in "[!-~]{1,128}", labels in prop::collection::vec("[a-z-]{1,9}", 0..9)) {
            let outline: Outline =
                serde_json::from_value(labels.iter().map(|label| (label.clone(), json!("new"))).collect()).unwrap();
            let reserved = Reserved::keyed(&key).unwrap().shown(outline);
            let input = json!({"tasks": labels});
            let sent = add(input.clone(), &reserved).unwrap();
            prop_assert_eq!(key_of(&sent), Some(key.as_str()));
            prop_assert_eq!(split_off(sent).unwrap(), (input, Some(reserved)));
        }
    }

    #[test]
    fn only_an_object_can_carry_it() {
        let reserved = Reserved::keyed("k").unwrap();
        assert_eq!(add(Value::Null, &reserved), Some(json!({"taskgraft": {"key": "k"}})));
        for input in [json!([]), json!("text"), json!(1), json!({"taskgraft": 1})] {
            assert_eq!(add(input, &reserved), None);
        }
        assert_eq!(split_off(json!([1])).unwrap(), (json!([1]), None));
        assert_eq!(split_off(json!({"a": 1})).unwrap(), (json!({"a": 1}), None));
    }

    #[test]
    fn a_sealed_key_is_for_one_subject_and_input_however_that_is_written() {
        let (task, other) = (Some(TaskId::from_bytes([1; 16])), Some(TaskId::from_bytes([2; 16])));
        let input = json!({"tasks": ["a"], "times": 1, "deep": [{"x": 0.5}]});
        let reserved = Reserved::sealed("R", task, &input).unwrap();
        assert!(reserved.key.starts_with("R.for.") && reserved.key.len() == 28, "{}", reserved.key);
        let rounded = json!({"times": 1.0, "deep": [{"x": 0.5}], "tasks": ["a"]});
        assert_eq!([&input, &rounded].map(|input| reserved.is_sealed(task, input)), [Ok(true), Ok(true)]);
        for (subject, input) in [(other, input.clone()), (None, input.clone()), (task, json!({"tasks": ["b"]}))] {
            assert_eq!(reserved.is_sealed(subject, &input), Err(ReservedError::OtherInput(reserved.key.clone())));
        }
        let none = Reserved::sealed("R", None, &Value::Null).unwrap();
        let sent = split_off(add(Value::Null, &none).unwrap()).unwrap();
        assert_eq!(none.is_sealed(None, &sent.0), Ok(true));
        for key in ["R", "R.for.nobody", "R.for."] {
            assert_eq!(Reserved::keyed(key).unwrap().is_sealed(task, &input), Ok(false), "{key}");
        }
    }

    #[test]
    fn a_long_outline_leaves_its_hash() {
        let verdicts: Value = (0..2000).map(|n| (format!("a-rather-long-label-{n}"), json!("new"))).collect();
        let outline: Outline = serde_json::from_value(verdicts).unwrap();
        let reserved = Reserved::keyed("k").unwrap().shown(outline.clone());
        assert_eq!((reserved.plan, reserved.verdicts), (Some(outline.hash()), None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let empty = Outline::default().hash();
        let cases = [
            (json!(1), "invalid type"),
            (json!({}), "missing field `key`"),
            (json!({"key": "k", "more": 1}), "unknown field `more`"),
            (json!({"key": ""}), "1 to 128"),
            (json!({"key": "x".repeat(129)}), "1 to 128"),
            (json!({"key": "a b"}), "1 to 128"),
            (json!({"key": "k", "plan": "no hash"}), "64 hexadecimal digits"),
            (json!({"key": "k", "verdicts": {}}), "not the hash `plan`"),
            (json!({"key": "k", "plan": empty, "verdicts": {"a": "new"}}), "is not the hash of"),
            (json!({"key": "k", "plan": empty, "verdicts": {"a": "x".repeat(1 << 20)}}), "a verdict is"),
        ];
        for (reserved, part) in cases {
            let error = split_off(json!({"taskgraft": reserved})).unwrap_err().to_string();
            assert!(error.contains(part) && error.len() < 400, "{error}");
        }
        assert!(split_off(json!({"taskgraft": {"key": "k", "plan": empty, "verdicts": {}}})).is_ok());
    }
}
