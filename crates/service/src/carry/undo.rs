//! Undoing a request: its action task, and what that has made and is not finished.
//!
//! Nothing but the request's own tasks is touched, each with credentials narrowed to cancelling that one task's group.

use taskgraft_core::ids::TaskId;
use taskgraft_engine::trigger::Left;

use super::setback::{Setback, passes};
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
            // What can't be sent was not.
            Err(Setback::Refused(_)) => Ok(None),
            Err(setback) => Err(setback),
        }
    }

    async fn cancel(&self, request: &Request, task: TaskId) -> Result<String, Setback> {
        let lost = |error: taskgraft_client::Error| {
            let passes = passes(&error);
            Setback::failed(passes, format!("cancel what the request made: failed to {error}"))
        };
        let status = self.reader.queue().status(task).await.map_err(lost)?;
        let may = |verb: &str| format!("queue:{verb}:{}/{}/*", status.scheduler_id, status.task_group_id);
        let client = self.narrowed(vec![may("cancel-task"), may("rerun-task")]);
        if !status.state.is_resolved() {
            // A worker of ours that is at it cancels what it has made itself, and stops.
            client.queue().cancel_task(task).await.map_err(lost)?;
        }
        let left = Left::of(&self.reader, &self.artifacts, task).await?;
        let (mut cancelled, mut kept) = (0, 0);
        for report in left.report.iter().flat_map(|report| &report.requests) {
            let done = taskgraft_engine::cancel(&client, report, request.with_dependencies).await.map_err(lost)?;
            cancelled += done.cancelled.len();
            kept += done.kept.len();
        }
        let kept = if kept > 0 { format!(", {kept} stay because others need them") } else { String::new() };
        Ok(format!("{cancelled} of its tasks were cancelled{kept}"))
    }
}
