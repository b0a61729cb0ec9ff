//! A run of a task, and the words for what becomes of it.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// What became of a task so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It waits for its dependencies: no run exists.
    Unscheduled,
    /// It waits for a worker.
    Pending,
    /// A worker has claimed it.
    Running,
    /// It did what it should.
    Completed,
    /// It ran and failed.
    Failed,
    /// It could not run to its end, or nobody wanted it to.
    Exception,
}

impl TaskState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unscheduled => "unscheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception => "exception",
        }
    }

    /// Whether the task has come to an end (from which only a rerun leads on).
    #[must_use]
    pub fn is_resolved(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Exception => true,
            Self::Unscheduled | Self::Pending | Self::Running => false,
        }
    }
}

/// What became of a run so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It waits for a worker.
    Pending,
    /// A worker has claimed it.
    Running,
    /// It did what it should.
    Completed,
    /// It ran and failed.
    Failed,
    /// It could not run to its end, or nobody wanted it to.
    Exception,
}

impl From<RunState> for TaskState {
    fn from(run: RunState) -> Self {
        match run {
            RunState::Pending => Self::Pending,
            RunState::Running => Self::Running,
            RunState::Completed => Self::Completed,
            RunState::Failed => Self::Failed,
            RunState::Exception => Self::Exception,
        }
    }
}

/// Why a run was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCreated {
    /// The task's dependencies are satisfied, or somebody scheduled it.
    Scheduled,
    /// The run before lost its worker.
    Retry,
    /// The run before asked for another try.
    TaskRetry,
    /// Somebody asked for it after the task had been resolved.
    Rerun,
    /// Only to be resolved at once: the task was cancelled, or its deadline passed, before it had any run.
    Exception,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonResolved {
    /// The worker said so.
    Completed,
    /// The worker said so.
    Failed,
    /// The task's deadline passed.
    DeadlineExceeded,
    /// Somebody cancelled the task.
    Canceled,
    /// The worker did not renew its claim in time.
    ClaimExpired,
    /// The worker's machine went away.
    WorkerShutdown,
    /// The worker did not understand the payload.
    MalformedPayload,
    /// The worker could not get what the task needs.
    ResourceUnavailable,
    /// The worker's own fault.
    InternalError,
    /// The task asked to be retried.
    IntermittentTask,
    /// A newer task made this one pointless.
    Superseded,
}

/// Why a worker gives a run up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionReason {
    /// The machine goes away; the task is retried.
    WorkerShutdown,
    /// The payload makes no sense to the worker.
    MalformedPayload,
    /// Something the task needs cannot be had.
    ResourceUnavailable,
    /// The worker's own fault.
    InternalError,
    /// The task asked to be retried.
    IntermittentTask,
}

impl From<ExceptionReason> for ReasonResolved {
    fn from(reason: ExceptionReason) -> Self {
        match reason {
            ExceptionReason::WorkerShutdown => Self::WorkerShutdown,
            ExceptionReason::MalformedPayload => Self::MalformedPayload,
            ExceptionReason::ResourceUnavailable => Self::ResourceUnavailable,
            ExceptionReason::InternalError => Self::InternalError,
            ExceptionReason::IntermittentTask => Self::IntermittentTask,
        }
    }
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its place among the task's runs, from 0; at most 50 runs.
    pub run_id: u16,
    /// What became of it so far.
    pub state: RunState,
    /// Why it was made.
    pub reason_created: ReasonCreated,
    /// Why it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_resolved: Option<ReasonResolved>,
    /// Who claimed it, with [`Run::worker_id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// Who claimed it, with [`Run::worker_group`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// When the claim ends unless it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_until: Option<Millis>,
    /// When it became pending.
    pub scheduled: Millis,
    /// When it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Millis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Millis>,
}
