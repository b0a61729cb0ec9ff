//! What a command's end and a payload's mistakes mean for the run.

use taskgraft_client::run::Resolution;
use taskgraft_core::state::ExceptionReason;

use super::payload::{ExitStatuses, MalformedPayload};
use super::process::Ended;

/// What the end of a command means for the run: nothing, or that it ends like this.
pub(crate) fn of_command(ended: Ended<()>, statuses: &ExitStatuses, max_run_time: u64) -> Result<(), Resolution> {
    match ended {
        Ended::Exited(code) if statuses.retry.contains(&code) => Err(Resolution::Exception(
            ExceptionReason::IntermittentTask,
            format!("exit code {code} is in payload.onExitStatus.retry"),
        )),
        Ended::Exited(0) => Ok(()),
        Ended::Exited(code) => Err(Resolution::Failed(format!("exit code {code}"))),
        Ended::Signalled(signal) => Err(Resolution::Failed(format!("killed by signal {signal}"))),
        Ended::Stopped(()) => {
            Err(Resolution::Failed(format!("killed: it ran longer than payload.maxRunTime, {max_run_time} s")))
        }
    }
}

impl From<MalformedPayload> for Resolution {
    fn from(error: MalformedPayload) -> Self {
        Self::malformed(error.to_string())
    }
}
