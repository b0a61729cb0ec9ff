//! What is wrong with an input, in words.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::Fault;
use crate::plan::nearest;

/// No value or name is quoted longer, in characters.
const MAX_QUOTED: usize = 80;

pub(super) fn fault(schema: &Value, error: &ValidationError<'_>) -> Fault {
    let place = error.instance_path().to_string();
    Fault { wanted: wanted(schema, error), place: shortened(&place) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rare keywords are named, and the enum may grow")]
fn wanted(schema: &Value, error: &ValidationError<'_>) -> String {
    let is = || format!(", is {}", shortened(&error.instance().to_string()));
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => unknown(schema, error, unexpected),
        Kind::AnyOf { context } => match required_in_each(context) {
            Some(names) => format!("must have one of {}", names.join(", ")),
            None => format!("must be one of several things that it is not{}", is()),
        },
        Kind::Constant { expected_value } => format!("must be {}{}", shortened(&expected_value.to_string()), is()),
        Kind::Enum { options } => format!("must be one of {}{}", shortened(&options.to_string()), is()),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}{}", is()),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}{}", is()),
        Kind::Maximum { limit } => format!("must be at most {limit}{}", is()),
        Kind::Minimum { limit } => format!("must be at least {limit}{}", is()),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} keys"),
        Kind::MinProperties { limit } => format!("must have at least {limit} keys"),
        Kind::Pattern { pattern } => format!("must match the pattern {}{}", shortened(pattern), is()),
        Kind::Required { property } => format!("must have {}", quoted(property)),
        Kind::Type { kind: TypeKind::Single(kind) } => format!("must be {}{}", article(&kind.to_string()), is()),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => {
            let kinds: Vec<String> = kinds.iter().map(|kind| article(&kind.to_string())).collect();
            format!("must be {}{}", kinds.join(" or "), is())
        }
        Kind::FalseSchema => "must not be there".to_owned(),
        Kind::UniqueItems => "must not have the same item twice".to_owned(),
        other => format!("must satisfy the schema's `{}`", other.keyword()),
    }
}

fn quoted(name: &Value) -> String {
    format!("`{}`", shortened(name.as_str().unwrap_or_default()))
}

fn article(kind: &str) -> String {
    match kind {
        "null" => "null".to_owned(),
        "array" => "a list".to_owned(),
        "object" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// What each alternative lacks, if that is all that keeps each from fitting.
fn required_in_each(context: &[Vec<ValidationError<'static>>]) -> Option<Vec<String>> {
    let lacks = |errors: &Vec<ValidationError<'static>>| {
        let [error] = errors.as_slice() else { return None };
        let Kind::Required { property } = error.kind() else { return None };
        Some(quoted(property))
    };
    context.iter().map(lacks).collect()
}

fn unknown(schema: &Value, error: &ValidationError<'_>, unexpected: &[String]) -> String {
    let at = error.schema_path().to_string();
    let known = at.strip_suffix("/additionalProperties").and_then(|parent| schema.pointer(parent));
    let known: Vec<&str> = match known.and_then(|parent| parent.get("properties")).and_then(Value::as_object) {
        Some(properties) => properties.keys().map(String::as_str).collect(),
        None => Vec::new(),
    };
    let names: Vec<String> = unexpected.iter().take(5).map(|name| format!("`{}`", shortened(name))).collect();
    let hint = match unexpected.first().map(|name| nearest(name, known.iter().copied(), 1)).as_deref() {
        Some([near, ..]) => format!("; did you mean `{near}`?"),
        _ if known.is_empty() => "; it takes none".to_owned(),
        _ => format!("; it takes {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    format!("must not have {}{hint}", names.join(", "))
}

/// `text`, or its beginning where it is long.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
