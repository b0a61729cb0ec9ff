//! Make a decision, action or cron task once more.

use serde_json::Value;

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, Needs, Origin};

/// The action.
pub(super) const ACTION: Action = Action {
    name: "retrigger",
    cb_name: "retrigger-decision",
    title: "Retrigger",
    symbol: "rt",
    description: "Create a clone of the task (retriggering decision, action, and cron tasks requires\nspecial scopes).",
    order: 11,
    context: &[&[("kind", "decision-task")], &[("kind", "action-callback")], &[("kind", "cron-task")]],
    permission: "retrigger-decision",
    schema: None,
    origin: Origin::Reference,
    needs: Needs::SUBJECT,
    decide,
};

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let subject = view.subject.ok_or(Refusal::NoSubject)?;
    Ok(Deeds { clone: Some(subject.id), ..Deeds::default() })
}
