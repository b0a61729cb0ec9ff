//! Run a task once more though its kind advises against it: only with `force`.

use serde_json::{Value, json};

use super::fields;
use super::retrigger::decide;
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger",
    cb_name: "retrigger-disabled",
    title: "Retrigger (disabled)",
    symbol: "rt",
    description: "Create a clone of the task.\n\nThis type of task should typically be re-run instead of re-triggered.",
    order: 20,
    context: &[&[]],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Reference,
    needs: Needs::GRAPH_AND_SUBJECT,
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "downstream": fields::downstream(),
            "times": fields::times_or_once(fields::OF_TASKS),
            "force": {
                "type": "boolean",
                "default": false,
                "description": "This task should not be re-triggered. This can be overridden by passing `true` here."
            }
        }
    })
}
