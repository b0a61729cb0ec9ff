//! Run every target of the push that has no task yet.

use std::collections::BTreeSet;

use serde_json::Value;

use super::deed::{Deeds, Refusal, View};
use super::fields;
use super::member::{Member, stuck};
use super::table::{Action, GENERIC, Needs, Origin};
use crate::plan::Round;
use crate::state::TaskState;

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
    schema: Some(fields::none),
    origin: Origin::Taskgraft,
    needs: Needs { targets: true, members: true, ..Needs::GRAPH },
    decide,
};

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph()?;
    let targets: BTreeSet<&String> = view.targets.iter().collect();
    // What an action that still runs has made is in no list yet.
    let stuck = stuck(view.members);
    let may_do = |member: &&Member| {
        !matches!(member.state, TaskState::Failed | TaskState::Exception) && !stuck.contains(&member.task)
    };
    let there: BTreeSet<&str> = view.members.iter().filter(may_do).map(|member| member.name.as_str()).collect();
    let mut labels = Vec::new();
    let mut notes = Vec::new();
    for label in &targets {
        if !view.tasks_of(label).is_empty() || there.contains(label.as_str()) {
            continue;
        }
        if graph.contains(label) {
            labels.push((*label).clone());
        } else {
            notes.push(format!("`{label}` was meant to run, and this push's graph has no such job"));
        }
    }
    notes.push(format!("of {} jobs that this push was meant to run {} have no task", targets.len(), labels.len()));
    let rounds = if labels.is_empty() { Vec::new() } else { vec![Round { labels, times: 1 }] };
    Ok(Deeds { rounds, notes, ..Deeds::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::Example;
    use serde_json::json;

    #[test]
    fn only_targets_without_any_task_are_run() {
        let mut push = Example::of(&["build", "test-1", "test-2", "test-3", "lint"]);
        push.targets = ["test-3", "build", "test-1", "gone", "test-2"].map(str::to_owned).to_vec();
        push.source(&[("build", 1)]);
        push.source(&[("test-1", 2)]);
        // Another request's, which is in no list: the first try failed, the second waits.
        push.member(3, "test-2", TaskState::Failed, 0, &[]);
        push.member(4, "test-2", TaskState::Unscheduled, 1, &[]);
        let deeds = decide(&push.view(), &json!({})).unwrap();
        assert_eq!(deeds.rounds, [Round { labels: vec!["test-3".into()], times: 1 }]);
        assert_eq!(
            deeds.notes,
            [
                "`gone` was meant to run, and this push's graph has no such job",
                "of 5 jobs that this push was meant to run 1 have no task"
            ]
        );
    }

    #[test]
    fn what_failed_or_will_never_run_and_is_in_no_list_counts_for_nothing() {
        let mut push = Example::of(&["a", "b"]);
        push.targets = vec!["a".into(), "b".into()];
        push.member(1, "a", TaskState::Exception, 0, &[]);
        push.member(2, "b", TaskState::Unscheduled, 0, &[1]);
        assert_eq!(decide(&push.view(), &json!({})).unwrap().rounds[0].labels, ["a", "b"]);
    }

    #[test]
    fn nothing_missing_is_fine() {
        let mut push = Example::of(&["a"]);
        push.targets = vec!["a".into()];
        push.source(&[("a", 1)]);
        assert!(decide(&push.view(), &json!({})).unwrap().rounds.is_empty());
    }
}
