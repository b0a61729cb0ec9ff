//! Add the jobs that a query finds.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View, times};
use super::fields;
use super::near::near;
use super::query::Query;
use super::table::{Action, GENERIC, Needs, Origin};
use crate::plan::Round;

/// The action.
pub(super) const ACTION: Action = Action {
    name: "add-matching-jobs",
    cb_name: "add-matching-jobs",
    title: "Add matching jobs",
    symbol: "add-match",
    description: "Add all jobs that match: every condition that is given must hold.",
    order: 110,
    context: &[],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs::GRAPH,
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "label": patterns("Labels: `*` stands for any text, `?` for any character."),
            "kind": patterns("Kinds."),
            "platform": patterns("Platforms as Treeherder shows them, such as `linux64/opt`."),
            "attributes": pairs("Attributes, with the value or a list of values that each may have; null stands for not being there."),
            "tags": pairs("Tags, likewise."),
            "times": fields::times_or_once("How many times to run each job.")
        },
        // A query without any condition would add every job there is.
        "anyOf": [
            {"required": ["label"]},
            {"required": ["kind"]},
            {"required": ["platform"]},
            {"required": ["attributes"]},
            {"required": ["tags"]}
        ],
        "additionalProperties": false
    })
}

/// One pattern or several, of which one must match.
fn patterns(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": 256},
            {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}, "minItems": 1, "maxItems": 100}
        ]
    })
}

/// Names, with the values that each may have.
fn pairs(description: &str) -> Value {
    let scalar = json!({"type": ["string", "number", "boolean", "null"]});
    json!({
        "type": "object",
        "description": description,
        "minProperties": 1,
        "maxProperties": 100,
        "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1, "maxItems": 100}]}
    })
}

fn decide(view: &View<'_>, input: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let query = Query::new(input);
    let labels = query.labels(graph)?;
    if labels.is_empty() {
        return Err(Refusal::NoMatch(near(&query, graph)?));
    }
    Ok(Deeds { rounds: vec![Round { labels, times: times(input) }], ..Deeds::default() })
}
