//! How large a template and its result may be, and how much work there may be between them.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{Problem, RenderError};
use super::number::Number;
use super::value::{List, Map, Size, Val};

/// A template may have this many bytes of texts and keys, and as many nodes.
pub const MAX_TEMPLATE_BYTES: u64 = 4 << 20;
/// Templates, contexts, results and expressions may nest this deep. JSON that `serde_json` reads nests no deeper.
pub const MAX_DEPTH: u32 = 128;
/// A result, and every value on the way to it, may have about this many bytes as JSON: what a queue takes as a task.
pub const MAX_RESULT_BYTES: u64 = 10 << 20;
/// Units of work for one rendering: one for a byte that is copied or compared, eight for a node that is visited. All of
/// them take about a second.
pub const MAX_WORK: u64 = 64 << 20;

/// Counts the work of one rendering, and makes its values, none of which may grow beyond the bounds.
pub(super) struct Meter {
    left: Cell<u64>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(MAX_WORK) }
    }

    /// Takes `amount` units off what is left.
    pub(super) fn work(&self, amount: u64) -> Result<(), Problem> {
        match self.left.get().checked_sub(amount) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(Problem::Limit { what: "the work of rendering", limit: MAX_WORK }),
        }
    }

    /// Pays for a node of a template or an expression.
    pub(super) fn node(&self) -> Result<(), Problem> {
        self.work(8)
    }

    /// A text, paid for by its length.
    pub(super) fn text(&self, text: &str) -> Result<Val, Problem> {
        self.made(Size { bytes: text.len() as u64, depth: 0 }, text.len() as u64 + 1)?;
        Ok(Val::Text(text.into()))
    }

    pub(super) fn list(&self, items: Vec<Val>) -> Result<Val, Problem> {
        let size = Size::around(items.iter().map(Val::size));
        self.made(size, items.len() as u64 + 1)?;
        Ok(Val::List(List { items, size }.into()))
    }

    pub(super) fn map(&self, fields: BTreeMap<String, Val>) -> Result<Val, Problem> {
        let keys: u64 = fields.keys().map(|key| key.len() as u64 + 3).sum();
        let mut size = Size::around(fields.values().map(Val::size));
        size.bytes = size.bytes.saturating_add(keys);
        self.made(size, keys + 1)?;
        Ok(Val::Map(Map { fields, size }.into()))
    }

    /// JSON as a value; nothing in it is evaluated.
    pub(super) fn import(&self, json: &Value) -> Result<Val, Problem> {
        self.import_at(json, 0)
    }

    fn import_at(&self, json: &Value, depth: u32) -> Result<Val, Problem> {
        check_depth(depth)?;
        match json {
            Value::Null => Ok(Val::Null),
            Value::Bool(bool) => Ok(Val::Bool(*bool)),
            Value::Number(number) => Ok(Val::Number(Number::from_json(number))),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.list(items.iter().map(|item| self.import_at(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), self.import_at(value, depth + 1)?)));
                self.map(fields.collect::<Result<_, _>>()?)
            }
        }
    }

    fn made(&self, size: Size, work: u64) -> Result<(), Problem> {
        check_bytes(size.bytes)?;
        check_depth(size.depth)?;
        self.work(work)
    }
}

/// # Errors
/// More than [`MAX_RESULT_BYTES`].
pub(super) fn check_bytes(bytes: u64) -> Result<(), Problem> {
    if bytes > MAX_RESULT_BYTES {
        return Err(Problem::Limit { what: "the size of a rendered value", limit: MAX_RESULT_BYTES });
    }
    Ok(())
}

/// # Errors
/// Deeper than [`MAX_DEPTH`].
pub(super) fn check_depth(depth: u32) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::Limit { what: "the depth of nesting", limit: u64::from(MAX_DEPTH) });
    }
    Ok(())
}

/// # Errors
/// A template that is too large or nests too deep.
pub(super) fn check_template(json: &Value) -> Result<(), RenderError> {
    let mut left = MAX_TEMPLATE_BYTES;
    check_node(json, 0, &mut left)
}

fn check_node(json: &Value, depth: u32, left: &mut u64) -> Result<(), RenderError> {
    check_depth(depth)?;
    take(left, 1)?;
    match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => take(left, text.len()),
        Value::Array(items) => items.iter().try_for_each(|item| check_node(item, depth + 1, left)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            take(left, key.len())?;
            check_node(value, depth + 1, left)
        }),
    }
}

fn take(left: &mut u64, bytes: usize) -> Result<(), RenderError> {
    *left = left
        .checked_sub(bytes as u64)
        .ok_or(Problem::Limit { what: "the size of the template", limit: MAX_TEMPLATE_BYTES })?;
    Ok(())
}
