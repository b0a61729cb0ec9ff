//! Run every target of the push that has no task yet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::deed::{Deeds, Refusal, View};
use super::table::{Action, GENERIC, Needs, Origin};
use crate::ids::derive::{self, MAX_K};
use crate::json::GraphFile;
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
    schema: Some(schema),
    origin: Origin::Taskgraft,
    needs: Needs { targets: true, ..Needs::GRAPH },
    decide,
};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {},
        "additionalProperties": false
    })
}

fn decide(view: &View<'_>, _: &Value) -> Result<Deeds, Refusal> {
    let graph = view.graph.ok_or(Refusal::NotFetched("full-task-graph.json"))?;
    let targets: BTreeSet<&String> = view.targets.iter().collect();
    let mut labels = Vec::new();
    let mut notes = Vec::new();
    for label in &targets {
        if !view.tasks_of(label).is_empty() || is_promised(view, graph, label)? {
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

/// Whether another request that needs the job has made it, or is making it.
fn is_promised(view: &View<'_>, graph: &GraphFile, label: &str) -> Result<bool, Refusal> {
    let Some(body) = graph.body_hash(label)? else { return Ok(false) };
    for k in 0..=MAX_K {
        match view.statuses.get(&derive::needed(view.group, label, &body, k)).map(|status| status.state) {
            Some(TaskState::Failed | TaskState::Exception) => {}
            Some(TaskState::Unscheduled | TaskState::Pending | TaskState::Running | TaskState::Completed) => {
                return Ok(true);
            }
            None => return Ok(false),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::example::{Example, id};

    #[test]
    fn only_targets_without_any_task_are_run() {
        let mut push = Example::of(&["build", "test-1", "test-2", "test-3", "lint"]);
        push.targets = ["test-3", "build", "test-1", "gone", "test-2"].map(str::to_owned).to_vec();
        push.source(&[("build", 1)]);
        push.source(&[("test-1", 2)]);
        let body = push.graph.body_hash("test-2").unwrap().unwrap();
        // The first failed, the second waits: somebody needs it.
        push.status(derive::needed(id(0), "test-2", &body, 0), TaskState::Failed);
        push.status(derive::needed(id(0), "test-2", &body, 1), TaskState::Unscheduled);
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
    fn a_promise_that_failed_counts_for_nothing() {
        let mut push = Example::of(&["a"]);
        push.targets = vec!["a".into()];
        let body = push.graph.body_hash("a").unwrap().unwrap();
        push.status(derive::needed(id(0), "a", &body, 0), TaskState::Exception);
        assert_eq!(decide(&push.view(), &json!({})).unwrap().rounds.len(), 1);
    }

    #[test]
    fn nothing_missing_is_fine() {
        let mut push = Example::of(&["a"]);
        push.targets = vec!["a".into()];
        push.source(&[("a", 1)]);
        assert!(decide(&push.view(), &json!({})).unwrap().rounds.is_empty());
    }
}
