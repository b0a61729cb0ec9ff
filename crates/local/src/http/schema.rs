//! JSON schemas of request bodies: compiled once, fill in defaults, and say what is wrong in the wire's words.

use std::collections::HashMap;
use std::fmt::Write as _;

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

/// How many mistakes an answer lists at most.
const MOST_MISTAKES: usize = 50;

macro_rules! schemas {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../schemas/", $path)))),*] };
}

/// Every schema that an endpoint may name, by its path below `schemas/`.
const SCHEMAS: &[(&str, &str)] = schemas![
    "auth/v1/authenticate-hawk-request.json",
    "auth/v1/create-client-request.json",
    "auth/v1/create-role-request.json",
    "auth/v1/scopeset.json",
    "auth/v1/test-authenticate-request.json",
    "hooks/v1/create-hook-request.json",
    "hooks/v1/trigger-hook.json",
    "index/v1/insert-task-request.json",
    "index/v1/list-namespaces-request.json",
    "index/v1/list-tasks-at-index.json",
    "queue/v1/change-task-priority-request.json",
    "queue/v1/claim-work-request.json",
    "queue/v1/create-task-request.json",
    "queue/v1/finish-artifact-request.json",
    "queue/v1/post-artifact-request.json",
    "queue/v1/quarantine-worker-request.json",
    "queue/v1/task-claim-request.json",
    "queue/v1/task-exception-request.json",
    "queue/v1/tasks-request.json",
    "queue/v1/update-worker-request.json",
];

/// A schema that cannot be used; only a defect in this crate makes one.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is no JSON.
    #[error("schema {path} is not JSON")]
    Json {
        /// Which one.
        path: &'static str,
        /// Where.
        source: serde_json::Error,
    },
    /// The file is no schema.
    #[error("schema {path} does not compile: {message}")]
    Schema {
        /// Which one.
        path: &'static str,
        /// Why.
        message: String,
    },
}

struct Schema {
    path: &'static str,
    schema: Value,
    validator: Validator,
}

/// All schemas, compiled.
pub(crate) struct Schemas(HashMap<&'static str, Schema>);

impl Schemas {
    pub(crate) fn compile() -> Result<Self, SchemaError> {
        SCHEMAS
            .iter()
            .map(|&(path, text)| {
                let schema: Value = serde_json::from_str(text).map_err(|source| SchemaError::Json { path, source })?;
                let validator = jsonschema::options()
                    .should_validate_formats(true)
                    .with_format("date-time", |text: &str| taskgraft_core::time::parse(text).is_ok())
                    .build(&schema)
                    .map_err(|error| SchemaError::Schema { path, message: error.to_string() })?;
                Ok((path, Schema { path, schema, validator }))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Fills in defaults, then validates. The error is the text that goes over the wire.
    pub(crate) fn check(&self, path: &str, root_url: &str, body: &mut Value) -> Result<(), String> {
        let Some(schema) = self.0.get(path) else { return Err(format!("there is no schema {path}")) };
        fill_defaults(&schema.schema, body);
        if schema.validator.is_valid(body) {
            return Ok(());
        }
        let mut text = format!(
            "Schema Validation Failed!\nRejecting Schema: {}/schemas/{}#\nErrors:",
            root_url.trim_end_matches('/'),
            schema.path
        );
        for mistake in mistakes(&schema.validator, body) {
            let _ = write!(text, "\n  * {mistake}");
        }
        Err(text)
    }
}

/// What is wrong with a body, in the words of the validator that Taskcluster uses.
pub(crate) fn mistakes<'a>(validator: &'a Validator, body: &'a Value) -> impl Iterator<Item = String> + 'a {
    let told = |error: jsonschema::ValidationError<'_>| {
        format!("data{} {}", error.instance_path(), wording(error.kind(), error.instance()))
    };
    validator.iter_errors(body).take(MOST_MISTAKES).map(told)
}

/// As the real validator does it: in `properties` and `items` only, never within alternatives.
fn fill_defaults(schema: &Value, body: &mut Value) {
    match body {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, property) in properties {
                match (fields.get_mut(name), property.get("default")) {
                    (Some(value), _) => fill_defaults(property, value),
                    (None, Some(default)) => {
                        fields.insert(name.clone(), default.clone());
                    }
                    (None, None) => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(item) = schema.get("items").filter(|item| item.get("properties").is_some()) else { return };
            items.iter_mut().for_each(|value| fill_defaults(item, value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is wrong, in the words of the validator that Taskcluster uses.
#[expect(clippy::wildcard_enum_match_arm, reason = "only the kinds that our schemas can give have words of their own")]
fn wording(kind: &ValidationErrorKind, instance: &Value) -> String {
    match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| format!("{name:?}")).collect();
            format!("must NOT have additional properties: {}", names.join(", "))
        }
        ValidationErrorKind::AnyOf { .. } => "must match a schema in anyOf".to_owned(),
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            "must match exactly one schema in oneOf".to_owned()
        }
        ValidationErrorKind::Enum { .. } => "must be equal to one of the allowed values".to_owned(),
        ValidationErrorKind::Format { format } => format!("must match format \"{format}\""),
        ValidationErrorKind::Pattern { pattern } => format!("must match pattern \"{pattern}\""),
        ValidationErrorKind::MaxItems { limit } => format!("must NOT have more than {limit} items"),
        ValidationErrorKind::MinItems { limit } => format!("must NOT have fewer than {limit} items"),
        ValidationErrorKind::MaxLength { limit } => format!("must NOT have more than {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("must NOT have fewer than {limit} characters"),
        ValidationErrorKind::Maximum { limit } => format!("must be <= {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("must be >= {limit}"),
        ValidationErrorKind::Required { property } => {
            format!("must have required property '{}'", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind } => match kind {
            TypeKind::Single(wanted) => format!("must be {wanted}"),
            TypeKind::Multiple(wanted) => {
                let names: Vec<String> = wanted.iter().map(|name| name.to_string()).collect();
                format!("must be {}", names.join(","))
            }
        },
        ValidationErrorKind::UniqueItems => {
            let (first, second) = same_items(instance).unwrap_or_default();
            format!("must NOT have duplicate items (items ## {second} and {first} are identical)")
        }
        other => format!("must satisfy \"{}\"", other.keyword()),
    }
}

/// The first item that stands in a list a second time: where first, and where again.
fn same_items(list: &Value) -> Option<(usize, usize)> {
    let mut seen = HashMap::new();
    for (at, item) in list.as_array()?.iter().enumerate() {
        if let Some(first) = seen.insert(item.to_string(), at) {
            return Some((first, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(path: &str, mut body: Value) -> (Value, Result<(), String>) {
        let result = Schemas::compile().unwrap().check(path, "http://tc.example", &mut body);
        (body, result)
    }

    #[test]
    fn defaults_are_filled_in_before_anything_is_judged() {
        let (body, result) = check("queue/v1/create-task-request.json", json!({}));
        let defaults = json!({
            "schedulerId": "-", "projectId": "none", "dependencies": [], "requires": "all-completed", "routes": [],
            "priority": "lowest", "retries": 5, "scopes": [], "payload": [], "tags": {}, "extra": {},
        });
        assert_eq!(body, defaults);
        let mistakes = result.unwrap_err();
        let (head, list) = mistakes.split_once("Errors:").unwrap();
        assert_eq!(
            head,
            "Schema Validation Failed!\nRejecting Schema: \
             http://tc.example/schemas/queue/v1/create-task-request.json#\n"
        );
        let mut list: Vec<&str> = list.trim().lines().map(str::trim).collect();
        list.sort_unstable();
        assert_eq!(
            list,
            [
                "* data must have required property 'created'",
                "* data must have required property 'deadline'",
                "* data must have required property 'metadata'",
                "* data/payload must be object"
            ]
        );
    }

    #[test]
    fn mistakes_are_worded_as_on_the_wire() {
        let path = "auth/v1/create-client-request.json";
        let (_, result) =
            check(path, json!({"description": 1, "expires": "soon", "scopes": ["a", "b", "a"], "foo": true}));
        let text = result.unwrap_err();
        for line in [
            "\n  * data must NOT have additional properties: \"foo\"",
            "\n  * data/description must be string",
            "\n  * data/expires must match format \"date-time\"",
            "\n  * data/scopes must NOT have duplicate items (items ## 2 and 0 are identical)",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let (_, result) = check("index/v1/insert-task-request.json", json!([]));
        assert!(result.unwrap_err().ends_with("  * data must be object"));
    }

    #[test]
    fn moments_may_be_spelled_in_any_way_that_rfc_3339_has() {
        let path = "auth/v1/create-client-request.json";
        for expires in ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00.123456+01:00"] {
            assert_eq!(check(path, json!({"description": "", "expires": expires})).1, Ok(()), "{expires}");
        }
    }
}
