//! The artifacts that an action leaves behind, named and shaped as the reference's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::model::Plan;
use super::render::{named_ids, resolved};
use super::request::Policy;
use super::task::{PlannedTask, Role};
use super::verdict::Verdict;
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

/// File names and their texts: task-graph.json, label-to-taskid.json and, for an addition, to-run.json. Under the
/// reference's rules `times` above one leaves each of them once more per iteration, as task-graph-0.json and so on.
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
    let mut write = |suffix: &str, chosen: &[usize]| -> Result<(), ArtifactsError> {
        let graph = task_graph(plan, ids, chosen)?;
        files.insert(format!("task-graph{suffix}.json"), to_string_sorted(&graph));
        let labels = label_to_task_id(plan, ids, chosen);
        files.insert(format!("label-to-taskid{suffix}.json"), to_string_sorted(&json!(labels)));
        if !plan.request.is_optimization() {
            let asked: BTreeSet<&String> = plan.request.labels.iter().collect();
            files.insert(format!("to-run{suffix}.json"), to_string_sorted(&json!(asked)));
        }
        Ok(())
    };
    let times = plan.request.times();
    if plan.policy == Policy::Reference && times > 1 {
        for iteration in 0..times {
            write(&format!("-{iteration}"), &listed(plan, Some(iteration)))?;
        }
    }
    write("", &listed(plan, None))?;
    Ok(files)
}

/// The places of the tasks that artifacts name: of the reference's duplicates only the first.
fn listed(plan: &Plan, only: Option<u32>) -> Vec<usize> {
    let is_listed = |task: &PlannedTask| match task.role {
        Role::Reference { iteration, duplicate } => duplicate == 0 && only.is_none_or(|only| only == iteration),
        Role::Copy { .. } | Role::Needed { .. } | Role::Bridge | Role::Index { .. } => true,
    };
    (0..plan.tasks.len()).filter(|at| is_listed(&plan.tasks[*at])).collect()
}

fn task_graph(plan: &Plan, ids: &[TaskId], chosen: &[usize]) -> Result<Value, ArtifactsError> {
    let id_of = |at: usize| ids[at];
    let mut graph = Map::new();
    for at in chosen {
        let task = &plan.tasks[*at];
        let failed = |error| ArtifactsError::Definition { label: task.label.clone(), error };
        let mut entry = task.entry.clone();
        let mut dependencies = entry.get("dependencies").and_then(Value::as_object).cloned().unwrap_or_default();
        dependencies.extend(named_ids(task, id_of).into_iter().map(|(name, id)| (name, json!(id))));
        entry.insert("dependencies".to_owned(), Value::Object(dependencies));
        entry.insert("task".to_owned(), resolved(plan, *at, id_of).map_err(failed)?);
        entry.insert("task_id".to_owned(), json!(ids[*at]));
        graph.insert(ids[*at].to_string(), Value::Object(entry));
    }
    Ok(Value::Object(graph))
}

/// Every label of the closure that has a task, with that task's id; of copies the last one's.
fn label_to_task_id<'a>(plan: &'a Plan, ids: &[TaskId], chosen: &[usize]) -> BTreeMap<&'a str, TaskId> {
    let reused = plan.verdicts.iter().filter_map(|entry| {
        let id = match &entry.verdict {
            Verdict::Reuse(reuse) => Some(reuse.task_id),
            Verdict::Removed { stand_in, .. } => *stand_in,
            Verdict::New { .. } | Verdict::Refused { .. } => None,
        };
        Some((entry.label.as_str(), id?))
    });
    reused.chain(chosen.iter().map(|at| (plan.tasks[*at].label.as_str(), ids[*at]))).collect()
}
