//! From a planned task to the definition that is sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::artifacts::ArtifactsError;
use super::model::Plan;
use super::request::Policy;
use super::task::{PlannedTask, Role, Target};
use crate::definition::{
    Datestamp, DefinitionError, References, add_dependency, extend_dependencies, join_group, resolve_references,
    resolve_timestamps,
};
use crate::ids::TaskId;

/// The ids that a task's references may name. `id_of` gives the ids of the plan's own tasks.
pub(crate) fn named_ids(task: &PlannedTask, id_of: impl Fn(usize) -> TaskId) -> BTreeMap<String, TaskId> {
    let id = |target: Target| match target {
        Target::New(at) => id_of(at),
        Target::Existing(id) => id,
    };
    task.dependencies.iter().map(|dependency| (dependency.name.clone(), id(dependency.on))).collect()
}

/// The definition as artifacts have it: references resolved, dependencies in, but no group. A clone's is complete.
///
/// # Errors
/// References or dependencies that can't be resolved.
pub(crate) fn resolved(plan: &Plan, at: usize, id_of: impl Fn(usize) -> TaskId) -> Result<Value, DefinitionError> {
    let task = &plan.tasks[at];
    if matches!(task.role, Role::Clone { .. }) {
        return Ok(Value::clone(&task.template));
    }
    let own = id_of(at);
    let dependencies = named_ids(task, &id_of);
    let urls = plan.urls();
    let decision = plan.request.decision.unwrap_or(own);
    let references = References { own, decision, dependencies: &dependencies, urls: &urls };
    let mut definition = resolve_references(&task.template, &references)?;
    if let Some(action) = task.waits_for.action {
        add_dependency(&mut definition, action)?;
    }
    let mut ids: Vec<TaskId> = dependencies.into_values().collect();
    ids.sort_unstable();
    extend_dependencies(&mut definition, &ids)?;
    if plan.policy == Policy::Graft {
        each_once(&mut definition);
    }
    Ok(definition)
}

/// The definition to send, but for its relative datestamps.
///
/// # Errors
/// References or dependencies that can't be resolved.
pub(crate) fn definition(plan: &Plan, at: usize, id_of: impl Fn(usize) -> TaskId) -> Result<Value, DefinitionError> {
    let mut definition = resolved(plan, at, id_of)?;
    if matches!(plan.tasks[at].role, Role::Clone { .. }) {
        return Ok(definition);
    }
    if let Some(decision) = plan.tasks[at].waits_for.decision {
        add_dependency(&mut definition, decision)?;
    }
    if let (Some(group), Some(scheduler)) = (plan.request.group, &plan.scheduler_id) {
        join_group(&mut definition, group, scheduler, false)?;
    }
    if plan.policy == Policy::Graft {
        each_once(&mut definition);
    }
    Ok(definition)
}

/// What a plan sends if it is sent at `now` and nothing has its ids: each new task with its definition, dependencies
/// first.
///
/// # Errors
/// A plan without a group, or a definition that can't be completed.
pub fn definitions(plan: &Plan, now: Timestamp) -> Result<Vec<(TaskId, Value)>, ArtifactsError> {
    let ids: Option<Vec<TaskId>> = plan.tasks.iter().map(|task| task.task_id).collect();
    let ids = ids.ok_or(ArtifactsError::NoIds)?;
    let complete = |at: usize| {
        let open = definition(plan, at, |other| ids[other]).and_then(|open| stamped(&open, now));
        open.map_err(|error| ArtifactsError::Definition { label: plan.tasks[at].label.clone(), error })
    };
    (0..ids.len()).map(|at| Ok((ids[at], complete(at)?))).collect()
}

/// The definition with its relative datestamps counted from `now`.
///
/// # Errors
/// A relative datestamp that says no time.
pub(crate) fn stamped(definition: &Value, now: Timestamp) -> Result<Value, DefinitionError> {
    resolve_timestamps(definition, now)
}

/// When a task made from this template at `now` is resolved at the latest.
pub(crate) fn deadline(template: &Value, now: Timestamp) -> Option<Timestamp> {
    let deadline = Datestamp::read(template.get("deadline")?).ok()?.at(now).ok()?;
    Some(crate::time::floor_ms(deadline))
}

/// Two names for one task are one dependency: the queue refuses duplicates.
fn each_once(definition: &mut Value) {
    if let Some(list) = definition.get_mut("dependencies").and_then(Value::as_array_mut) {
        let mut seen = BTreeSet::new();
        list.retain(|id| id.as_str().is_none_or(|id| seen.insert(id.to_owned())));
    }
}
