//! Fields that the inputs of several actions have: their schemas, as far as the reference has them as it publishes them.

use serde_json::{Value, json};

use crate::plan::MAX_TIMES;

/// The reference's words for `times`.
pub(super) const OF_TASKS: &str = "How many times to run each task.";

/// An input without fields.
pub(super) fn none() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

/// Labels.
pub(super) fn tasks() -> Value {
    json!({"type": "array", "description": "An array of task labels", "items": {"type": "string"}})
}

/// How many copies, where that has to be said, or is left to whoever reads it.
pub(super) fn times(description: &str) -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": MAX_TIMES, "title": "Times", "description": description})
}

/// How many copies: one unless it is said.
pub(super) fn times_or_once(description: &str) -> Value {
    let mut field = times(description);
    field["default"] = json!(1);
    field
}

/// Whether what needs a task is run with it.
pub(super) fn downstream() -> Value {
    json!({
        "type": "boolean",
        "description": "If true, downstream tasks from this one will be cloned as well. \
                        The dependencies will be updated to work with the new task at the root.",
        "default": false
    })
}
