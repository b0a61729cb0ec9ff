//! Undoing a request: its action task, and what that has made and is not finished.
//!
//! Nothing but the request's own tasks is touched, each with credentials narrowed to cancelling in that one group.

use std::collections::BTreeSet;

use taskgraft_core::ids::TaskId;
use taskgraft_engine::{CancelActionError, Cancelled, RunPlanError, cancel_action};

use super::sent::UNKNOWN;
use super::setback::{Setback, fetch_passes, passes};
use super::turn::{Turn, Work};
use crate::journal::{Change, JournalError};
use crate::request::Request;
use crate::state::Event;

/// [`Event::Sent`], and what ends the time for which it counts: of those, the last to have happened says whether something
/// may run of which nobody can tell.
type Begins = &'static [Event];

impl Work {
    /// Cancels what the request has begun: its builds and its tasks, each whatever the other's keepers say.
    pub(super) async fn undo(&self, request: &Request) -> Result<Turn, Setback> {
        let why = self.take_back(request, &[Event::Sent, Event::Retried]).await?;
        let why = if why.is_empty() { nothing(request) } else { why.join("; ") };
        let change = Change { why: Some(why.clone()), ..Change::default() };
        self.journal.apply(&request.id, Event::Cancelled, change).await?;
        tracing::info!(%why, "cancelled");
        Ok(Turn::Over)
    }

    /// Ends a cancellation that came to no good end before the request was tried again: what that left must not run beside
    /// what is made anew.
    pub(super) async fn end_undoing(&self, request: &Request) -> Result<(), Setback> {
        const STEPS: [Event; 3] = [Event::CancelAsked, Event::Cancelled, Event::Allowed];
        if request.undone == 0 || self.journal.last_of(&request.id, &STEPS).await? != Some(Event::CancelAsked) {
            return Ok(());
        }
        let done = self.take_back(request, &[Event::Sent, Event::Cancelled]).await?.join("; ");
        tracing::info!(%done, "cancelled what was left of the time before");
        Ok(())
    }

    /// Cancels all that the request has begun, and says what.
    async fn take_back(&self, request: &Request, begins: Begins) -> Result<Vec<String>, Setback> {
        let mut taken = Taken::default();
        self.take_back_tasks(request, begins, &mut taken).await?;
        self.take_back_builds(request, &mut taken).await?;
        taken.all()
    }

    /// Cancels its action tasks and what they made.
    async fn take_back_tasks(&self, request: &Request, begins: Begins, taken: &mut Taken) -> Result<(), JournalError> {
        let known = request.action_task.into_iter().collect();
        let begun = match self.begun(request, begins).await {
            Ok(begun) => begun,
            Err(setback) => taken.lacks(setback).map(|()| known)?,
        };
        let (mut cancelled, mut kept) = (BTreeSet::new(), BTreeSet::new());
        // The copies of all of them first, then what they needed, as long as there is some that nothing needs any more: what is
        // left of one keeps what another one made for it.
        let most = if request.with_dependencies { 1 + begun.len() } else { 1 };
        for sweep in 0..most {
            let before = cancelled.len();
            kept.clear();
            for task in &begun {
                match self.cancel(*task, sweep > 0).await {
                    Ok(done) => {
                        cancelled.extend(done.cancelled);
                        kept.extend(done.kept);
                    }
                    Err(setback) => taken.lacks(setback)?,
                }
            }
            if !taken.is_whole() || (sweep > 0 && cancelled.len() == before) {
                break;
            }
        }
        if !cancelled.is_empty() || (!begun.is_empty() && taken.is_whole()) {
            taken.done.push(told(cancelled.len(), kept.len()));
        }
        Ok(())
    }

    /// Its action tasks. Where one is written down and the request was never tried again after it had been cancelled, that
    /// is it; else all that carry a key of its: the service may have stopped at the very moment that one was sent, and
    /// before it was tried again there were others.
    async fn begun(&self, request: &Request, begins: Begins) -> Result<BTreeSet<TaskId>, Setback> {
        let known: BTreeSet<TaskId> = request.action_task.into_iter().collect();
        let is_all = !known.is_empty() && request.undone == 0;
        if is_all || request.decision.is_none() || request.action_input().is_none() {
            return Ok(known);
        }
        let ground = self.ground_again(request).await?;
        if !ground.prepared.can_be_found() {
            let was_sent = self.journal.last_of(&request.id, begins).await? == Some(Event::Sent);
            let unknown = known.is_empty() && was_sent;
            return if unknown { Err(Setback::Failed(UNKNOWN.to_owned())) } else { Ok(known) };
        }
        let begun = self.carrying(&ground).await?;
        if known.is_empty() && !begun.iter().any(|begun| begun.counts) && self.may_be_coming(&ground) {
            return Err(Setback::Later("its action task may be on its way".to_owned()));
        }
        Ok(known.into_iter().chain(begun.into_iter().map(|begun| begun.task)).collect())
    }

    async fn cancel(&self, task: TaskId, with_dependencies: bool) -> Result<Cancelled, Setback> {
        let status = match self.reader.queue().status(task).await {
            // What the queue has forgotten ended long ago, and so did what it made.
            Err(error) if error.is_not_found() => return Ok(Cancelled::default()),
            status => status.map_err(|error| refused(error.into()))?,
        };
        let may = |verb: &str| format!("queue:{verb}:{}/{}/*", status.scheduler_id, status.task_group_id);
        let client = self.narrowed(vec![may("cancel-task"), may("rerun-task")]);
        cancel_action(&client, &self.cache, task, with_dependencies).await.map_err(refused)
    }
}

/// What came of taking something back, in words.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What was.
    pub(super) done: Vec<String>,
    /// What could not be, and why.
    lacking: Vec<String>,
    /// Whether some of that may be had later.
    passes: bool,
}

impl Taken {
    /// Something could not be taken back.
    ///
    /// # Errors
    /// If that is because the journal doesn't answer, which says nothing of the rest either.
    pub(super) fn lacks(&mut self, setback: Setback) -> Result<(), JournalError> {
        match setback {
            Setback::Journal(error) => return Err(error),
            Setback::Refused(why) | Setback::Failed(why) => self.lacking.push(why),
            Setback::Later(why) => {
                self.lacking.push(why);
                self.passes = true;
            }
        }
        Ok(())
    }

    /// Whether nothing is lacking so far.
    pub(super) fn is_whole(&self) -> bool {
        self.lacking.is_empty()
    }

    /// What was taken back if that is all, else what is lacking and then what is not. Who doesn't answer is asked again; what
    /// is refused is then refused again.
    fn all(self) -> Result<Vec<String>, Setback> {
        if self.is_whole() {
            return Ok(self.done);
        }
        Err(Setback::failed(self.passes, [self.lacking, self.done].concat().join("; ")))
    }
}

fn nothing(request: &Request) -> String {
    let since = if request.retries > 0 { " since it was tried again" } else { "" };
    format!("nothing had been sent{since}")
}

fn told(cancelled: usize, kept: usize) -> String {
    let kept = if kept > 0 { format!(", {kept} stay because others need them") } else { String::new() };
    format!("{}{kept}", of_its(cancelled, "tasks"))
}

/// How many were cancelled. By an earlier turn they may all have been.
pub(super) fn of_its(cancelled: usize, what: &str) -> String {
    match cancelled {
        0 => format!("none of its {what} was left to cancel"),
        some => format!("{some} of its {what} were cancelled"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(done: &[&str], lacking: Vec<Setback>) -> Result<Vec<String>, Setback> {
        let done = done.iter().map(|done| (*done).to_owned()).collect();
        let mut taken = Taken { done, ..Taken::default() };
        lacking.into_iter().try_for_each(|setback| taken.lacks(setback))?;
        taken.all()
    }

    #[test]
    fn what_one_half_says_is_not_lost_over_the_other() {
        let (failed, later) = (|| Setback::Failed("no".to_owned()), || Setback::Later("down".to_owned()));
        assert_eq!(taken(&["tasks", "builds"], Vec::new()).unwrap(), ["tasks", "builds"]);
        let error = taken(&["tasks"], vec![failed()]).unwrap_err();
        assert!(matches!(&error, Setback::Failed(why) if why == "no; tasks"), "{error:?}");
        let error = taken(&["tasks"], vec![failed(), later()]).unwrap_err();
        assert!(matches!(&error, Setback::Later(why) if why == "no; down; tasks"), "{error:?}");
        let unknown = JournalError::Unknown("nobody".parse().unwrap());
        assert!(matches!(taken(&[], vec![unknown.into()]), Err(Setback::Journal(_))));
    }
}
