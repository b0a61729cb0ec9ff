//! The fields of a message, read leniently in form and strictly in bounds.

use serde_json::{Map, Value};

use super::read::{MAX_BODY_BYTES, MAX_JOB_CHARS, MAX_JOBS, Unreadable};
use crate::json;

/// The longest text that an error shows.
const MAX_SHOWN: usize = 80;

/// A message's fields by name. One that is null counts as not there.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

/// The beginning of a text from outside in quotes, with what would upset a terminal escaped.
pub(super) fn shown(text: &str) -> String {
    let start: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(MAX_SHOWN).is_some() { "…" } else { "" };
    format!("`{start}{rest}`")
}

impl Fields {
    pub(super) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Unreadable::TooLarge(body.len()));
        }
        match json::parse(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(Unreadable::NoObject)
            }
            Err(error) => Err(Unreadable::NoJson(shown(&error.to_string()).trim_matches('`').to_owned())),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text of 1 to `max` characters, none of which controls anything.
    pub(super) fn text(&self, name: &'static str, max: usize) -> Result<Option<&str>, Unreadable> {
        self.get(name).map(|value| text_of(name, value, max)).transpose()
    }

    /// [`Self::text`] that has to be there.
    pub(super) fn needed_text(&self, name: &'static str, max: usize) -> Result<&str, Unreadable> {
        self.text(name, max)?.ok_or(Unreadable::Missing(name))
    }

    /// A whole number, or a text of digits that says one. Treeherder's ids are texts in some messages and numbers in others.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Unreadable> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.map(Some).ok_or(Unreadable::Field { field: name, needed: "a whole number, or its digits as a text" })
    }

    /// [`Self::number`] that has to be there.
    pub(super) fn needed_number(&self, name: &'static str) -> Result<u64, Unreadable> {
        self.number(name)?.ok_or(Unreadable::Missing(name))
    }

    /// A list of names, each kept once.
    pub(super) fn names(&self, name: &'static str) -> Result<Option<Vec<String>>, Unreadable> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Array(items) = value else {
            return Err(Unreadable::Field { field: name, needed: "a list of texts" });
        };
        if items.is_empty() || items.len() > MAX_JOBS {
            return Err(Unreadable::Field { field: name, needed: "a list of 1 to 10000 names" });
        }
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            let item = text_of(name, item, MAX_JOB_CHARS)?;
            if seen.insert(item) {
                names.push(item.to_owned());
            }
        }
        Ok(Some(names))
    }

    /// A text that may be empty, which is then none. Treeherder's server filled in an empty list where its page sent nothing.
    pub(super) fn maybe_text(&self, name: &'static str, max: usize) -> Result<Option<&str>, Unreadable> {
        match self.get(name) {
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::Array(items)) if items.is_empty() => Ok(None),
            Some(_) | None => self.text(name, max),
        }
    }
}

fn text_of<'a>(field: &'static str, value: &'a Value, max: usize) -> Result<&'a str, Unreadable> {
    let Value::String(text) = value else { return Err(Unreadable::Field { field, needed: "text" }) };
    match text.chars().count() {
        0 => Err(Unreadable::Field { field, needed: "text that isn't empty" }),
        length if length > max => Err(Unreadable::Long { field, max }),
        _ if text.chars().any(char::is_control) => {
            Err(Unreadable::Field { field, needed: "text without control characters" })
        }
        _ => Ok(text),
    }
}
