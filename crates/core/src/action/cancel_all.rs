//! Cancel all that has not ended.

use serde_json::Value;

use super::deed::{Cancel, Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "cancel-all",
    cb_name: "cancel-all",
    title: "Cancel All",
    symbol: "cAll",
    description: "Cancel all running and pending tasks created by the decision task this action task is associated with.",
    order: 400,
    context: &[],
    permission: GENERIC,
    schema: None,
    origin: Origin::Reference,
    needs: Needs::NOTHING,
    decide,
};

fn decide(_: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    Ok(Deeds { cancel: Cancel::Group, ..Deeds::default() })
}
