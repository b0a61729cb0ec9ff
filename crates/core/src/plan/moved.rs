//! Whether the facts behind a plan have moved.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Plan;
use super::task::{PlannedTask, Role, Target};
use super::verdict::{Origin, PassedOver, Unusable, Verdict};
use crate::ids::TaskId;
use crate::ids::derive::{self, MAX_K};

/// A label whose verdict would be another today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The label.
    pub label: String,
    /// The verdict in the older plan; `None` if it has no such label.
    pub was: Option<Verdict>,
    /// The verdict now, likewise.
    pub now: Option<Verdict>,
}

/// What a verdict comes to: the ids that stand for the label, or why there are none.
#[derive(PartialEq, Eq)]
enum Comes {
    To(BTreeSet<TaskId>),
    /// Planned without a group: it has no ids.
    New,
    Removed,
    Refused,
}

/// The labels whose verdict would be another today, if they matter to a task that is not created yet.
///
/// `now` is a plan for the same request on newer facts; `created` are the tasks of `was` that exist. A needed task that
/// another request has made meanwhile, under an id that both derive, is no move; nor is what only created tasks need.
#[must_use]
pub fn moved(was: &Plan, now: &Plan, created: &BTreeSet<TaskId>) -> Vec<Moved> {
    let open = open_labels(was, created);
    let (before, after) = (comes(was), comes(now));
    let labels: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let moved = labels.into_iter().filter(|label| match (before.get(label), after.get(label)) {
        (Some(before), Some(after)) => open.contains(label) && before != after && !steps_aside(was, now, label, after),
        // Only a new label in the graph, or one gone, can be meant: that is another graph.
        (None, _) | (_, None) => true,
    });
    let verdict = |plan: &Plan, label: &str| plan.verdict(label).cloned();
    moved.map(|label| Moved { label: label.to_owned(), was: verdict(was, label), now: verdict(now, label) }).collect()
}

/// Whether a needed task only has another of the ids that it could have: it was made under that, or squatters have those
/// before it. Creation passes over them by itself, and an earlier try may have done so already.
fn steps_aside(was: &Plan, now: &Plan, label: &str, after: &Comes) -> bool {
    let squatted = |passed: &PassedOver| {
        !matches!(passed.from, Origin::Promised { .. }) || matches!(passed.because, Unusable::Foreign)
    };
    if let Some(Verdict::New { passed_over, .. }) = now.verdict(label)
        && !passed_over.iter().all(squatted)
    {
        return false;
    }
    let (Some(group), Comes::To(ids)) = (was.request.group, after) else { return false };
    let could_have = |task: &PlannedTask| match &task.role {
        Role::Needed { body } => {
            let derived: BTreeSet<TaskId> = (0..=MAX_K).map(|k| derive::needed(group, label, body, k)).collect();
            ids.is_subset(&derived)
        }
        Role::Copy { .. } | Role::Bridge | Role::Clone { .. } | Role::Index { .. } | Role::Reference { .. } => false,
    };
    was.tasks.iter().any(|task| task.label == label && could_have(task))
}

fn comes(plan: &Plan) -> BTreeMap<&str, Comes> {
    let mut ids: BTreeMap<&str, BTreeSet<TaskId>> = BTreeMap::new();
    for task in &plan.tasks {
        ids.entry(&task.label).or_default().extend(task.task_id);
    }
    let comes = |label: &str, verdict: &Verdict| match verdict {
        Verdict::Reuse(reuse) => Comes::To(BTreeSet::from([reuse.task_id])),
        Verdict::New { .. } => match ids.get(label) {
            Some(ids) if !ids.is_empty() => Comes::To(ids.clone()),
            Some(_) | None => Comes::New,
        },
        Verdict::Removed { .. } => Comes::Removed,
        Verdict::Refused { .. } => Comes::Refused,
    };
    plan.verdicts.iter().map(|entry| (entry.label.as_str(), comes(&entry.label, &entry.verdict))).collect()
}

/// Labels of tasks that are not created yet, and of what those depend on.
fn open_labels<'a>(plan: &'a Plan, created: &BTreeSet<TaskId>) -> BTreeSet<&'a str> {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for task in plan.tasks.iter().filter(|task| task.task_id.is_none_or(|id| !created.contains(&id))) {
        open.insert(&task.label);
        for dependency in &task.dependencies {
            match dependency.on {
                Target::New(at) => open.extend(plan.tasks.get(at).map(|task| task.label.as_str())),
                Target::Existing(id) => open.extend(plan.label_of(id)),
            }
        }
    }
    // What was refused has no task, and may be had today.
    let refused = plan.verdicts.iter().filter(|entry| matches!(entry.verdict, Verdict::Refused { .. }));
    open.extend(refused.map(|entry| entry.label.as_str()));
    open
}
