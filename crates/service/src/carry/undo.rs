//! Undoing a request: its action task, and what that has made and is not finished.
//!
//! Nothing but the request's own tasks is touched, each with credentials narrowed to cancelling in that one group.

use std::collections::BTreeSet;

use taskgraft_core::ids::TaskId;
use taskgraft_engine::{CancelActionError, Cancelled, RunPlanError, cancel_action};

use super::sent::UNKNOWN;
use super::setback::{Setback, fetch_passes, passes};
use super::turn::{Turn, Work};
use crate::journal::Change;
use crate::request::Request;
use crate::state::Event;

impl Work {
    /// Cancels what the request has begun: its builds and its tasks, each whatever the other's keepers say.
    pub(super) async fn undo(&self, request: &Request) -> Result<Turn, Setback> {
        let (builds, tasks) = (self.take_back_builds(request).await, self.take_back_tasks(request).await);
        let why = both(tasks, builds)?;
        let why = if why.is_empty() { nothing(request) } else { why.join("; ") };
        let change = Change { why: Some(why.clone()), ..Change::default() };
        self.journal.apply(&request.id, Event::Cancelled, change).await?;
        tracing::info!(%why, "cancelled");
        Ok(Turn::Over)
    }

    /// Cancels its action tasks and what they made, and says so; none where there is none.
    async fn take_back_tasks(&self, request: &Request) -> Result<Option<String>, Setback> {
        let begun = self.begun(request).await?;
        let (mut cancelled, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for task in &begun {
            let done = self.cancel(request, *task).await?;
            cancelled.extend(done.cancelled);
            kept.extend(done.kept);
        }
        Ok((!begun.is_empty()).then(|| told(cancelled.len(), kept.len())))
    }

    /// Its action task; where none is written down, all that carry its key: the service may have stopped at the very moment
    /// that one was sent, and before it was tried again there were others.
    async fn begun(&self, request: &Request) -> Result<Vec<TaskId>, Setback> {
        if request.action_task.is_some() || request.decision.is_none() || request.action_input().is_none() {
            return Ok(request.action_task.into_iter().collect());
        }
        let ground = self.ground_again(request).await?;
        if !ground.prepared.can_be_found() {
            let sent = self.journal.was_sent(&request.id).await?;
            return if sent { Err(Setback::Failed(UNKNOWN.to_owned())) } else { Ok(Vec::new()) };
        }
        let begun = self.carrying(&ground).await?;
        if !begun.iter().any(|begun| begun.counts) && self.may_be_coming(&ground) {
            return Err(Setback::Later("its action task may be on its way".to_owned()));
        }
        Ok(begun.into_iter().map(|begun| begun.task).collect())
    }

    async fn cancel(&self, request: &Request, task: TaskId) -> Result<Cancelled, Setback> {
        let status = match self.reader.queue().status(task).await {
            // What the queue has forgotten ended long ago, and so did what it made.
            Err(error) if error.is_not_found() => return Ok(Cancelled::default()),
            status => status.map_err(|error| refused(error.into()))?,
        };
        let may = |verb: &str| format!("queue:{verb}:{}/{}/*", status.scheduler_id, status.task_group_id);
        let client = self.narrowed(vec![may("cancel-task"), may("rerun-task")]);
        cancel_action(&client, &self.cache, task, request.with_dependencies).await.map_err(refused)
    }
}

/// What was taken back, or what kept some of it from that.
fn both(
    tasks: Result<Option<String>, Setback>,
    builds: Result<Option<String>, Setback>,
) -> Result<Vec<String>, Setback> {
    match (tasks, builds) {
        (Err(Setback::Failed(tasks)), Err(Setback::Failed(builds))) => {
            Err(Setback::Failed(format!("{tasks}; {builds}")))
        }
        // Who doesn't answer is asked again; what is refused is then refused again.
        (Err(later @ Setback::Later(_)), _) | (_, Err(later @ Setback::Later(_))) => Err(later),
        (tasks, builds) => Ok([tasks?, builds?].into_iter().flatten().collect()),
    }
}

fn nothing(request: &Request) -> String {
    let since = if request.retries > 0 { " since it was tried again" } else { "" };
    format!("nothing had been sent{since}")
}

fn told(cancelled: usize, kept: usize) -> String {
    let kept = if kept > 0 { format!(", {kept} stay because others need them") } else { String::new() };
    format!("{cancelled} of its tasks were cancelled{kept}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_half_says_is_not_lost_over_the_other() {
        let (failed, later) = (|| Err(Setback::Failed("no".to_owned())), || Err(Setback::Later("down".to_owned())));
        let done = |what: &str| Ok(Some(what.to_owned()));
        assert_eq!(both(done("tasks"), done("builds")).unwrap(), ["tasks", "builds"]);
        assert_eq!(both(Ok(None), done("builds")).unwrap(), ["builds"]);
        assert!(matches!(both(failed(), failed()), Err(Setback::Failed(why)) if why == "no; no"));
        assert!(matches!(both(done("tasks"), failed()), Err(Setback::Failed(_))));
        for either in [both(failed(), later()), both(later(), failed()), both(done("tasks"), later())] {
            assert!(matches!(either, Err(Setback::Later(_))), "{either:?}");
        }
    }
}
