//! Make all that is cached anew.

use serde_json::Value;

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "rebuild-cached-tasks",
    cb_name: "rebuild-cached-tasks",
    title: "Rebuild Cached Tasks",
    symbol: "rebuild-cached",
    description: "Rebuild cached tasks.",
    order: 1_000,
    context: &[],
    permission: "rebuild-cached-tasks",
    schema: None,
    origin: Origin::Reference,
    needs: Needs::GRAPH,
    decide,
};

fn decide(_view: &View<'_>, _input: &Value) -> Result<Deeds, Refusal> {
    Err(Refusal::NoSubject)
}
