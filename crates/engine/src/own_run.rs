//! Whether the run that this process works for is still the one to do it.

use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Error, Retry};
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::frontier::Halt;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState};

/// How often the run is looked at while tasks are created, from one question to the next.
const EVERY: Duration = Duration::from_secs(1);
/// The least time between an answer and the next question: nothing would be created where looks take longer.
const BETWEEN: Duration = Duration::from_millis(100);
/// How long looks may go without an answer.
const SILENT: Duration = Duration::from_secs(60);

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

    /// Resolves when the run has ended. `asking` is told whether it is unknown for now: from each question to the first
    /// answer. Refusals are answers: whatever else is called will be refused, too, and say why.
    ///
    /// # Errors
    /// If the queue hasn't answered for a minute.
    pub async fn ended(self, client: &Client, asking: impl Fn(bool)) -> Result<Halt, Error> {
        let clock = client.clock();
        let since = |then| Duration::try_from(clock.now().duration_since(then)).unwrap_or_default();
        let (mut asked, mut heard) = (clock.now(), clock.now());
        loop {
            clock.sleep(EVERY.saturating_sub(since(asked)).max(BETWEEN)).await;
            asked = clock.now();
            asking(true);
            match self.check(client).await {
                Ok(Some(halt)) => return Ok(halt),
                Err(error) if error.is_transient() && since(heard) > SILENT => return Err(error),
                Err(error) if error.is_transient() => {}
                Ok(None) | Err(_) => {
                    heard = clock.now();
                    asking(false);
                }
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
