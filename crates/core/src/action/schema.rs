//! An action's input against its JSON schema: bounded, its defaults filled in, mistakes named with their places.
//!
//! A schema may come from anybody's actions.json, and its input from anybody at all. So nothing is fetched for a
//! schema, patterns run in linear time, a schema counts as large as it is with its references written out, and one
//! that contains itself is refused.

mod bounds;
mod defaults;
mod words;

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use super::Action;

/// The longest input that is looked at, in bytes of its JSON text; a queue takes no task definition above 10 MB.
pub const MAX_INPUT_BYTES: usize = 8 << 20;
/// The longest schema, in bytes of its JSON text.
pub const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// The most that a compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 64 << 10;
/// How many mistakes are told at once.
const MAX_FAULTS: usize = 10;

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer into the input; empty for the input as a whole.
    pub place: String,
    /// What is wanted there, such as "must be at most 100".
    pub wanted: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => write!(f, "it {}", self.wanted),
            place => write!(f, "`{place}` {}", self.wanted),
        }
    }
}

/// Why an input can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It isn't what the schema asks for. Never empty.
    #[error("read the action's input: {}", list(.0))]
    Invalid(Vec<Fault>),
    /// It is larger than anything that is looked at.
    #[error("read the action's input: more than {0}")]
    TooLarge(&'static str),
    /// The schema itself is no good.
    #[error("read the action's schema: {0}")]
    Schema(String),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

/// `input` with its defaults filled in, if `schema` allows it.
///
/// Defaults are filled as people expect of a form: for absent properties of objects and of lists' items, however deep,
/// through `allOf` and references, but never out of alternatives. No input at all counts as the schema's own default,
/// or as an empty object where an object is wanted. Whole numbers may be written with a fraction of zero.
///
/// # Errors
/// If the schema doesn't allow it, either is too large, or the schema is none that can be followed: one with a
/// reference out of itself or to what contains it.
pub fn validate(schema: &Value, input: Value) -> Result<Value, InputError> {
    bounds::check(schema, &input)?;
    let input = defaults::fill(schema, input).ok_or(InputError::TooLarge("8 MiB, its defaults filled in"))?;
    bounds::check(schema, &input)?;
    let validator = compile(schema)?;
    let faults: Vec<Fault> = validator.iter_errors(&input).take(MAX_FAULTS).map(|e| words::fault(schema, &e)).collect();
    if faults.is_empty() { Ok(input) } else { Err(InputError::Invalid(faults)) }
}

/// Whether judging `input` by `schema` stays within bounds, for who judges in other words than [`validate`].
///
/// # Errors
/// If either is too large, the schema with its references written out, or the schema can't be followed.
pub fn bounded(schema: &Value, input: &Value) -> Result<(), InputError> {
    bounds::check(schema, input)
}

fn compile(schema: &Value) -> Result<Validator, InputError> {
    let mut options = jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(1 << 20))
        .should_validate_formats(false);
    // What actions.json files are written in, where they don't say.
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft7);
    }
    options.build(schema).map_err(|error| InputError::Schema(words::shortened(&error.to_string())))
}

impl Action {
    /// The action's input, validated with its defaults filled in. Keys that it doesn't know are refused, though the
    /// published schema of the reference's actions lets them pass. An action without a schema takes none or `{}`.
    ///
    /// # Errors
    /// If the input isn't what the action takes.
    pub fn input(&self, input: Value) -> Result<Value, InputError> {
        match self.schema {
            Some(schema) => validate(&closed(schema()), input),
            None if input.is_null() || input == Value::Object(Map::new()) => Ok(Value::Null),
            None => Err(InputError::Invalid(vec![Fault {
                place: String::new(),
                wanted: format!("must be left out: `{}` takes no input", self.cb_name),
            }])),
        }
    }
}

/// The schema with every object closed that lists its properties and doesn't say what else it may have.
fn closed(mut schema: Value) -> Value {
    if let Value::Object(fields) = &mut schema {
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.values_mut().for_each(|property| *property = closed(property.take()));
            fields.entry("additionalProperties").or_insert(Value::Bool(false));
        }
        if let Some(items) = fields.get_mut("items") {
            *items = closed(items.take());
        }
    }
    schema
}

#[cfg(test)]
mod tests;
