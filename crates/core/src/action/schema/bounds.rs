//! How large schemas and inputs may be, before anything is done with them.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::Value;

use super::{Fault, InputError, MAX_INPUT_BYTES, MAX_SCHEMA_BYTES};

/// Neither nests deeper.
const MAX_DEPTH: usize = 64;
/// The most values in a schema, each reference counted as what it stands for.
const MAX_SCHEMA_NODES: u64 = 20_000;
/// The most patterns in a schema, counted alike, and the longest of them in bytes.
const MAX_PATTERNS: u64 = 100;
const MAX_PATTERN: usize = 1_000;
/// The most bytes of the input times patterns: a pattern's time is linear, and yet up to 15 microseconds a byte.
const MAX_PATTERN_WORK: u64 = 256 << 10;
/// The most values of an input.
const MAX_INPUT_NODES: u64 = 1_000_000;
/// The most values of the one times those of the other: what judging may come to at worst.
const MAX_WORK: u64 = 100_000_000;

pub(super) fn check(schema: &Value, input: &Value) -> Result<(), InputError> {
    let bytes = length(input, MAX_INPUT_BYTES).ok_or(InputError::TooLarge("8 MiB"))?;
    length(schema, MAX_SCHEMA_BYTES).ok_or_else(|| bad("more than 256 KiB"))?;
    let nodes = count(input, &mut String::new(), 1)?;
    if nodes > MAX_INPUT_NODES {
        return Err(InputError::TooLarge("1,000,000 values"));
    }
    let mut walk = Walk { root: schema, known: HashMap::new() };
    let size = walk.size(schema, 1)?;
    if size.patterns > MAX_PATTERNS {
        return Err(bad("more than 100 patterns"));
    }
    if size.patterns.saturating_mul(bytes as u64) > MAX_PATTERN_WORK {
        return Err(bad("it has patterns, and this input is too long to try them on"));
    }
    if size.nodes > MAX_SCHEMA_NODES || size.nodes.saturating_mul(nodes) > MAX_WORK {
        return Err(bad("too large for this input, with its references written out"));
    }
    Ok(())
}

fn too_deep() -> InputError {
    bad("nested more than 64 deep, with its references written out")
}

fn bad(why: impl Into<String>) -> InputError {
    InputError::Schema(why.into())
}

/// The bytes of the JSON text of `value`, if they are no more than `limit`.
pub(super) fn length(value: &Value, limit: usize) -> Option<usize> {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut left = Count(limit);
    serde_json::to_writer(&mut left, value).ok()?;
    Some(limit - left.0)
}

/// How many values `value` holds; refuses what nests too deep, and NUL, which no queue can keep.
fn count(value: &Value, place: &mut String, depth: usize) -> Result<u64, InputError> {
    if depth > MAX_DEPTH {
        return Err(InputError::TooLarge("64 levels"));
    }
    let nul = |place: &str| {
        let wanted = "must not hold the character NUL".to_owned();
        InputError::Invalid(vec![Fault { place: place.to_owned(), wanted }])
    };
    let mut nodes = 1;
    let length = place.len();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                place.push_str(&format!("/{at}"));
                nodes += count(item, place, depth + 1)?;
                place.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                if key.contains('\0') {
                    return Err(nul(place));
                }
                place.push('/');
                place.push_str(&key.replace('~', "~0").replace('/', "~1"));
                nodes += count(field, place, depth + 1)?;
                place.truncate(length);
            }
        }
        Value::String(text) if text.contains('\0') => return Err(nul(place)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(nodes)
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: u64,
    patterns: u64,
    /// How many levels there are below.
    height: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.patterns = self.patterns.saturating_add(other.patterns);
        self.height = self.height.max(other.height + 1);
    }
}

/// Measures a schema with its references written out. What looks like a reference counts as one wherever it stands:
/// that can only make a schema larger than it is.
struct Walk<'a> {
    root: &'a Value,
    /// Sizes of what references point to; none while it is being measured.
    known: HashMap<&'a str, Option<Size>>,
}

impl<'a> Walk<'a> {
    fn size(&mut self, schema: &'a Value, depth: usize) -> Result<Size, InputError> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let mut size = Size { nodes: 1, ..Size::default() };
        match schema {
            Value::Array(items) => {
                for item in items {
                    size.add(self.size(item, depth + 1)?);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    match (key.as_str(), field) {
                        ("$ref", Value::String(to)) => size.add(self.target(to, depth + 1)?),
                        ("$dynamicRef" | "$recursiveRef", _) => return Err(bad(format!("`{key}` is not followed"))),
                        // It would change what the references below it mean.
                        ("$id" | "id", Value::String(_)) if depth > 1 => {
                            return Err(bad(format!("`{key}` is understood at its top only")));
                        }
                        ("pattern", Value::String(pattern)) => size.add(one_pattern(pattern)?),
                        ("patternProperties", Value::Object(patterns)) => {
                            for pattern in patterns.keys() {
                                size.add(one_pattern(pattern)?);
                            }
                        }
                        _ => {}
                    }
                    size.add(self.size(field, depth + 1)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(size)
    }

    fn target(&mut self, reference: &'a str, depth: usize) -> Result<Size, InputError> {
        match self.known.get(reference) {
            Some(Some(size)) if depth + size.height <= MAX_DEPTH => return Ok(*size),
            Some(Some(_)) => return Err(too_deep()),
            Some(None) => return Err(bad(format!("`{reference}` contains itself"))),
            None => {}
        }
        let target = super::defaults::follow(self.root, reference)
            .ok_or_else(|| bad(format!("`{reference}` is no reference to a part of it")))?;
        self.known.insert(reference, None);
        let size = self.size(target, depth)?;
        self.known.insert(reference, Some(size));
        Ok(size)
    }
}

fn one_pattern(pattern: &str) -> Result<Size, InputError> {
    if pattern.len() > MAX_PATTERN {
        return Err(bad("a pattern of more than 1,000 bytes"));
    }
    Ok(Size { patterns: 1, ..Size::default() })
}
