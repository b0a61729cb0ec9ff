//! Task definitions: from what a graph holds to what `createTask` is sent.
//!
//! A definition in a graph holds `{"relative-datestamp": …}`, `{"task-reference": …}` and `{"artifact-reference": …}`
//! wherever a value may stand. Resolving them, and the other changes that the reference makes on the way, are each a
//! small function here; the plan decides which apply and when.

mod datestamp;
mod group;
mod reference;

use serde_json::{Map, Value};

pub use datestamp::{Datestamp, duration, relativize_datestamps, resolve_timestamps};
pub use group::{
    add_dependency, copies, extend_dependencies, has_dependency_among, join_group, scheduler_id, set_parent,
};
pub use reference::{ArtifactUrls, References, resolve_references};

/// Why a definition can't be finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// `<name>` in a reference, and no dependency of that name.
    #[error("no dependency is named `{0}`, but a reference uses it")]
    UnknownDependency(String),
    /// `<self/…>` in an artifact reference: a task's own artifacts don't exist when it is created.
    #[error("an artifact reference names the task itself")]
    OwnArtifact,
    /// A reference or datestamp whose value is neither text nor an object.
    #[error("`{0}` needs a text")]
    NotText(&'static str),
    /// A relative datestamp that says no length of time, or one that leads out of the calendar.
    #[error("`{0}` is no length of time: a whole number and a unit are needed, such as `2 days`")]
    Datestamp(String),
    /// A value of another type than the definition needs there.
    #[error("{pointer}: {expected} is needed")]
    Type {
        /// Where, as a JSON pointer.
        pointer: &'static str,
        /// What should be there.
        expected: &'static str,
    },
}

/// A key that stands alone in an object, whose text is to be replaced, and how.
type Resolver<'a> = (&'static str, &'a dyn Fn(&str) -> Result<String, DefinitionError>);

/// `value` with every object of one key among `resolvers` replaced by what that makes of the key's text. Where the
/// key holds an object, that object's own keys are the texts, and it stays an object:
/// `{"task-reference": {"cache-<build>": "/x"}}` becomes `{"cache-<id>": "/x"}`.
fn rewrite(value: &Value, resolvers: &[Resolver<'_>]) -> Result<Value, DefinitionError> {
    match value {
        Value::Object(fields) => {
            if let Some((resolver, inner)) = lone_key(fields, resolvers) {
                return resolved(inner, resolver, resolvers);
            }
            let fields = fields.iter().map(|(key, field)| Ok((key.clone(), rewrite(field, resolvers)?)));
            Ok(Value::Object(fields.collect::<Result<_, DefinitionError>>()?))
        }
        Value::Array(items) => items.iter().map(|item| rewrite(item, resolvers)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn lone_key<'v, 'r>(
    fields: &'v Map<String, Value>,
    resolvers: &'r [Resolver<'r>],
) -> Option<(&'r Resolver<'r>, &'v Value)> {
    let (key, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    Some((resolvers.iter().find(|(name, _)| name == key)?, value))
}

fn resolved(
    inner: &Value,
    (key, resolve): &Resolver<'_>,
    resolvers: &[Resolver<'_>],
) -> Result<Value, DefinitionError> {
    match inner {
        Value::String(text) => resolve(text).map(Value::String),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| Ok((resolve(key)?, rewrite(field, resolvers)?)));
            Ok(Value::Object(fields.collect::<Result<_, DefinitionError>>()?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(DefinitionError::NotText(key)),
    }
}
