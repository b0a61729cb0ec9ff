//! What a definition gets from the action and the task group that it is created in. Each function does one of the
//! reference's changes (its `actions/util.py` and `create.py`).

use serde_json::{Map, Value};

use super::DefinitionError;
use crate::ids::TaskId;

/// Sets `extra.parent`, as for every task that an action creates. The reference writes an empty text where no action
/// task runs it.
///
/// # Errors
///
/// `extra` is no object.
pub fn set_parent(definition: &mut Value, parent: &str) -> Result<(), DefinitionError> {
    let extra = fields(definition)?.entry("extra").or_insert_with(|| Value::Object(Map::new()));
    let extra = extra.as_object_mut().ok_or(DefinitionError::Type { pointer: "/extra", expected: "an object" })?;
    extra.insert("parent".to_owned(), Value::from(parent));
    Ok(())
}

/// Appends a task to `dependencies`; it may then be there twice.
///
/// # Errors
///
/// `dependencies` is no list.
pub fn add_dependency(definition: &mut Value, task_id: TaskId) -> Result<(), DefinitionError> {
    extend_dependencies(definition, &[task_id])
}

/// Appends tasks to `dependencies`, which is made where it is absent.
///
/// # Errors
///
/// `dependencies` is no list.
pub fn extend_dependencies(definition: &mut Value, task_ids: &[TaskId]) -> Result<(), DefinitionError> {
    let dependencies = fields(definition)?.entry("dependencies").or_insert_with(|| Value::Array(Vec::new()));
    let list = DefinitionError::Type { pointer: "/dependencies", expected: "a list" };
    dependencies.as_array_mut().ok_or(list)?.extend(task_ids.iter().map(|id| Value::from(id.as_str())));
    Ok(())
}

/// Whether one of the definition's dependencies is among the tasks that `is_created` knows.
#[must_use]
pub fn has_dependency_among(definition: &Value, is_created: impl Fn(&str) -> bool) -> bool {
    let dependencies = definition.get("dependencies").and_then(Value::as_array);
    dependencies.into_iter().flatten().filter_map(Value::as_str).any(is_created)
}

/// Puts a task into the decision task's group. With `wait_for_decision` it also depends on the decision task: for
/// tasks that depend on none of those created with them, so that all of them wait.
///
/// # Errors
///
/// The definition is no object, or `dependencies` no list.
pub fn join_group(
    definition: &mut Value,
    decision: TaskId,
    scheduler_id: &str,
    wait_for_decision: bool,
) -> Result<(), DefinitionError> {
    if wait_for_decision {
        add_dependency(definition, decision)?;
    }
    let fields = fields(definition)?;
    fields.insert("taskGroupId".to_owned(), Value::from(decision.as_str()));
    fields.insert("schedulerId".to_owned(), Value::from(scheduler_id));
    Ok(())
}

/// The scheduler that a project's tasks of one level belong to.
#[must_use]
pub fn scheduler_id(trust_domain: &str, level: &str) -> String {
    format!("{trust_domain}-level-{level}")
}

/// How often a task with these attributes is created for one request: `task_duplicates`, and once at least.
///
/// # Errors
///
/// `task_duplicates` is no whole number.
pub fn copies(attributes: &Map<String, Value>) -> Result<u64, DefinitionError> {
    let expected = DefinitionError::Type { pointer: "/attributes/task_duplicates", expected: "a whole number" };
    match attributes.get("task_duplicates") {
        None => Ok(1),
        Some(value) => match (value.as_u64(), value.as_i64()) {
            (Some(count), _) => Ok(count.max(1)),
            (None, Some(_negative)) => Ok(1),
            (None, None) => Err(expected),
        },
    }
}

fn fields(definition: &mut Value) -> Result<&mut Map<String, Value>, DefinitionError> {
    definition.as_object_mut().ok_or(DefinitionError::Type { pointer: "", expected: "an object" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_the_references() {
        let (action, decision) = (TaskId::from_bytes([1; 16]), TaskId::from_bytes([2; 16]));
        let mut definition = json!({"dependencies": ["x"]});
        set_parent(&mut definition, action.as_str()).unwrap();
        add_dependency(&mut definition, action).unwrap();
        let waits = !has_dependency_among(&definition, |id| id == "y");
        join_group(&mut definition, decision, &scheduler_id("lander", "3"), waits).unwrap();
        let expected = json!({
            "dependencies": ["x", action, decision],
            "extra": {"parent": action},
            "schedulerId": "lander-level-3",
            "taskGroupId": decision,
        });
        assert_eq!(definition, expected);
        assert!(has_dependency_among(&definition, |id| id == "x"));
    }

    #[test]
    fn a_task_is_created_once_at_least() {
        for (attributes, expected) in
            [(json!({}), 1), (json!({"task_duplicates": 3}), 3), (json!({"task_duplicates": -2}), 1)]
        {
            assert_eq!(copies(attributes.as_object().unwrap()), Ok(expected));
        }
        assert!(copies(json!({"task_duplicates": "2"}).as_object().unwrap()).is_err());
    }

    #[test]
    fn other_types_are_refused() {
        assert!(set_parent(&mut json!({"extra": 1}), "").is_err());
        assert!(add_dependency(&mut json!({"dependencies": {}}), TaskId::from_bytes([1; 16])).is_err());
        assert!(set_parent(&mut json!([]), "").is_err());
    }
}
