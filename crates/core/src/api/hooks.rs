//! What the hooks service sends and takes.

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;

/// What came of triggering a hook (`trigger-hook-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerHookResponse {
    /// The new task; none where the hook's template came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}
