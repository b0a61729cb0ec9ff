//! Undoing a request: its action task, and what that has made and is not finished.
//!
//! Nothing but the request's own tasks is touched, each with credentials narrowed to cancelling in that one group.

use taskgraft_core::ids::TaskId;
use taskgraft_engine::{CancelActionError, RunPlanError, cancel_action};

use super::setback::{Setback, fetch_passes, passes};
use super::turn::{Turn, Work};
use crate::journal::Change;
use crate::request::Request;
use crate::state::Event;

impl Work {
    /// Cancels what the request has begun.
    pub(super) async fn undo(&self, request: &Request) -> Result<Turn, Setback> {
        let why = match self.begun(request).await? {
            None => "nothing had been sent".to_owned(),
            Some(task) => self.cancel(request, task).await?,
        };
        let change = Change { why: Some(why.clone()), ..Change::default() };
        self.journal.apply(&request.id, Event::Cancelled, change).await?;
        tracing::info!(%why, "cancelled");
        Ok(Turn::Over)
    }

    /// Its action task, also where it was sent at the very moment that the service stopped.
    async fn begun(&self, request: &Request) -> Result<Option<TaskId>, Setback> {
        if request.action_task.is_some() || request.decision.is_none() {
            return Ok(request.action_task);
        }
        match self.ground(request).await {
            Ok(ground) => Ok(self.earlier(&ground).await?.map(|sent| sent.task())),
            // It was allowed once, and may have been sent then.
            Err(Setback::Refused(why)) => Err(Setback::Failed(format!("learn whether anything was sent: {why}"))),
            Err(setback) => Err(setback),
        }
    }

    async fn cancel(&self, request: &Request, task: TaskId) -> Result<String, Setback> {
        let refused = |error: taskgraft_client::Error| self::refused(error.into());
        let status = self.reader.queue().status(task).await.map_err(refused)?;
        let may = |verb: &str| format!("queue:{verb}:{}/{}/*", status.scheduler_id, status.task_group_id);
        let client = self.narrowed(vec![may("cancel-task"), may("rerun-task")]);
        let done = cancel_action(&client, &self.cache, task, request.with_dependencies).await.map_err(self::refused)?;
        let (cancelled, kept) = (done.cancelled.len(), done.kept.len());
        let kept = if kept > 0 { format!(", {kept} stay because others need them") } else { String::new() };
        Ok(format!("{cancelled} of its tasks were cancelled{kept}"))
    }
}

fn refused(error: CancelActionError) -> Setback {
    let passes = match &error {
        CancelActionError::Client(error) => passes(error),
        CancelActionError::Report(error) => fetch_passes(error),
        CancelActionError::Plan(RunPlanError::Client(error)) => passes(error),
        CancelActionError::Plan(RunPlanError::Fetch(error)) => fetch_passes(error),
        CancelActionError::Plan(_) => false,
    };
    Setback::failed(passes, format!("cancel what the request made: failed to {error}"))
}
