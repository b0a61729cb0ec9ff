//! What is left: the tasks to create, their references resolved.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::outcome::{Optimized, Outcome};
use crate::definition::{self, ArtifactUrls, DefinitionError, References, resolve_references};
use crate::graph::{Label, Task, TaskGraph, TaskIx};
use crate::ids::TaskId;
use crate::json::{self, BadValue};

/// A task that stays and needs one that was removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{task}` depends on `{dependency}` as `{name}`, but that has been removed")]
pub struct BadEdge {
    /// What stays.
    pub task: Label,
    /// Under which name it has the dependency.
    pub name: String,
    /// What is gone.
    pub dependency: Label,
}

/// Why the tasks that are left make no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubgraphError {
    /// Tasks that stay need removed ones.
    #[error("optimisation went wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    BadEdges(Vec<BadEdge>),
    /// A definition can't be read.
    #[error("task `{label}`: {bad}")]
    Unreadable {
        /// Whose.
        label: Label,
        /// What is wrong with it.
        bad: BadValue,
    },
    /// A definition can't be finished.
    #[error("task `{label}`: {error}")]
    Definition {
        /// Whose.
        label: Label,
        /// What is wrong with it.
        error: DefinitionError,
    },
}

/// A task as it is to be created, but for its group, its timestamps, and what morphs do.
#[derive(Debug, Clone)]
pub struct FinalTask {
    /// The task in the graph that it comes from; none for one that a morph added.
    pub ix: Option<TaskIx>,
    /// Its id.
    pub task_id: TaskId,
    /// All but the definition.
    pub task: Task,
    /// `{name: id}`, with an entry under its label for each soft dependency that is there. A dependency that the
    /// graph didn't hold keeps its label.
    pub dependencies: BTreeMap<String, String>,
    /// The definition, with references resolved.
    pub definition: Value,
}

/// What finishing definitions needs.
pub struct SubgraphInputs<'a> {
    /// The id for each task that is created.
    pub new_id: &'a dyn Fn(TaskIx) -> TaskId,
    /// Changes a definition before its references are resolved, as actions do.
    pub prepare: &'a dyn Fn(TaskIx, &mut Value) -> Result<(), DefinitionError>,
    /// The decision task.
    pub decision: TaskId,
    /// For artifact references.
    pub urls: &'a ArtifactUrls,
}

/// Edges from tasks that stay to removed ones, in the order of labels and names.
#[must_use]
pub fn bad_edges(graph: &TaskGraph, optimized: &Optimized) -> Vec<BadEdge> {
    let mut edges = Vec::new();
    for (ix, _) in optimized.iter().filter(|(_, outcome)| !outcome.is_removed()) {
        for (name, dependency) in graph.dependencies(ix) {
            if optimized.outcome(*dependency).is_removed() {
                edges.push(BadEdge {
                    task: graph.task(ix).label.clone(),
                    name: name.to_string(),
                    dependency: graph.task(*dependency).label.clone(),
                });
            }
        }
    }
    edges
}

/// The tasks that are kept, in the order of their labels.
///
/// # Errors
///
/// A kept or replaced task depends on a removed one; a definition can't be read or finished.
pub fn subgraph(
    graph: &TaskGraph,
    optimized: &Optimized,
    inputs: &SubgraphInputs<'_>,
) -> Result<Vec<FinalTask>, SubgraphError> {
    let edges = bad_edges(graph, optimized);
    if !edges.is_empty() {
        return Err(SubgraphError::BadEdges(edges));
    }
    let kept = optimized.iter().filter(|(_, outcome)| outcome.is_kept());
    kept.map(|(ix, _)| final_task(graph, optimized, inputs, ix)).collect()
}

fn final_task(
    graph: &TaskGraph,
    optimized: &Optimized,
    inputs: &SubgraphInputs<'_>,
    ix: TaskIx,
) -> Result<FinalTask, SubgraphError> {
    let task = graph.task(ix);
    let failed = |error| SubgraphError::Definition { label: task.label.clone(), error };
    let mut definition = task.body().map_err(|bad| SubgraphError::Unreadable { label: task.label.clone(), bad })?;
    (inputs.prepare)(ix, &mut definition).map_err(failed)?;
    let ids = named_dependencies(graph, optimized, inputs, ix);
    let task_id = (inputs.new_id)(ix);
    let references = References { own: task_id, decision: inputs.decision, dependencies: &ids, urls: inputs.urls };
    let mut definition = resolve_references(&definition, &references).map_err(failed)?;
    let mut sorted: Vec<TaskId> = ids.values().copied().collect();
    sorted.sort_unstable();
    definition::extend_dependencies(&mut definition, &sorted).map_err(failed)?;
    let mut dependencies: BTreeMap<String, String> =
        task.dependencies.iter().map(|(name, label)| (name.clone(), label.to_string())).collect();
    dependencies.extend(ids.into_iter().map(|(name, id)| (name, id.to_string())));
    Ok(FinalTask { ix: Some(ix), task_id, task: task.clone(), dependencies, definition })
}

/// The ids that a kept task's references may name: its dependencies, kept or replaced, and under their labels its soft
/// dependencies, as far as they are kept.
fn named_dependencies(
    graph: &TaskGraph,
    optimized: &Optimized,
    inputs: &SubgraphInputs<'_>,
    ix: TaskIx,
) -> BTreeMap<String, TaskId> {
    let id = |ix: TaskIx| optimized.outcome(ix).replaced_by().unwrap_or_else(|| (inputs.new_id)(ix));
    let mut ids: BTreeMap<String, TaskId> =
        graph.dependencies(ix).iter().map(|(name, dependency)| (name.to_string(), id(*dependency))).collect();
    for label in &graph.task(ix).soft_dependencies {
        if let Some(soft) = graph.by_label(label).filter(|soft| optimized.outcome(*soft).is_kept()) {
            ids.insert(label.to_string(), id(soft));
        }
    }
    ids
}

/// Every task that is created or has a stand-in, with that id: what label-to-taskid.json holds. As in the reference a
/// removed task may have a stand-in.
#[must_use]
pub fn label_to_taskid(
    graph: &TaskGraph,
    optimized: &Optimized,
    new_id: &dyn Fn(TaskIx) -> TaskId,
) -> BTreeMap<Label, TaskId> {
    let id = |ix, outcome: &Outcome| outcome.replaced_by().or_else(|| outcome.is_kept().then(|| new_id(ix)));
    let ids = optimized.iter().map(|(ix, outcome)| (graph.task(ix).label.clone(), id(ix, outcome)));
    ids.filter_map(|(label, id)| Some((label, id?))).collect()
}

impl FinalTask {
    /// The task as task-graph.json has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let labels = |labels: &[Label]| labels.iter().map(|label| Value::from(&**label)).collect::<Vec<_>>();
        let task = &self.task;
        json!({
            "kind": task.kind,
            "label": &*task.label,
            "description": task.description,
            "attributes": task.attributes,
            "dependencies": self.dependencies,
            "soft_dependencies": labels(&task.soft_dependencies),
            "if_dependencies": labels(&task.if_dependencies),
            "optimization": task.optimization.as_ref().map(|optimization| optimization.fields()),
            "task": self.definition,
            "task_id": self.task_id,
        })
    }
}

/// The text of a task-graph.json.
#[must_use]
pub fn to_json(tasks: &[FinalTask]) -> String {
    let entries: Map<String, Value> = tasks.iter().map(|task| (task.task_id.to_string(), task.to_json())).collect();
    json::to_string_sorted(&Value::Object(entries))
}
