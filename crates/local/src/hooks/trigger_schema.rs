//! What a hook may be triggered with: a JSON schema that comes from outside, as the payload does.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::http::mistakes;

/// The longest schema, in bytes of its JSON text.
const MAX_BYTES: usize = 256 << 10;
/// The most that a compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A schema, ready to judge payloads. Nothing is fetched for it, and its patterns run in linear time.
///
/// # Errors
/// What is wrong with it.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    if schema.to_string().len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let mut options = jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES))
        .should_validate_formats(true);
    // What hooks are written in, where they don't say.
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft7);
    }
    options.build(schema).map_err(|error| error.to_string().chars().take(1000).collect())
}

/// # Errors
/// All that is wrong with a payload, in the words of the validator that Taskcluster uses.
pub(super) fn check(schema: &Validator, payload: &Value) -> Result<(), String> {
    let wrong: Vec<String> = mistakes(schema, payload).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        ] {
            assert!(compile(&schema).is_err(), "{:.80}", schema.to_string());
        }
        // Linear, however it is written.
        let schema = compile(&json!({"properties": {"a": {"pattern": "^(a+)+$"}}})).unwrap();
        assert!(check(&schema, &json!({"a": format!("{}b", "a".repeat(100_000))})).is_err());
    }
}
