//! Cancelling a request's own tasks. What has an id that nobody has looked at yet is read first: it may be somebody
//! else's task.

use serde_json::Value;

use super::machine::Frontier;
use super::node::{Limits, State};
use super::step::{Answer, Call, Place};
use crate::ids::TaskId;
use crate::plan::{own, same_task};
use crate::state::TaskState;

/// One task that goes with its request.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    tries: u32,
    state: Undoing,
}

#[derive(Debug, Clone, PartialEq)]
enum Undoing {
    /// Read what has its id.
    Read,
    Cancel,
    Done(Undone),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Undone {
    Cancelled,
    /// It had ended, or isn't there, or is somebody else's.
    Nothing,
    /// The queue didn't do it.
    Failed(String),
}

impl Undo {
    /// `read` is whether the task is known to be this request's.
    fn new(read: bool) -> Self {
        Self { tries: 0, state: if read { Undoing::Cancel } else { Undoing::Read } }
    }

    pub(super) fn call(&mut self, task_id: TaskId) -> Option<Call> {
        self.tries += 1;
        match self.state {
            Undoing::Read => Some(Call::ReadTask { task_id }),
            Undoing::Cancel => Some(Call::Cancel { task_id }),
            Undoing::Done(_) => None,
        }
    }

    /// What came of it, once it is known.
    fn result(&self) -> Option<&Undone> {
        match &self.state {
            Undoing::Done(undone) => Some(undone),
            Undoing::Read | Undoing::Cancel => None,
        }
    }

    /// Takes in an answer; `false` if it is no answer to what was asked.
    fn answered(&mut self, answer: &Answer, is_ours: impl Fn(&Value) -> bool, limits: Limits) -> bool {
        let next = match (&self.state, answer) {
            (Undoing::Done(_), _) => None,
            (_, Answer::Transient { .. }) if self.tries < limits.reads => return true,
            (_, Answer::Transient { message } | Answer::Rejected { message, .. }) => {
                Some(Undoing::Done(Undone::Failed(message.clone())))
            }
            (_, Answer::Absent) => Some(Undoing::Done(Undone::Nothing)),
            (Undoing::Read, Answer::Task { definition, status }) => {
                let goes = !status.state.is_resolved() && is_ours(definition);
                Some(if goes { Undoing::Cancel } else { Undoing::Done(Undone::Nothing) })
            }
            (Undoing::Cancel, Answer::Status { state: TaskState::Exception }) => Some(Undoing::Done(Undone::Cancelled)),
            (Undoing::Cancel, Answer::Status { .. }) => Some(Undoing::Done(Undone::Nothing)),
            (Undoing::Cancel, Answer::Conflict { message }) => Some(Undoing::Done(Undone::Failed(message.clone()))),
            (
                Undoing::Read | Undoing::Cancel,
                Answer::Status { .. }
                | Answer::Task { .. }
                | Answer::Group { .. }
                | Answer::Statuses { .. }
                | Answer::Conflict { .. },
            ) => None,
        };
        let taken = next.is_some();
        if let Some(next) = next {
            self.tries = 0;
            self.state = next;
        }
        taken
    }
}

impl Frontier {
    /// Begins to cancel the request's own tasks that exist, or may.
    pub(super) fn undo_all(&mut self) {
        for at in 0..self.nodes.len() {
            if own(|at| self.plan.tasks.get(at).map(|task| &task.role), at) && self.nodes[at].may_exist() {
                let read = matches!(&self.nodes[at].state, State::Settled(outcome) if outcome.exists());
                self.undos.insert(at, Undo::new(read));
                self.queue.push_back(Place::Cancel(at));
            }
        }
    }

    pub(super) fn undone(&mut self, at: usize, answer: &Answer) -> bool {
        let (limits, ours) = (self.limits, self.definition(at));
        let urls = self.plan.urls();
        let is_ours = |theirs: &Value| ours.as_ref().is_ok_and(|ours| same_task(ours, theirs, &urls));
        let Some(undo) = self.undos.get_mut(&at) else { return false };
        if !undo.answered(answer, is_ours, limits) {
            return false;
        }
        if undo.result().is_none() {
            self.queue.push_back(Place::Cancel(at));
        }
        true
    }

    /// Whether a task was cancelled with the request; else why it could not be, if it should have been.
    pub(super) fn cancelled(&self, at: usize) -> (bool, Option<String>) {
        match self.undos.get(&at).map(Undo::result) {
            None | Some(Some(Undone::Nothing)) => (false, None),
            Some(Some(Undone::Cancelled)) => (true, None),
            Some(Some(Undone::Failed(why))) => (false, Some(why.clone())),
            Some(None) => (false, Some("nobody was asked to".to_owned())),
        }
    }
}
