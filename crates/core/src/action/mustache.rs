//! The action.yml of 2016: an action task's definition in YAML, with `{{decision_task_id}}` and `{{task_labels}}`, or
//! `{{action}}` and `{{action_args}}`, in its texts. It knows one action: adding jobs.
//!
//! Then the values were put into the file's text, and so into YAML and, by its command, into a shell's line. Here the
//! file is parsed first, values go into texts of what was parsed and nowhere else, and nothing that a shell or mustache
//! would read is put there.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ids::TaskId;
use crate::time;

/// The action that such a file is for.
pub const ADD: &str = "add-new-jobs";

/// What its command line calls the action.
const ACTION: &str = "action-task";

const SPELLINGS: [&str; 4] = ["{{decision_task_id}}", "{{task_labels}}", "{{action}}", "{{action_args}}"];

/// What can't be put into such a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MustacheError {
    /// The file puts labels on a shell's line.
    #[error("put the label `{0}` into this push's action.yml: a shell would read some of its characters")]
    Label(String),
    /// The file's command makes one copy of each.
    #[error("ask for {0} copies: this push's action.yml can only ask for one of each")]
    Times(u64),
}

/// Whether a parsed action.yml is one of these.
#[must_use]
pub fn is_one(template: &Value) -> bool {
    match template {
        Value::String(text) => SPELLINGS.iter().any(|spelling| text.contains(spelling)),
        Value::Array(items) => items.iter().any(is_one),
        Value::Object(fields) => fields.values().any(is_one),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The input that such a file can take.
#[must_use]
pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "tasks": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "times": {"type": "integer", "default": 1, "minimum": 1, "maximum": 100}
        },
        "required": ["tasks"]
    })
}

/// The definition of an action task that adds jobs. Its times, which such a file has from its decision task, are as far
/// apart as they were, and start at `now`.
///
/// # Errors
/// A label that a shell would not leave as it is, or several copies.
pub fn fill(template: &Value, decision: TaskId, input: &Value, now: Timestamp) -> Result<Value, MustacheError> {
    let times = input.get("times").and_then(Value::as_u64).unwrap_or(1);
    if times != 1 {
        return Err(MustacheError::Times(times));
    }
    let labels: Vec<&str> =
        input.get("tasks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(label) = labels.iter().find(|label| !is_plain(label)) {
        return Err(MustacheError::Label(label.chars().take(200).collect()));
    }
    let labels = labels.join(",");
    let values = [
        decision.to_string(),
        labels.clone(),
        ACTION.to_owned(),
        format!("--decision-id=\"{decision}\" --task-labels=\"{labels}\""),
    ];
    let mut definition = filled(template, &values);
    start_at(&mut definition, now);
    Ok(definition)
}

/// Shifts a definition's times so that it is created `now`. What is no time stays what it is, for the queue to refuse.
fn start_at(definition: &mut Value, now: Timestamp) {
    let read = |value: &Value| time::parse(value.as_str()?).ok();
    let Some(created) = definition.get("created").and_then(read) else { return };
    let passed = now.duration_since(created);
    for name in ["created", "deadline", "expires"] {
        if let Some(field) = definition.get_mut(name)
            && let Some(shifted) = read(field).and_then(|at| at.checked_add(passed).ok())
        {
            *field = Value::String(time::format_ms(shifted));
        }
    }
}

/// Plain to any shell, in quotes or not, and no option; a comma would end it.
fn is_plain(label: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'+' | b':' | b'@');
    !label.is_empty() && !label.starts_with('-') && label.bytes().all(plain)
}

fn filled(template: &Value, values: &[String; 4]) -> Value {
    match template {
        Value::String(text) => {
            // No value holds a brace, so that none is substituted in again.
            let put = |text: String, (spelling, value): (&&str, &String)| text.replace(spelling, value);
            Value::String(SPELLINGS.iter().zip(values).fold(text.clone(), put))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, field)| (key.clone(), filled(field, values))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decision() -> TaskId {
        "TADoGLV5QUWAYivg1ReyTw".parse().unwrap()
    }

    #[test]
    fn both_spellings_of_2016_are_filled() {
        let first = json!({"payload": {"command": ["sh", "-c",
            "taskgraph action-task --decision-id='{{decision_task_id}}' --task-labels='{{task_labels}}'"]}, "retries": 5});
        let later = json!({"payload": {"command": ["sh", "-c", "taskgraph {{action}} {{action_args}}"]}});
        let input = json!({"tasks": ["build-opt", "test/1"], "times": 1});
        let command = |template: &Value| {
            let filled = fill(template, decision(), &input, Timestamp::UNIX_EPOCH).unwrap();
            filled.pointer("/payload/command/2").unwrap().as_str().unwrap().to_owned()
        };
        assert!(is_one(&first) && is_one(&later) && !is_one(&json!({"command": "{{other}}"})));
        assert_eq!(
            command(&first),
            "taskgraph action-task --decision-id='TADoGLV5QUWAYivg1ReyTw' --task-labels='build-opt,test/1'"
        );
        assert_eq!(
            command(&later),
            "taskgraph action-task --decision-id=\"TADoGLV5QUWAYivg1ReyTw\" --task-labels=\"build-opt,test/1\""
        );
    }

    #[test]
    fn what_the_file_can_not_say_is_refused() {
        let template = json!("{{task_labels}}");
        let labels =
            ["", "a b", "a,b", "$(x)", "`x`", "'", "\"", "a\n", "{{action_args}}", "--root=/", "ä", "a;b", "a\\"];
        for label in labels {
            let refused =
                fill(&template, decision(), &json!({"tasks": ["fine", label]}), Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(refused, MustacheError::Label(label.into()));
        }
        let refused =
            fill(&template, decision(), &json!({"tasks": ["fine"], "times": 2}), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused, MustacheError::Times(2));
    }

    #[test]
    fn times_start_now_and_stay_as_far_apart() {
        let template =
            json!({"created": "2016-10-01T10:00:00.000Z", "deadline": "2016-10-02T10:00:00Z", "expires": "x"});
        let now = time::parse("2026-01-01T00:00:00Z").unwrap();
        let filled = fill(&template, decision(), &json!({"tasks": ["x"]}), now).unwrap();
        let expected =
            json!({"created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-02T00:00:00.000Z", "expires": "x"});
        assert_eq!(filled, expected);
    }

    proptest! {
        #[test]
        fn only_texts_change_and_keys_never_do(keys in prop::collection::vec("[a-z{}]{1,12}", 1..5), number: i64) {
            let template: Value = keys
                .iter()
                .map(|key| (key.clone(), json!([number, "{{action}}", {"{{action}}": "{{task_labels}}"}])))
                .collect();
            let filled = fill(&template, decision(), &json!({"tasks": ["x"]}), Timestamp::UNIX_EPOCH).unwrap();
            for key in &keys {
                prop_assert_eq!(&filled[key], &json!([number, "action-task", {"{{action}}": "x"}]));
            }
        }
    }
}
