//! The queue: tasks, their status, groups. Artifacts, workers and listings are in the modules below.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::state::{Run, TaskState};
use crate::time::Millis;

mod artifact;
mod worker;

pub use artifact::{
    Artifact, ArtifactContent, ArtifactErrorReason, ArtifactList, ArtifactLocation, CreateArtifactRequest,
    CreateArtifactResponse, FinishArtifactRequest, StorageType,
};
pub use worker::{
    ClaimTaskRequest, ClaimWorkRequest, ClaimWorkResponse, Claimed, PendingTasks, Reclaimed, TaskCredentials,
    TaskExceptionRequest, TaskQueueCounts,
};

/// How urgent a task is. The order of the variants is the order of urgency: `Lowest < Highest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// `lowest`, what a task gets that says nothing.
    #[default]
    Lowest,
    /// `very-low`
    VeryLow,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `very-high`
    VeryHigh,
    /// `highest`
    Highest,
}

impl Priority {
    /// All priorities, least urgent first.
    pub const ALL: [Self; 7] =
        [Self::Lowest, Self::VeryLow, Self::Low, Self::Medium, Self::High, Self::VeryHigh, Self::Highest];

    /// The word on the wire and in scopes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lowest => "lowest",
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::VeryHigh => "very-high",
            Self::Highest => "highest",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a priority")]
pub struct InvalidPriority(String);

impl FromStr for Priority {
    type Err = InvalidPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|priority| priority.as_str() == text);
        found.ok_or_else(|| InvalidPriority(text.chars().take(64).collect()))
    }
}

/// What a task's dependencies must have come to before it may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requires {
    /// Every dependency is `completed`.
    #[default]
    AllCompleted,
    /// Every dependency is `completed`, `failed` or `exception`.
    AllResolved,
}

/// What people see of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// At most 255 characters.
    pub name: String,
    /// Markdown, at most 32,768 characters.
    pub description: String,
    /// Usually an e-mail address, at most 255 characters.
    pub owner: String,
    /// Where the definition comes from: `http://`, `https://`, `ssh://` or `git@`, at most 4,096 characters.
    pub source: String,
}

/// A task as the queue keeps it, every default filled in (`task.json`).
///
/// Reading one fills in the queue's defaults, except those that need the clock or the task's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinition {
    /// First half of [`TaskDefinition::task_queue_id`].
    pub provisioner_id: String,
    /// Second half of [`TaskDefinition::task_queue_id`].
    pub worker_type: String,
    /// `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// Who made the group's tasks; all tasks of a group share it.
    #[serde(default = "default_scheduler")]
    pub scheduler_id: String,
    /// What the task is accounted to.
    #[serde(default = "default_project")]
    pub project_id: String,
    /// The group it belongs to.
    pub task_group_id: TaskId,
    /// At most 10,000, each once.
    #[serde(default)]
    pub dependencies: Vec<TaskId>,
    /// When the dependencies count as satisfied.
    #[serde(default)]
    pub requires: Requires,
    /// At most 64, each once, each 1 to 249 characters.
    #[serde(default)]
    pub routes: Vec<String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// How often it is run again when a worker disappears: 0 to 49.
    #[serde(default = "default_retries")]
    pub retries: u8,
    /// When it was defined, by its maker's clock.
    pub created: Millis,
    /// When it is resolved at the latest.
    pub deadline: Millis,
    /// When it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Millis>,
    /// What its run may do.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the worker shall do; its shape is the worker's business.
    pub payload: Value,
    /// What people see.
    pub metadata: TaskMetadata,
    /// For searching, values at most 4,096 characters.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// For other services, any object.
    #[serde(default = "default_extra")]
    pub extra: Value,
}

fn default_scheduler() -> String {
    "-".to_owned()
}

fn default_project() -> String {
    "none".to_owned()
}

fn default_retries() -> u8 {
    5
}

fn default_extra() -> Value {
    Value::Object(serde_json::Map::new())
}

/// What became of a task so far (`task-status.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// Which task.
    pub task_id: TaskId,
    /// First half of the task queue id.
    pub provisioner_id: String,
    /// Second half of the task queue id.
    pub worker_type: String,
    /// `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// As in the definition.
    pub scheduler_id: String,
    /// As in the definition.
    #[serde(default = "default_project")]
    pub project_id: String,
    /// As in the definition.
    pub task_group_id: TaskId,
    /// As in the definition, unless changed since.
    #[serde(default)]
    pub priority: Priority,
    /// As in the definition.
    pub deadline: Millis,
    /// As in the definition.
    pub expires: Millis,
    /// How often it may still be run again after its worker disappeared.
    pub retries_left: u8,
    /// The state of the last run, or `unscheduled`.
    pub state: TaskState,
    /// All attempts, oldest first.
    pub runs: Vec<Run>,
}

/// `{status}`: what every call answers that changes or reads one task's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatusResponse {
    /// The task's status after the call.
    pub status: TaskStatus,
}

/// `{task, status}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDefinitionAndStatus {
    /// The definition.
    pub task: TaskDefinition,
    /// The status.
    pub status: TaskStatus,
}

/// A group (`task-group-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskGroup {
    /// Which group.
    pub task_group_id: TaskId,
    /// Which scheduler may add to it.
    pub scheduler_id: String,
    /// When it is forgotten.
    pub expires: Millis,
    /// Since when it takes no new tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Millis>,
}

/// A page of a group's tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskGroupList {
    /// The group itself.
    #[serde(flatten)]
    pub group: TaskGroup,
    /// At most 1,000 tasks.
    pub tasks: Vec<TaskDefinitionAndStatus>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A page of the tasks that depend on a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependentTasks {
    /// What they depend on.
    pub task_id: TaskId,
    /// At most 1,000 tasks.
    pub tasks: Vec<TaskDefinitionAndStatus>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// Asks for many tasks or statuses at once; at most 1,000 ids are answered a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TasksRequest {
    /// Which tasks.
    #[serde(default)]
    pub task_ids: Vec<String>,
}

/// One of [`Tasks`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentifiedTask {
    /// Which task.
    pub task_id: TaskId,
    /// Its definition.
    pub task: TaskDefinition,
}

/// Many definitions, in no order; unknown ids are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tasks {
    /// What was found.
    pub tasks: Vec<IdentifiedTask>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// One of [`Statuses`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentifiedStatus {
    /// Which task.
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
}

/// Many statuses, in no order; unknown ids are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statuses {
    /// What was found.
    pub statuses: Vec<IdentifiedStatus>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// What cancelling a group did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelTaskGroupResponse {
    /// Which group.
    pub task_group_id: TaskId,
    /// How many tasks it has.
    pub task_group_size: u64,
    /// How many of them were cancelled by this call.
    pub cancelled_count: u64,
    /// Which ones.
    pub task_ids: Vec<TaskId>,
}

/// Asks for another priority of a task or a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePriorityRequest {
    /// The priority from now on.
    pub new_priority: Priority,
}

/// What changing a group's priority did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskGroupPriorityResponse {
    /// Which group.
    pub task_group_id: TaskId,
    /// Its scheduler.
    pub scheduler_id: String,
    /// The priority from now on.
    pub new_priority: Priority,
    /// How many tasks changed.
    pub tasks_affected: u64,
    /// Which ones.
    pub task_ids: Vec<TaskId>,
}
