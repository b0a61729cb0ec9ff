//! Cancel a task.

use serde_json::Value;

use super::deed::{Cancel, Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "cancel",
    cb_name: "cancel",
    title: "Cancel Task",
    symbol: "cx",
    description: "Cancel the given task",
    order: 350,
    context: &[&[]],
    permission: GENERIC,
    schema: None,
    origin: Origin::Reference,
    needs: Needs::NOTHING,
    decide,
};

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let subject = view.subject.ok_or(Refusal::NoSubject)?;
    Ok(Deeds { cancel: Cancel::Task(subject.id), ..Deeds::default() })
}
