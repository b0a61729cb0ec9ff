//! The artifacts that an action leaves behind, named and shaped as the reference's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::iterations::{Iteration, iterations};
use super::model::Plan;
use super::render::{named_ids, resolved};
use super::request::{Numbered, Policy, Purpose};
use super::task::{PlannedTask, Role};
use super::verdict::stand_in;
use crate::definition::DefinitionError;
use crate::ids::TaskId;
use crate::json::to_string_sorted;

/// Why there are no artifacts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactsError {
    /// The plan was made without a decision task, so its tasks have no ids.
    #[error("the plan has no task ids: it was made without a decision task")]
    NoIds,
    /// A definition can't be completed.
    #[error("task `{label}`: {error}")]
    Definition {
        /// Its label.
        label: String,
        /// What is wrong.
        error: DefinitionError,
    },
}

/// File names and their texts: task-graph.json, label-to-taskid.json and, for an addition, to-run.json. What is made
/// several times leaves each of them once more per time, as task-graph-0.json and so on, with that time's copies and what
/// is made for them.
///
/// Definitions have their references resolved and dependencies in, but neither group nor schedulerId, and their relative
/// datestamps are left.
///
/// # Errors
/// See [`ArtifactsError`].
pub fn artifacts(plan: &Plan) -> Result<BTreeMap<String, String>, ArtifactsError> {
    let ids: Option<Vec<TaskId>> = plan.tasks.iter().map(|task| task.task_id).collect();
    artifacts_with(plan, &ids.ok_or(ArtifactsError::NoIds)?)
}

/// The same with the ids that the plan's tasks got in the end.
///
/// # Errors
/// See [`ArtifactsError`].
pub(crate) fn artifacts_with(plan: &Plan, ids: &[TaskId]) -> Result<BTreeMap<String, String>, ArtifactsError> {
    let mut files = BTreeMap::new();
    // Where it makes nothing of a graph, the reference leaves nothing.
    let makes_labels = match &plan.request.purpose {
        Purpose::Clone { .. } => false,
        Purpose::Add { rounds, numbered } => !rounds.is_empty() || *numbered == Numbered::RoundsAndTimes,
        Purpose::Optimize { .. } => true,
    };
    if plan.policy == Policy::Reference && !makes_labels {
        return Ok(files);
    }
    for Iteration { suffix, round, tasks, stand_ins } in iterations(plan) {
        files.insert(format!("task-graph{suffix}.json"), text(&task_graph(plan, ids, &tasks)?));
        let labels = label_to_task_id(plan, ids, stand_ins, &tasks);
        files.insert(format!("label-to-taskid{suffix}.json"), text(&json!(labels)));
        let asked: BTreeSet<&String> = plan.request.rounds()[round].labels.iter().collect();
        files.insert(format!("to-run{suffix}.json"), text(&json!(asked)));
    }
    let all = listed(plan, None);
    files.insert("task-graph.json".to_owned(), text(&task_graph(plan, ids, &all)?));
    // What a later round made of a label counts.
    let mut labels = BTreeMap::new();
    for (round, _) in plan.stand_ins.iter().enumerate() {
        let first: u32 = plan.request.rounds()[..round].iter().map(|round| round.times).sum();
        let last = first.saturating_add(plan.request.rounds()[round].times.saturating_sub(1));
        labels.append(&mut label_to_task_id(plan, ids, stand_ins(plan, round), &listed(plan, Some(last))));
    }
    if plan.stand_ins.is_empty() {
        labels = label_to_task_id(plan, ids, stand_ins(plan, 0), &all);
    }
    files.insert("label-to-taskid.json".to_owned(), text(&json!(labels)));
    if matches!(plan.request.purpose, Purpose::Add { .. }) {
        let asked: BTreeSet<&String> = plan.request.labels.iter().collect();
        files.insert("to-run.json".to_owned(), text(&json!(asked)));
    }
    Ok(files)
}

fn text(value: &Value) -> String {
    to_string_sorted(value)
}

/// The places of the tasks that artifacts name: of the reference's duplicates only the first.
pub(super) fn listed(plan: &Plan, only: Option<u32>) -> Vec<usize> {
    let is_listed = |task: &PlannedTask| match task.role {
        Role::Reference { iteration, duplicate } => duplicate == 0 && only.is_none_or(|only| only == iteration),
        Role::Copy { .. } | Role::Needed { .. } | Role::Bridge | Role::Clone { .. } | Role::Index { .. } => true,
    };
    (0..plan.tasks.len()).filter(|at| is_listed(&plan.tasks[*at])).collect()
}

fn task_graph(plan: &Plan, ids: &[TaskId], chosen: &[usize]) -> Result<Value, ArtifactsError> {
    let id_of = |at: usize| ids[at];
    let mut graph = Map::new();
    for at in chosen {
        let task = &plan.tasks[*at];
        let failed = |error| ArtifactsError::Definition { label: task.label.clone(), error };
        let mut entry = Map::clone(&task.entry);
        let mut dependencies = entry.get("dependencies").and_then(Value::as_object).cloned().unwrap_or_default();
        dependencies.extend(named_ids(task, id_of).into_iter().map(|(name, id)| (name, json!(id))));
        entry.insert("dependencies".to_owned(), Value::Object(dependencies));
        entry.insert("task".to_owned(), resolved(plan, *at, id_of).map_err(failed)?);
        entry.insert("task_id".to_owned(), json!(ids[*at]));
        graph.insert(ids[*at].to_string(), Value::Object(entry));
    }
    Ok(Value::Object(graph))
}

/// The earlier tasks that stand for labels of a round.
pub(super) fn stand_ins(plan: &Plan, round: usize) -> BTreeMap<String, TaskId> {
    match plan.stand_ins.get(round) {
        Some(stand_ins) => stand_ins.clone(),
        None => {
            let reused = plan.verdicts.iter();
            reused.filter_map(|entry| Some((entry.label.clone(), stand_in(&entry.verdict)?))).collect()
        }
    }
}

/// Every label that has a task, `stand_ins` or new, with that task's id; of copies the last one's.
fn label_to_task_id(
    plan: &Plan,
    ids: &[TaskId],
    stand_ins: BTreeMap<String, TaskId>,
    chosen: &[usize],
) -> BTreeMap<String, TaskId> {
    let mut labels = stand_ins;
    labels.extend(chosen.iter().map(|at| (plan.tasks[*at].label.clone(), ids[*at])));
    labels
}
