//! Run a job on earlier pushes.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "backfill",
    cb_name: "backfill",
    title: "Backfill",
    symbol: "Bk",
    description: "Run this job on earlier pushes, to find the one that broke it.",
    order: 200,
    context: &[&[]],
    permission: GENERIC,
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs { earlier_pushes: true, ..Needs::GRAPH_AND_SUBJECT },
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "depth": {
                "type": "integer",
                "default": 9,
                "minimum": 1,
                "maximum": 100,
                "title": "Depth",
                "description": "On how many of the pushes before this one the job is to run."
            },
            "inclusive": {
                "type": "boolean",
                "default": false,
                "title": "Inclusive",
                "description": "Whether it is to run on this push once more, too."
            },
            "times": {
                "type": "integer",
                "default": 1,
                "minimum": 1,
                "maximum": 100,
                "title": "Times",
                "description": "How many times to run it on each push."
            }
        },
        "additionalProperties": false
    })
}

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
