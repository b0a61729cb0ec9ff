//! Requests and answers of Taskcluster's index service, version 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::time::Millis;

/// What is found at an index path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedTask {
    /// The whole index path, such as `project.cache.level-3.toolchains.v3.clang.latest`.
    pub namespace: String,
    /// The task.
    pub task_id: TaskId,
    /// Inserting with a lower rank changes nothing.
    pub rank: i64,
    /// An object that says more; mostly empty.
    pub data: Value,
    /// From then on the entry is not found.
    pub expires: Millis,
}

/// The body of `insertTask`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InsertTaskRequest {
    /// The task.
    pub task_id: TaskId,
    /// Inserting with a lower rank changes nothing.
    pub rank: i64,
    /// An object.
    pub data: Value,
    /// From then on the entry is not found.
    pub expires: Millis,
}

/// The body of `findTasksAtIndex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindTasksAtIndexRequest {
    /// Index paths; those that aren't found are left out of the answer.
    pub indexes: Vec<String>,
}

/// A page of index entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasksResponse {
    /// Sorted by index path.
    pub tasks: Vec<IndexedTask>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A place in the index that has entries or further namespaces below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The whole path.
    pub namespace: String,
    /// Its last part.
    pub name: String,
    /// No entry below lives longer.
    pub expires: Millis,
}

/// A page of namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListNamespacesResponse {
    /// Sorted by name.
    pub namespaces: Vec<Namespace>,
    /// There is more when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}
