//! What an action task is told to do.

use serde_json::Value;
use taskgraft_core::action::schema::MAX_INPUT_BYTES;
use taskgraft_core::ids::{InvalidTaskId, TaskId};

/// The most bytes of a callback's name; all of ours are shorter than a tenth of it.
const MAX_CALLBACK_BYTES: usize = 255;

/// What an action task is told to do: the `ACTION_*` of its environment. Where that is a process's, it holds no more than the
/// system lets one (on Linux 128 KiB a variable); where it is a payload's, an input of up to [`MAX_INPUT_BYTES`].
#[derive(Debug, Clone, PartialEq)]
pub struct ActionAsk {
    /// The group that the action was asked for.
    pub group: TaskId,
    /// The task that it was asked for, if it was for one.
    pub task: Option<TaskId>,
    /// The input, not yet validated; null where there is none.
    pub input: Value,
    /// Which action.
    pub callback: String,
}

/// An environment that asks for nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedAsk {
    /// A variable is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable that should hold a task id doesn't.
    #[error("{variable}: {error}")]
    Id {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        error: InvalidTaskId,
    },
    /// A variable that should hold JSON doesn't, or holds something that the queue can't take.
    #[error("{variable}: {problem}")]
    Json {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A variable is too long.
    #[error("{variable} has {bytes} bytes: at most {most} are taken")]
    Long {
        /// Its name.
        variable: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
}

impl ActionAsk {
    /// Reads `ACTION_TASK_GROUP_ID` (plain), `ACTION_TASK_ID` and `ACTION_INPUT` (JSON, null where they are not set) and
    /// `ACTION_CALLBACK`.
    ///
    /// # Errors
    /// What is missing, or is not what it should be.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, MalformedAsk> {
        let text = |name: &'static str| get(name).filter(|text| !text.is_empty());
        let id = |variable: &'static str, text: &str| {
            text.parse::<TaskId>().map_err(|error| MalformedAsk::Id { variable, error })
        };
        let json = |variable: &'static str| match text(variable) {
            None => Ok(Value::Null),
            Some(text) if text.len() > MAX_INPUT_BYTES => Err(long(variable, &text, MAX_INPUT_BYTES)),
            Some(text) => taskgraft_core::json::parse(text.as_bytes())
                .map_err(|error| MalformedAsk::Json { variable, problem: error.to_string() }),
        };
        let group = text("ACTION_TASK_GROUP_ID").ok_or(MalformedAsk::Missing("ACTION_TASK_GROUP_ID"))?;
        let group = id("ACTION_TASK_GROUP_ID", &group)?;
        let task = match json("ACTION_TASK_ID")? {
            Value::Null => None,
            Value::String(task) => Some(id("ACTION_TASK_ID", &task)?),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let problem = "neither a text nor null".to_owned();
                return Err(MalformedAsk::Json { variable: "ACTION_TASK_ID", problem });
            }
        };
        let variable = "ACTION_CALLBACK";
        let callback = text(variable).ok_or(MalformedAsk::Missing(variable))?;
        if callback.len() > MAX_CALLBACK_BYTES {
            return Err(long(variable, &callback, MAX_CALLBACK_BYTES));
        }
        Ok(Self { group, task, input: json("ACTION_INPUT")?, callback })
    }
}

fn long(variable: &'static str, text: &str, most: usize) -> MalformedAsk {
    MalformedAsk::Long { variable, bytes: text.len(), most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GROUP: &str = "TADoGLV5QUWAYivg1ReyTw";

    fn read(set: &[(&str, &str)]) -> Result<ActionAsk, MalformedAsk> {
        ActionAsk::from_env(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_of_an_action_task_is_read() {
        let group = ("ACTION_TASK_GROUP_ID", GROUP);
        let callback = ("ACTION_CALLBACK", "rerun");
        let plain = read(&[group, callback]).unwrap();
        assert_eq!((plain.task, &plain.input, plain.callback.as_str()), (None, &Value::Null, "rerun"));
        let task = format!("\"{GROUP}\"");
        let full = read(&[group, callback, ("ACTION_TASK_ID", &task), ("ACTION_INPUT", "{\"times\": 2}")]).unwrap();
        assert_eq!((full.task.map(|id| id.to_string()), full.input), (Some(GROUP.to_owned()), json!({"times": 2})));
        let longest = format!("\"{}\"", "x".repeat(MAX_INPUT_BYTES - 2));
        let long = read(&[group, callback, ("ACTION_INPUT", &longest)]).unwrap();
        assert_eq!(long.input.as_str().map(str::len), Some(MAX_INPUT_BYTES - 2));
        let longest = "x".repeat(255);
        assert_eq!(read(&[group, ("ACTION_CALLBACK", &longest)]).unwrap().callback, longest);
    }

    #[test]
    fn what_can_not_be_understood_names_its_variable() {
        let group = ("ACTION_TASK_GROUP_ID", GROUP);
        let callback = ("ACTION_CALLBACK", "rerun");
        let deep = "[".repeat(10_000);
        let long = format!("\"{}\"", "x".repeat(MAX_INPUT_BYTES));
        let name = "x".repeat(256);
        for (set, name) in [
            (vec![callback], "ACTION_TASK_GROUP_ID"),
            (vec![group], "ACTION_CALLBACK"),
            (vec![group, ("ACTION_CALLBACK", &name)], "ACTION_CALLBACK has 256 bytes"),
            (vec![("ACTION_TASK_GROUP_ID", "x/../y"), callback], "ACTION_TASK_GROUP_ID"),
            (vec![group, callback, ("ACTION_TASK_ID", GROUP)], "ACTION_TASK_ID"),
            (vec![group, callback, ("ACTION_TASK_ID", "7")], "ACTION_TASK_ID"),
            (vec![group, callback, ("ACTION_INPUT", "{")], "ACTION_INPUT"),
            (vec![group, callback, ("ACTION_INPUT", "\"\\u0000\"")], "ACTION_INPUT"),
            (vec![group, callback, ("ACTION_INPUT", "\"\\ud800\"")], "ACTION_INPUT"),
            (vec![group, callback, ("ACTION_INPUT", &deep)], "ACTION_INPUT"),
            (vec![group, callback, ("ACTION_INPUT", &long)], "ACTION_INPUT"),
        ] {
            let error = read(&set).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}
