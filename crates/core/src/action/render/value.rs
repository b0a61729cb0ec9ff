//! What expressions and templates have for values: JSON, functions, and what a rendering shares without copying.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::bounds::Meter;
use super::builtin::Builtin;
use super::error::{Problem, RenderError};
use super::number::Number;

/// A value. Copying one is cheap: texts, lists and maps are shared.
#[derive(Debug, Clone)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Number(Number),
    Text(Rc<str>),
    List(Rc<List>),
    Map(Rc<Map>),
    Function(&'static Builtin),
}

/// An array, made by [`Meter::list`] only.
#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Val>,
    pub(super) size: Size,
}

/// An object, made by [`Meter::map`] only.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) fields: BTreeMap<String, Val>,
    pub(super) size: Size,
}

/// What a number counts as.
pub(super) const NUMBER_BYTES: u64 = 8;

/// How large a value is when it is written out: what is shared counts as often as it is used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// About as many as the value has in JSON.
    pub(super) bytes: u64,
    /// 0 for what nests nothing.
    pub(super) depth: u32,
}

impl Size {
    /// Of a collection with parts of these sizes.
    pub(super) fn around(parts: impl Iterator<Item = Size>) -> Self {
        parts.fold(Self { bytes: 2, depth: 1 }, |whole, part| Self {
            bytes: whole.bytes.saturating_add(part.bytes).saturating_add(1),
            depth: whole.depth.max(part.depth.saturating_add(1)),
        })
    }
}

impl Val {
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Null | Self::Bool(_) | Self::Function(_) => Size { bytes: 5, depth: 0 },
            Self::Number(_) => Size { bytes: NUMBER_BYTES, depth: 0 },
            Self::Text(text) => Size { bytes: text.len() as u64 + 2, depth: 0 },
            Self::List(list) => list.size,
            Self::Map(map) => map.size,
        }
    }

    /// As `typeof()` calls it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
            Self::Function(_) => "function",
        }
    }

    /// What `$if`, `!`, `&&` and `||` take for true: not null, zero or empty.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(bool) => *bool,
            Self::Number(number) => !number.is_zero(),
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.fields.is_empty(),
            Self::Function(_) => true,
        }
    }

    /// Whether both are the same, all the way down.
    pub(super) fn equals(&self, other: &Self, meter: &Meter) -> Result<bool, Problem> {
        meter.work(self.size().bytes.min(other.size().bytes))?;
        Ok(self.is_same(other))
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left.compare(*right).is_eq(),
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::List(left), Self::List(right)) => {
                let (left, right) = (&left.items, &right.items);
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.is_same(right))
            }
            (Self::Map(left), Self::Map(right)) => {
                let (left, right) = (&left.fields, &right.fields);
                let same = |((a, left), (b, right)): ((&String, &Val), (&String, &Val))| a == b && left.is_same(right);
                left.len() == right.len() && left.iter().zip(right).all(same)
            }
            (Self::Function(left), Self::Function(right)) => std::ptr::eq(*left, *right),
            _ => false,
        }
    }

    /// A scalar as `${…}`, `str()` and `join()` write it; nothing for arrays, objects and functions.
    pub(super) fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => Some("null".to_owned()),
            Self::Bool(bool) => Some(bool.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.as_ref().to_owned()),
            Self::List(_) | Self::Map(_) | Self::Function(_) => None,
        }
    }

    /// # Errors
    /// A function that nobody called, or a NUL: both have no place in a task.
    pub(super) fn to_json(&self) -> Result<Value, RenderError> {
        match self {
            Self::Null => Ok(Value::Null),
            Self::Bool(bool) => Ok(Value::Bool(*bool)),
            Self::Number(number) => Ok(number.to_json()),
            Self::Text(text) => Ok(Value::String(without_nul(text)?.to_owned())),
            Self::List(list) => {
                let items = list.items.iter().enumerate();
                items.map(|(at, item)| item.to_json().map_err(|error| error.in_item(at))).collect()
            }
            Self::Map(map) => {
                let fields = map.fields.iter().map(|(key, value)| {
                    let value = without_nul(key).map_err(RenderError::from).and_then(|_| value.to_json());
                    Ok((key.clone(), value.map_err(|error| error.in_field(key))?))
                });
                fields.collect::<Result<_, _>>().map(Value::Object)
            }
            Self::Function(_) => {
                Err(Problem::Template("evaluated template contained uncalled functions".to_owned()).into())
            }
        }
    }
}

fn without_nul(text: &str) -> Result<&str, Problem> {
    if text.contains('\0') { Err(Problem::Nul) } else { Ok(text) }
}
