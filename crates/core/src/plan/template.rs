//! Definitions with ids and datestamps left open, and the index tasks that relieve those with too many routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::request::{Policy, Request};
use super::verdict::Refusal;
use crate::graph::{Label, Node, Task};
use crate::ids::TaskId;
use crate::morph::{self, MAX_ROUTES};
use crate::optimize::FinalTask;

/// The purpose that index tasks' ids are derived from.
pub(crate) const INDEX_PURPOSE: &str = "index-task";

/// A task's open definition.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) definition: Arc<Value>,
    /// The task that inserts its index paths, if it has too many routes.
    pub(super) index: Option<IndexTask>,
}

/// An index task's label and open definition, in which `<parent>` is the task whose paths it inserts.
#[derive(Debug, Clone)]
pub(super) struct IndexTask {
    pub(super) label: String,
    pub(super) definition: Arc<Value>,
}

/// The open definition of a task for this request.
pub(super) fn template(node: &Node, request: &Request, facts: &Facts, policy: Policy) -> Result<Template, Refusal> {
    let parent = match (request.action_task, policy) {
        _ if request.is_optimization() => None,
        (Some(action), _) => Some(action.to_string()),
        (None, Policy::Graft) => Some(request.decision.map(|id| id.to_string()).unwrap_or_default()),
        (None, Policy::Reference) => Some(String::new()),
    };
    let definition = if request.action_task.is_some() {
        // No other action has this parent: what is kept is without it.
        let mut definition = Arc::unwrap_or_clone(node.opened(None, opened)?);
        with_parent(&mut definition, parent.as_deref())?;
        Arc::new(definition)
    } else {
        node.opened(parent, opened)?
    };
    if let Err(error) = crate::definition::copies(&node.task.attributes) {
        return Err(broken(error));
    }
    if policy == Policy::Reference || request.is_optimization() {
        return Ok(Template { definition, index: None });
    }
    relieve(&node.task, definition, facts)
}

/// The definition, parsed, with `extra.parent` set where there is a parent.
fn opened(task: &Task, parent: Option<&str>) -> Result<Value, Refusal> {
    let mut definition = task.body().map_err(|bad| Refusal::Definition { place: bad.pointer, problem: bad.reason })?;
    if !definition.is_object() {
        return Err(broken("an object is needed"));
    }
    with_parent(&mut definition, parent)?;
    Ok(definition)
}

fn with_parent(definition: &mut Value, parent: Option<&str>) -> Result<(), Refusal> {
    parent.map_or(Ok(()), |parent| crate::definition::set_parent(definition, parent).map_err(broken))
}

fn broken(problem: impl ToString) -> Refusal {
    Refusal::Definition { place: String::new(), problem: problem.to_string() }
}

fn relieve(task: &Task, definition: Arc<Value>, facts: &Facts) -> Result<Template, Refusal> {
    let routes = definition.get("routes").and_then(Value::as_array).map_or(0, Vec::len);
    if routes <= MAX_ROUTES {
        return Ok(Template { definition, index: None });
    }
    let config = facts.index_tasks.as_ref().ok_or(Refusal::TooManyRoutes { routes })?;
    let level = facts.parameters.level().map_err(broken)?;
    // Which id stands in for the parent's doesn't matter: it becomes a reference below.
    let parent = TaskId::from_bytes([0; 16]);
    let definition = Arc::unwrap_or_clone(definition);
    let mut whole =
        [FinalTask { ix: None, task_id: parent, task: task.clone(), dependencies: BTreeMap::new(), definition }];
    let mut added = morph::index_tasks(&mut whole, config, &level, &|_| parent).map_err(broken)?;
    let [FinalTask { definition, .. }] = whole;
    let left = definition.get("routes").and_then(Value::as_array).map_or(0, Vec::len);
    let Some(index) = added.pop().filter(|_| left <= MAX_ROUTES) else {
        return Err(Refusal::TooManyRoutes { routes });
    };
    let mut inserting = index.definition;
    if let Some(fields) = inserting.as_object_mut() {
        fields.remove("dependencies");
    }
    if let Some(target) = inserting.pointer_mut("/payload/env/TARGET_TASKID") {
        *target = json!({"task-reference": "<parent>"});
    }
    let extra = definition.pointer("/extra/parent").cloned().unwrap_or_default();
    if let Some(fields) = inserting.as_object_mut() {
        fields.insert("extra".to_owned(), json!({"parent": extra}));
    }
    let index = IndexTask { label: index.task.label.to_string(), definition: Arc::new(inserting) };
    Ok(Template { definition: Arc::new(definition), index: Some(index) })
}

/// A task's entry in task-graph.json, but for its definition, id and dependencies' ids.
pub(super) fn entry(task: &Task) -> Map<String, Value> {
    let labels = |labels: &[Label]| labels.iter().map(|label| Value::from(&**label)).collect::<Vec<_>>();
    let dependencies: Map<String, Value> =
        task.dependencies.iter().map(|(name, label)| (name.clone(), Value::from(&**label))).collect();
    let fields: [(&str, Value); 8] = [
        ("kind", json!(task.kind)),
        ("label", json!(&*task.label)),
        ("description", json!(task.description)),
        ("attributes", Value::Object(task.attributes.clone())),
        ("dependencies", Value::Object(dependencies)),
        ("soft_dependencies", json!(labels(&task.soft_dependencies))),
        ("if_dependencies", json!(labels(&task.if_dependencies))),
        (
            "optimization",
            task.optimization.as_ref().map_or(Value::Null, |optimization| Value::Object(optimization.fields().clone())),
        ),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The entry of an index task.
pub(super) fn index_entry(label: &str) -> Map<String, Value> {
    let entry = json!({
        "kind": "misc", "label": label, "description": "", "attributes": {"kind": "misc"}, "dependencies": {},
        "soft_dependencies": [], "if_dependencies": [], "optimization": null,
    });
    match entry {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
