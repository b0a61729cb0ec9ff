//! Run many jobs once more, each as many times as asked for.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, DEFAULT_ORDER, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger-multiple",
    cb_name: "retrigger-multiple",
    title: "Retrigger",
    symbol: "rt",
    description: "Create a clone of the task.",
    order: DEFAULT_ORDER,
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
            "requests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "tasks": {
                            "type": "array",
                            "description": "An array of task labels",
                            "items": {"type": "string"}
                        },
                        "times": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 100,
                            "title": "Times",
                            "description": "How many times to run each task."
                        }
                    },
                    "additionalProperties": false
                }
            },
            // A property of that name, which is what the reference publishes.
            "additionalProperties": false
        }
    })
}

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
