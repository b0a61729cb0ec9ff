//! How a run ends, and what its log says about that.

use std::fmt;

use taskgraft_core::state::ExceptionReason;

use crate::Error;

/// How a run ends. The texts are fragments for the log's closing line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Every command exited with 0 and everything was published.
    Completed,
    /// The task did not do what it was to do.
    Failed(String),
    /// The task could not be run, or is given up.
    Exception(ExceptionReason, String),
}

impl Resolution {
    /// A task whose payload this worker can't run.
    #[must_use]
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::Exception(ExceptionReason::MalformedPayload, why.into())
    }

    /// How it ended in a word, as the queue has it: `completed`, `failed`, or an exception's reason.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::Exception(reason, _) => match reason {
                ExceptionReason::WorkerShutdown => "worker-shutdown",
                ExceptionReason::MalformedPayload => "malformed-payload",
                ExceptionReason::ResourceUnavailable => "resource-unavailable",
                ExceptionReason::InternalError => "internal-error",
                ExceptionReason::IntermittentTask => "intermittent-task",
            },
        }
    }

    /// A failure of the worker itself.
    #[must_use]
    pub fn internal(what: &str, error: &dyn fmt::Display) -> Self {
        Self::Exception(ExceptionReason::InternalError, format!("{what}: {error}"))
    }

    /// A call of the task's that did not succeed: what is transient may succeed in another run.
    #[must_use]
    pub fn from_call(what: &str, error: &Error) -> Self {
        if error.is_transient() {
            Self::Exception(ExceptionReason::ResourceUnavailable, format!("{what}: failed to {error}"))
        } else {
            Self::Failed(format!("{what}: failed to {error}"))
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Exception(_, why) => write!(f, "exception ({}): {why}", self.word()),
        }
    }
}
