//! Add jobs by their labels.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "add-new-jobs",
    cb_name: "add-new-jobs",
    title: "Add new jobs",
    symbol: "add-new",
    description: "Add new jobs using task labels.",
    order: 100,
    context: &[],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Reference,
    needs: Needs::GRAPH,
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "tasks": {
                "type": "array",
                "description": "An array of task labels",
                "items": {"type": "string"}
            },
            "times": {
                "type": "integer",
                "default": 1,
                "minimum": 1,
                "maximum": 100,
                "title": "Times",
                "description": "How many times to run each task."
            }
        }
    })
}

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
