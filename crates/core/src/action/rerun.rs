//! Let a failed task try again.

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, Rerun, Subject, View};
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
    let is_listed = view.sources.iter().any(|source| source.labels.values().any(|id| *id == subject.id));
    if !is_listed && (view.policy == Policy::Reference || !is_of_group(view, subject, &label)) {
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

/// Whether the task is of the group and has a label of its graph: somebody created it there directly, and so no list
/// names it. The queue lets only one schedulerId into a group.
fn is_of_group(view: &View<'_>, subject: Subject<'_>, label: &str) -> bool {
    let group = subject.definition.and_then(|definition| definition.get("taskGroupId")?.as_str());
    group == Some(view.group.as_str()) && view.graph.is_some_and(|graph| graph.contains(label))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_task_that_no_list_names_is_run_again_if_it_is_of_the_group_and_its_graph() {
        let push = Example::of(&["a"]);
        let of = |label: &str, group: u8, policy| {
            let definition = json!({"metadata": {"name": label}, "taskGroupId": id(group)});
            let subject = Some(Subject { id: id(3), definition: Some(&definition) });
            decide(&View { subject, policy, ..push.view() }, &json!({}))
        };
        assert_eq!(of("a", 0, Policy::Graft).unwrap().rerun, [Rerun { label: "a".into(), task: id(3) }]);
        for (label, group) in [("a", 1), ("Decision Task", 0)] {
            let foreign = Refusal::Foreign { task: id(3), label: label.into() };
            assert_eq!(of(label, group, Policy::Graft), Err(foreign), "{label} of {group}");
        }
        assert_eq!(of("a", 0, Policy::Reference).unwrap().notes.len(), 1);
    }
}
