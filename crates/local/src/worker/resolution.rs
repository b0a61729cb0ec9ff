//! How a run ends, and what its log says about that.

use std::fmt;

use taskgraft_client::Error;
use taskgraft_core::state::ExceptionReason;

use super::payload::{ExitStatuses, MalformedPayload};
use super::process::Ended;

/// How a run ends. The texts are fragments for the log's closing line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Every command exited with 0 and everything was published.
    Completed,
    /// The task did not do what it was to do.
    Failed(String),
    /// The task could not be run, or is given up.
    Exception(ExceptionReason, String),
}

impl Resolution {
    /// A task whose payload this worker can't run.
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Exception(ExceptionReason::MalformedPayload, why.into())
    }

    /// A failure of the worker itself.
    pub(crate) fn internal(what: &str, error: &dyn fmt::Display) -> Self {
        Self::Exception(ExceptionReason::InternalError, format!("{what}: {error}"))
    }

    /// What the end of a command means for the run: nothing, or that it ends like this.
    pub(crate) fn of_command(ended: Ended<()>, statuses: &ExitStatuses, max_run_time: u64) -> Result<(), Self> {
        match ended {
            Ended::Exited(code) if statuses.retry.contains(&code) => Err(Self::Exception(
                ExceptionReason::IntermittentTask,
                format!("exit code {code} is in payload.onExitStatus.retry"),
            )),
            Ended::Exited(0) => Ok(()),
            Ended::Exited(code) => Err(Self::Failed(format!("exit code {code}"))),
            Ended::Signalled(signal) => Err(Self::Failed(format!("killed by signal {signal}"))),
            Ended::Stopped(()) => {
                Err(Self::Failed(format!("killed: it ran longer than payload.maxRunTime, {max_run_time} s")))
            }
        }
    }

    /// A call of the task's that did not succeed: what is transient may succeed in another run.
    pub(crate) fn from_call(what: &str, error: &Error) -> Self {
        if error.is_transient() {
            Self::Exception(ExceptionReason::ResourceUnavailable, format!("{what}: failed to {error}"))
        } else {
            Self::Failed(format!("{what}: failed to {error}"))
        }
    }
}

impl From<MalformedPayload> for Resolution {
    fn from(error: MalformedPayload) -> Self {
        Self::malformed(error.to_string())
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Exception(reason, why) => write!(f, "exception ({}): {why}", reason_word(*reason)),
        }
    }
}

fn reason_word(reason: ExceptionReason) -> &'static str {
    match reason {
        ExceptionReason::WorkerShutdown => "worker-shutdown",
        ExceptionReason::MalformedPayload => "malformed-payload",
        ExceptionReason::ResourceUnavailable => "resource-unavailable",
        ExceptionReason::InternalError => "internal-error",
        ExceptionReason::IntermittentTask => "intermittent-task",
    }
}
