//! Whether the run that this process works for is still the one to do it.

use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Error, Retry};
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::frontier::Halt;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState};

/// How often the run is looked at while tasks are created.
const EVERY: Duration = Duration::from_secs(1);

/// A run of the action task that carries a request out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRun {
    /// The action task.
    pub task: TaskId,
    /// The run, from 0.
    pub run: u16,
}

impl OwnRun {
    /// Why nothing more may be created, if the run has ended: the credentials of cancelled, failed and superseded runs
    /// work on, so nobody else stops us.
    ///
    /// # Errors
    /// If the queue doesn't answer.
    pub async fn check(self, client: &Client) -> Result<Option<Halt>, Error> {
        Ok(self.judge(&client.queue().status(self.task).await?))
    }

    /// Resolves when the run has ended. A look that fails counts as none: the next one is a second away.
    pub async fn ended(self, client: &Client) -> Halt {
        loop {
            client.clock().sleep(EVERY).await;
            if let Ok(Some(halt)) = self.check(client).await {
                return halt;
            }
        }
    }

    fn judge(self, status: &TaskStatus) -> Option<Halt> {
        let last = status.runs.last()?;
        if last.run_id != self.run {
            return Some(Halt::Superseded);
        }
        match (last.state, last.reason_resolved) {
            (RunState::Running | RunState::Pending, _) => None,
            (_, Some(ReasonResolved::Canceled)) => Some(Halt::Cancelled),
            // One that can be tried again has its next run at once.
            (RunState::Exception, _) => Some(Halt::Expired),
            (RunState::Completed | RunState::Failed, _) => Some(Halt::Superseded),
        }
    }
}

/// A client for looks that are soon repeated anyway.
pub(crate) fn impatient(client: &Client) -> Client {
    client.with_patience(Retry::never(), Duration::from_secs(10), Arc::default())
}
