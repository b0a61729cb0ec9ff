//! What the hooks service sends and takes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::state::TaskState;
use crate::time::Millis;

/// The body of `createHook` and `updateHook` (`create-hook-request.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookRequest {
    /// What people read.
    pub metadata: HookMetadata,
    /// Pulse messages that fire the hook; none given leaves those that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bindings: Option<Vec<Binding>>,
    /// Cron patterns, UTC.
    #[serde(default)]
    pub schedule: Vec<String>,
    /// A JSON-e template of a task definition, an object.
    pub task: Value,
    /// The JSON schema of what the hook may be triggered with; without one, only an empty object.
    #[serde(default = "only_empty")]
    pub trigger_schema: Value,
}

fn only_empty() -> Value {
    serde_json::json!({"type": "object", "additionalProperties": false})
}

/// A hook (`hook-definition.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Letters, digits, `-` and `_`.
    pub hook_group_id: String,
    /// The same, and `/`.
    pub hook_id: String,
    /// What people read.
    pub metadata: HookMetadata,
    /// Pulse messages that fire the hook.
    #[serde(default)]
    pub bindings: Vec<Binding>,
    /// Cron patterns, UTC.
    pub schedule: Vec<String>,
    /// A JSON-e template of a task definition, an object.
    pub task: Value,
    /// The JSON schema of what the hook may be triggered with.
    pub trigger_schema: Value,
}

/// What people read about a hook (`hook-metadata.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookMetadata {
    /// A name, at most 255 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// An email address.
    pub owner: String,
    /// Whether the owner wants to hear of failures.
    #[serde(default = "yes")]
    pub email_on_error: bool,
}

fn yes() -> bool {
    true
}

/// Pulse messages that fire a hook (`bindings.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The exchange's name.
    pub exchange: String,
    /// An AMQP topic pattern.
    pub routing_key_pattern: String,
}

/// Every group that has a hook (`list-hook-groups-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHookGroupsResponse {
    /// Sorted.
    pub groups: Vec<String>,
}

/// The hooks of a group (`list-hooks-response.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListHooksResponse {
    /// Sorted by id.
    pub hooks: Vec<Hook>,
}

/// What came of triggering a hook (`trigger-hook-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerHookResponse {
    /// The new task; none where the hook's template came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// What triggers a hook without credentials (`trigger-token-response.json`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerToken {
    /// A secret.
    pub token: String,
}

impl std::fmt::Debug for TriggerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TriggerToken(..)")
    }
}

/// How a hook is doing (`hook-status.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// The last time that it fired.
    pub last_fire: LastFire,
    /// When its schedule fires it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_scheduled_date: Option<Millis>,
}

/// The last time that a hook fired, by its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LastFire {
    /// It never did.
    NoFire,
    /// It made a task.
    Success {
        /// Which one.
        task_id: TaskId,
        /// When.
        time: Millis,
    },
    /// It made none.
    Error {
        /// Why: an API error, or an object with a `message`.
        error: Value,
        /// When.
        time: Millis,
    },
}

/// One time that a hook fired (an entry of `list-lastFires-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookFire {
    /// The hook's group.
    pub hook_group_id: String,
    /// The hook.
    pub hook_id: String,
    /// What fired it.
    pub fired_by: FiredBy,
    /// The task, made or not.
    pub task_id: TaskId,
    /// When.
    pub task_create_time: Millis,
    /// Whether there was a task.
    pub result: FireResult,
    /// The task's state now; none (`unknown` on the wire) where there is no such task.
    #[serde(with = "task_state")]
    pub task_state: Option<TaskState>,
    /// Empty, or why there was no task.
    pub error: String,
}

/// What fires hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FiredBy {
    /// Its schedule.
    Schedule,
    /// A call with credentials.
    TriggerHook,
    /// A call with the hook's token.
    TriggerHookWithToken,
    /// A message that one of its bindings matches.
    PulseMessage,
}

/// Whether a fired hook made a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FireResult {
    /// It did.
    Success,
    /// It didn't.
    Error,
}

/// A page of the times that a hook fired (`list-lastFires-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListLastFiresResponse {
    /// The latest first.
    pub last_fires: Vec<HookFire>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A state that may be unknown.
mod task_state {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TaskState;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Known(TaskState),
        Unknown(Unknown),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Unknown {
        Unknown,
    }

    #[expect(clippy::ref_option, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(state: &Option<TaskState>, serializer: S) -> Result<S::Ok, S::Error> {
        state.map_or(Wire::Unknown(Unknown::Unknown), Wire::Known).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TaskState>, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Known(state) => Some(state),
            Wire::Unknown(Unknown::Unknown) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_on_the_wire_is_read_and_written() {
        for wire in [
            json!({"lastFire": {"result": "no-fire"}}),
            json!({
                "lastFire":
                    {"result": "success", "taskId": "fN1SbArXTPSVFUUvaOlinQ", "time": "2026-11-22T16:00:00.000Z"},
                "nextScheduledDate": "2026-11-23T00:00:00.000Z",
            }),
            json!({"lastFire": {"result": "error", "error": {"message": "no"}, "time": "2026-11-22T16:00:00.000Z"}}),
        ] {
            let status: HookStatus = serde_json::from_value(wire.clone()).unwrap();
            assert_eq!(serde_json::to_value(status).unwrap(), wire);
        }
        for state in ["unknown", "pending", "exception"] {
            let wire = json!({
                "hookGroupId": "g", "hookId": "a/b", "firedBy": "triggerHookWithToken", "taskState": state, "error": "",
                "taskId": "fN1SbArXTPSVFUUvaOlinQ", "taskCreateTime": "2026-11-22T16:00:00.000Z", "result": "success",
            });
            let fire: HookFire = serde_json::from_value(wire.clone()).unwrap();
            assert_eq!(fire.task_state.is_none(), state == "unknown");
            assert_eq!(serde_json::to_value(fire).unwrap(), wire);
        }
    }
}
