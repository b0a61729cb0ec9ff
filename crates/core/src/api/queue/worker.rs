//! What a worker and the queue say to each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{TaskDefinition, TaskStatus};
use crate::state::ExceptionReason;
use crate::time::Millis;

/// Asks for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimWorkRequest {
    /// Where the worker runs: 1 to 38 of `a-zA-Z0-9-_`.
    pub worker_group: String,
    /// Which worker it is there: 1 to 38 of `a-zA-Z0-9-_`.
    pub worker_id: String,
    /// How many tasks it takes at most: 1 to 32.
    #[serde(default = "one")]
    pub tasks: u8,
}

fn one() -> u8 {
    1
}

/// What was claimed; empty after the long poll's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimWorkResponse {
    /// At most as many as were asked for.
    pub tasks: Vec<Claimed>,
}

/// Asks for one run of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimTaskRequest {
    /// See [`ClaimWorkRequest::worker_group`].
    pub worker_group: String,
    /// See [`ClaimWorkRequest::worker_id`].
    pub worker_id: String,
}

/// Temporary credentials of one run. Printing them tells whose they are, and no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskCredentials {
    /// `task-client/<taskId>/<runId>/on/<workerGroup>/<workerId>/until/<seconds>`.
    pub client_id: String,
    /// The secret.
    pub access_token: String,
    /// JSON in a string.
    pub certificate: String,
}

impl fmt::Debug for TaskCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// A run that is now the worker's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// The task's status, the claimed run last.
    pub status: TaskStatus,
    /// Which run.
    pub run_id: u16,
    /// As asked.
    pub worker_group: String,
    /// As asked.
    pub worker_id: String,
    /// When the claim ends unless renewed.
    pub taken_until: Millis,
    /// What to do.
    pub task: TaskDefinition,
    /// With what to act for the task until then.
    pub credentials: TaskCredentials,
}

/// A claim renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reclaimed {
    /// The task's status, the renewed run last.
    pub status: TaskStatus,
    /// Which run.
    pub run_id: u16,
    /// As claimed.
    pub worker_group: String,
    /// As claimed.
    pub worker_id: String,
    /// When the claim ends unless renewed again.
    pub taken_until: Millis,
    /// With what to act for the task until then.
    pub credentials: TaskCredentials,
}

/// Reports an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskExceptionRequest {
    /// Why.
    pub reason: ExceptionReason,
}

/// How many tasks wait for a task queue's workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingTasks {
    /// First half of the task queue id.
    pub provisioner_id: String,
    /// Second half of the task queue id.
    pub worker_type: String,
    /// Which task queue.
    pub task_queue_id: String,
    /// How many are pending.
    pub pending_tasks: u64,
}

/// How many tasks of a task queue wait and run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskQueueCounts {
    /// As in [`PendingTasks`].
    #[serde(flatten)]
    pub pending: PendingTasks,
    /// How many are running.
    pub claimed_tasks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_credentials_print_without_their_secrets() {
        let (access_token, certificate) = ("s3cret".to_owned(), "{\"signature\": \"s1gned\"}".to_owned());
        let credentials = TaskCredentials { client_id: "task-client/x".into(), access_token, certificate };
        let text = format!("{credentials:?}");
        assert!(text.contains("task-client/x") && !text.contains("s3cret") && !text.contains("s1gned"), "{text}");
    }
}
