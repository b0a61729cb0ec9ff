//! Run all that failed once more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deed::{Deeds, Refusal, View};
use super::fields;
use super::member::{Member, stuck};
use super::table::{Action, GENERIC, Needs, Origin};
use crate::ids::TaskId;
use crate::plan::Round;
use crate::state::TaskState;

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
    schema: Some(fields::none),
    origin: Origin::Taskgraft,
    needs: Needs { members: true, ..Needs::GRAPH },
    decide,
};

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let mut by_name: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in view.members {
        by_name.entry(&member.name).or_default().push(member);
    }
    let stuck = stuck(view.members);
    let mut deeds = Deeds::default();
    let mut labels = Vec::new();
    for (name, tasks) in by_name {
        // Decision and action tasks are not in the graph.
        if !has_failed(&tasks, &stuck) || !graph.contains(name) {
            continue;
        }
        let attributes = graph.get(name)?.map(|task| task.attributes).unwrap_or_default();
        if attributes.get("retrigger") == Some(&Value::Bool(false)) {
            deeds.notes.push(format!("`{name}` failed, and should be rerun rather than retriggered: left alone"));
        } else {
            labels.push(name.to_owned());
        }
    }
    deeds.notes.push(format!("{} jobs of this push failed last", labels.len()));
    if !labels.is_empty() {
        deeds.rounds.push(Round { labels, times: 1 });
    }
    Ok(deeds)
}

/// Whether a job failed, and no other task of it that is as new or newer did well, or may yet.
fn has_failed(tasks: &[&Member], stuck: &BTreeSet<TaskId>) -> bool {
    let failed = |task: &&&Member| matches!(task.state, TaskState::Failed | TaskState::Exception);
    let Some(last) = tasks.iter().filter(failed).map(|task| task.created).max() else { return false };
    let others = tasks.iter().filter(|task| !failed(task) && !stuck.contains(&task.task));
    others.map(|task| task.created).all(|created| created < last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::{Example, id};
    use TaskState::{Completed, Exception, Failed, Pending, Running, Unscheduled};
    use serde_json::json;

    /// What is retriggered of a push whose members are (id, name, state, minute of creation, dependencies).
    fn retriggered(members: &[(u8, &str, TaskState, i64, &[u8])]) -> Vec<String> {
        let mut push = Example::of(&["a", "b", "c"]);
        for (task, name, state, created, on) in members {
            push.member(*task, name, *state, *created, on);
        }
        let deeds = decide(&push.view(), &json!({})).unwrap();
        deeds.rounds.into_iter().flat_map(|round| round.labels).collect()
    }

    #[test]
    fn only_what_failed_last_is_run_once_more() {
        assert_eq!(
            retriggered(&[(1, "a", Failed, 0, &[]), (2, "b", Exception, 0, &[]), (3, "c", Completed, 0, &[])]),
            ["a", "b"]
        );
        assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), (2, "a", Completed, 1, &[])]), [""; 0]);
        assert_eq!(retriggered(&[(1, "a", Completed, 0, &[]), (2, "a", Failed, 1, &[])]), ["a"]);
        assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), (2, "a", Failed, 1, &[])]), ["a"], "once");
        for state in [Pending, Running, Unscheduled] {
            assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), (2, "a", state, 1, &[])]), [""; 0], "{state:?}");
        }
    }

    #[test]
    fn of_copies_made_together_one_that_did_well_is_enough() {
        assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), (2, "a", Running, 0, &[])]), [""; 0]);
        assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), (2, "a", Failed, 0, &[])]), ["a"]);
    }

    #[test]
    fn a_copy_that_will_never_run_is_no_newer_copy() {
        let failed_action = (3, "Action: Add new jobs", Failed, 1, &[][..]);
        assert_eq!(retriggered(&[(1, "a", Failed, 0, &[]), failed_action, (2, "a", Unscheduled, 2, &[3])]), ["a"]);
        let behind = (4, "b", Unscheduled, 2, &[2][..]);
        let all = [(1, "a", Failed, 0, &[][..]), failed_action, (2, "a", Unscheduled, 2, &[3]), behind];
        assert_eq!(retriggered(&all), ["a"], "what waits for it has not failed");
    }

    #[test]
    fn decision_and_action_tasks_are_left_alone() {
        assert_eq!(
            retriggered(&[(0, "Decision Task", Failed, 0, &[]), (1, "Action: Backfill", Exception, 0, &[])]),
            [""; 0]
        );
    }

    #[test]
    fn what_says_that_it_must_not_be_retriggered_is_left_alone_and_named() {
        let mut push = Example::with(&[("sign", json!({"retrigger": false})), ("test", json!({"retrigger": true}))]);
        push.member(1, "sign", Failed, 0, &[]);
        push.member(2, "test", Failed, 0, &[]);
        let deeds = decide(&push.view(), &json!({})).unwrap();
        assert_eq!(deeds.rounds[0].labels, ["test"]);
        assert!(deeds.notes[0].contains("`sign`"), "{:?}", deeds.notes);
        assert_eq!(id(1).to_string().len(), 22);
    }
}
