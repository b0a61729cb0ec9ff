//! Run every target of the push that has no task yet.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "run-missing-jobs",
    cb_name: "run-missing-jobs",
    title: "Run missing jobs",
    symbol: "missing",
    description: "Run every job that this push was meant to run and that has no task yet, such as those that were optimized away.",
    order: 250,
    context: &[],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs { targets: true, ..Needs::GRAPH },
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
