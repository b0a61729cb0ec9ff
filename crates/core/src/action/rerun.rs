//! Let a failed task try again.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, Rerun, View};
use super::table::{Action, GENERIC, Needs, Origin};
use crate::plan::Policy;

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

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let subject = view.subject.ok_or(Refusal::NoSubject)?;
    let label = subject.label()?.to_owned();
    let mut deeds = Deeds::default();
    if !view.sources.iter().any(|source| source.labels.values().any(|id| *id == subject.id)) {
        let foreign = Refusal::Foreign { task: subject.id, label: label.clone() };
        match view.policy {
            Policy::Graft => return Err(foreign),
            // It says that it refuses, and reruns the task all the same.
            Policy::Reference => deeds.notes.push(foreign.to_string()),
        }
    }
    deeds.rerun.push(Rerun { label, task: subject.id });
    Ok(deeds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::deed::Subject;
    use crate::action::example::{Example, id};

    #[test]
    fn a_task_that_is_not_of_this_push_is_not_run_again() {
        let mut push = Example::of(&["a"]);
        push.source(&[("a", 1)]);
        push.source(&[("a", 2)]);
        let definition = json!({"metadata": {"name": "a"}});
        let of = |task: u8, policy| {
            let subject = Some(Subject { id: id(task), definition: Some(&definition) });
            decide(&View { subject, policy, ..push.view() }, &json!({}))
        };
        // The older one too: it may be what failed.
        for task in [1, 2] {
            assert_eq!(of(task, Policy::Graft).unwrap().rerun, [Rerun { label: "a".into(), task: id(task) }]);
        }
        assert_eq!(of(3, Policy::Graft), Err(Refusal::Foreign { task: id(3), label: "a".into() }));
        assert_eq!(of(3, Policy::Reference).unwrap().rerun.len(), 1);
    }
}
