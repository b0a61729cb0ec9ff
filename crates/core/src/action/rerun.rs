//! Let a failed task try again.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "rerun",
    cb_name: "rerun",
    title: "Rerun",
    symbol: "rr",
    description: "Rerun a task.\n\nThis only works on failed or exception tasks in the original taskgraph, and is CoT friendly.",
    order: 300,
    context: &[&[]],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Reference,
    needs: Needs::GRAPH_AND_SUBJECT,
    decide,
};

fn schema() -> Value {
    json!({"type": "object", "properties": {}})
}

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
