//! What a hook may be triggered with: a JSON schema that comes from outside, as the payload does.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use taskgraft_core::action::schema::{InputError, bounded};

use crate::http::mistakes;

/// The most that a compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A schema, ready to judge payloads. Nothing is fetched for it, and its patterns run in linear time.
///
/// # Errors
/// What is wrong with it.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    // Judging costs as much as the schema with its references written out, so that is what is bounded.
    within_bounds(schema, &Value::Null)?;
    let mut options = jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES))
        .should_validate_formats(true);
    // What hooks are written in, where they don't say.
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft7);
    }
    options.build(schema).map_err(|error| error.to_string().chars().take(1000).collect())
}

/// Whether judging a payload, too, takes no longer than anybody may keep the server busy.
///
/// # Errors
/// What is too large, or can't be followed.
pub(super) fn within_bounds(schema: &Value, payload: &Value) -> Result<(), String> {
    bounded(schema, payload).map_err(|error| match error {
        InputError::Schema(why) => format!("triggerSchema: {why}"),
        InputError::TooLarge(bound) => format!("data must NOT have more than {bound}"),
        InputError::Invalid(faults) => {
            faults.iter().map(|fault| format!("data{} {}", fault.place, fault.wanted)).collect::<Vec<_>>().join("; ")
        }
    })
}

/// # Errors
/// All that is wrong with a payload, in the words of the validator that Taskcluster uses.
pub(super) fn check(schema: &Validator, payload: &Value) -> Result<(), String> {
    let wrong: Vec<String> = mistakes(schema, payload).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// A short schema that is 2 to the power of `levels` with its references written out.
    fn doubling(levels: usize) -> Value {
        let mut definitions = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/definitions/{}", level + 1)});
            definitions.insert(level.to_string(), json!({"allOf": [next, next]}));
        }
        definitions.insert(levels.to_string(), json!({"type": "object"}));
        json!({"definitions": definitions, "$ref": "#/definitions/0"})
    }

    #[test]
    fn what_would_keep_the_server_busy_is_not_judged() {
        let schema = doubling(8);
        assert!(compile(&schema).is_ok(), "large for a small payload only");
        assert_eq!(within_bounds(&schema, &json!({"a": 1})), Ok(()));
        let large: Value = (0..100_000).collect();
        assert!(within_bounds(&schema, &large).is_err());
    }

    #[test]
    fn mistakes_are_worded_as_on_the_wire() {
        let schema = compile(&json!({
            "type": "object", "properties": {"user": {"type": "string"}}, "required": ["user", "n"],
            "additionalProperties": false,
        }));
        let schema = schema.unwrap();
        assert_eq!(
            check(&schema, &json!({"user": "a", "n": 1})),
            Err("data must NOT have additional properties: \"n\"".into())
        );
        let text = check(&schema, &json!({"user": 1})).unwrap_err();
        let mut texts: Vec<&str> = text.split("; ").collect();
        texts.sort_unstable();
        assert_eq!(texts, ["data must have required property 'n'", "data/user must be string"]);
    }

    #[test]
    fn schemas_that_cannot_be_used_are_refused() {
        for schema in [
            json!({"type": "nonsense"}),
            json!({"$ref": "https://example.org/elsewhere.json"}),
            json!({"pattern": "(a{1000}){1000}"}),
            json!({"description": "x".repeat(300_000)}),
            doubling(40),
        ] {
            assert!(compile(&schema).is_err(), "{:.80}", schema.to_string());
        }
        // Linear, however it is written.
        let schema = compile(&json!({"properties": {"a": {"pattern": "^(a+)+$"}}})).unwrap();
        assert!(check(&schema, &json!({"a": format!("{}b", "a".repeat(100_000))})).is_err());
    }
}
