//! What the frontier asks its driver to do, and what the driver answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::plan::StatusFact;
use crate::state::TaskState;
use crate::time::Millis;

/// Who asked for a step: goes back with its answer, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The look at what exists already, before anything is created (only when a request is taken up again).
    Survey,
    /// A task of the plan, by its place there.
    Task(usize),
    /// The group.
    Group,
    /// The last look at what is reused.
    Check,
    /// The repair of one task that somebody else left half done, or that was lost.
    Mend(usize),
    /// The cancelling of a task of the plan.
    Cancel(usize),
}

/// One call to make. Calls may run at the same time and be answered in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Who asks.
    pub place: Place,
    /// The call.
    #[serde(flatten)]
    pub call: Call,
}

/// A call to the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// `queue.createTask` with exactly this definition. Retries inside the call send the same bytes.
    /// Answer: `Status`, `Conflict`, `Transient` or `Rejected`.
    Create {
        /// The id.
        task_id: TaskId,
        /// The definition.
        definition: Value,
    },
    /// `queue.task` and `queue.status`. Answer: `Task`, `Absent`, `Transient` or `Rejected`.
    ReadTask {
        /// The id.
        task_id: TaskId,
    },
    /// `queue.getTaskGroup`. Answer: `Group`, `Absent`, `Transient` or `Rejected`.
    ReadGroup {
        /// The group.
        group: TaskId,
    },
    /// `queue.statuses`, in batches of at most 1000. Answer: `Statuses`, `Transient` or `Rejected`.
    ReadStatuses {
        /// The ids, each once.
        task_ids: Vec<TaskId>,
    },
    /// `queue.createTask` with exactly what `queue.task` returned. Answers as for `Create`.
    PutBack {
        /// The id.
        task_id: TaskId,
        /// The definition.
        definition: Value,
    },
    /// `queue.scheduleTask`. Answer: `Status`, `Conflict`, `Absent`, `Transient` or `Rejected`.
    Schedule {
        /// The id.
        task_id: TaskId,
    },
    /// `queue.rerunTask`. Answers as for `Schedule`.
    Rerun {
        /// The id.
        task_id: TaskId,
    },
    /// `queue.cancelTask`. Answers as for `Schedule`.
    Cancel {
        /// The id.
        task_id: TaskId,
    },
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// 200 with a status.
    Status {
        /// The task's state.
        state: TaskState,
    },
    /// 200 with a definition and its status.
    Task {
        /// The definition, as it came.
        definition: Value,
        /// Its status.
        status: StatusFact,
    },
    /// 200 with a group.
    Group {
        /// Its schedulerId.
        scheduler_id: String,
        /// Since when it is sealed.
        sealed: Option<Millis>,
    },
    /// 200 with statuses; unknown ids are left out.
    Statuses {
        /// By id.
        found: BTreeMap<TaskId, StatusFact>,
    },
    /// 404.
    Absent,
    /// 409.
    Conflict {
        /// The server's words.
        message: String,
    },
    /// No answer, 429 or 5xx, and the client has given up.
    Transient {
        /// What happened.
        message: String,
    },
    /// Any other 4xx: asking again would not help.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The error's code, as `InsufficientScopes`.
        code: String,
        /// The server's words.
        message: String,
    },
}

/// Why nothing more may be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halt {
    /// The request was cancelled: its own unfinished tasks are cancelled too.
    Cancelled,
    /// The action task has ended without it, by its deadline for one, and gets no other run: its own tasks would wait for
    /// that in vain, and are cancelled too.
    Expired,
    /// A later run of the action task has taken over, and finishes it.
    Superseded,
    /// The caller was told to stop (a signal, say): `resume` finishes it.
    Interrupted,
}

impl Halt {
    /// Whether the request's own tasks are cancelled.
    #[must_use]
    pub fn cancels(self) -> bool {
        match self {
            Self::Cancelled | Self::Expired => true,
            Self::Superseded | Self::Interrupted => false,
        }
    }
}
