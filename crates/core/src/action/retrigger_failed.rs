//! Run all that failed once more.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger-failed",
    cb_name: "retrigger-failed",
    title: "Retrigger failed jobs",
    symbol: "rt-failed",
    description: "Run every failed job of this push once more.",
    order: 120,
    context: &[],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs { members: true, ..Needs::GRAPH },
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {

        },
        "additionalProperties": false
    })
}

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
