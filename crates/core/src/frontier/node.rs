//! One task on its way into the queue: a total, pure function from its state and an answer to what happens next.
//!
//! ```text
//!  waiting ─► ready ─► sending ─┬─ 200 ─────────────────────────► created
//!               ▲               └─ 409 ─► reading ─┬─ ours ─────► adopted
//!               ├── next k ◄───────────────────────┼─ foreign, or not usable
//!               │                                  ├─ ours, waiting for tasks unknown here ─► weighing ─► adopted or next k
//!               └── again, if neither ◄─ group ◄───┴─ absent      (group: sealed or another schedulerId ─► refused)
//! ```

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::outcome::{Outcome, Refused};
use super::step::Answer;
use crate::ids::TaskId;
use crate::plan::StatusFact;
use crate::state::TaskState;

/// Once `created` is this old, new timestamps are needed: the queue refuses what is 15 minutes old.
pub(super) const FRESH_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How often a 409 may lead nowhere (no such task, and nothing wrong with the group) before it is believed.
const QUESTIONS: u32 = 3;

/// How patient the frontier is beyond the retries inside each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How often a definition is sent, each time with the client's own retries, before it is given up.
    pub sends: u32,
    /// How often a task, group or status is read, likewise.
    pub reads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sends: 1, reads: 1 }
    }
}

/// Where a task is on its way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Something it depends on is not settled.
    Waiting,
    /// To be sent, or being sent.
    Sending,
    /// To be read, or being read: something has its id.
    Reading,
    /// What it waits for is to be read, or being read.
    Weighing(Vec<TaskId>),
    /// Its 409 is explained by no task; the group is asked.
    AskingGroup,
    /// Done with.
    Settled(Outcome),
}

/// A task on its way.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) task_id: TaskId,
    pub(super) k: u8,
    pub(super) state: State,
    /// When the bytes now in use were stamped.
    pub(super) stamped: Option<Timestamp>,
    /// How often those bytes were sent in vain.
    pub(super) sends: u32,
    pub(super) reads: u32,
    pub(super) questions: u32,
    /// A survey found something with its id.
    pub(super) exists: bool,
    /// A create was sent under its present id.
    pub(super) ever_sent: bool,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    /// Send it (again); with new timestamps if `restamp`.
    Send { restamp: bool },
    /// Read what has its id.
    Read,
    /// Read the state of these, which the task found waits for.
    Weigh(Vec<TaskId>),
    /// Ask what is wrong with the group.
    AskGroup,
    /// Its id is taken: on to the next.
    NextId { foreign: bool },
    /// Done with.
    Settle(Outcome),
}

/// How a task that was read compares with the one to create.
pub(super) struct Found<'a> {
    pub(super) ours: bool,
    /// Whether it is this request's own, rather than shared.
    pub(super) own: bool,
    pub(super) status: &'a StatusFact,
    /// Until when the tasks that depend on it need it.
    pub(super) needed_until: Option<Timestamp>,
    /// What it waits for and this plan's task would not; of the request's own only the action task that made it.
    pub(super) waits_for: Vec<TaskId>,
}

impl Node {
    pub(super) fn new(task_id: TaskId, k: u8) -> Self {
        Self {
            task_id,
            k,
            state: State::Waiting,
            stamped: None,
            sends: 0,
            reads: 0,
            questions: 0,
            exists: false,
            ever_sent: false,
        }
    }

    /// Whether something with its id exists, as far as is known, or may exist.
    pub(super) fn may_exist(&self) -> bool {
        self.exists || self.ever_sent || matches!(&self.state, State::Settled(outcome) if outcome.exists())
    }

    /// What has its id is not this request's, and so not this request's to cancel.
    pub(super) fn belongs_to_another(&mut self) {
        (self.exists, self.ever_sent) = (false, false);
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.stamped.is_some_and(|at| now.duration_since(at) >= FRESH_FOR)
    }

    /// What an answer to createTask leads to; `None` if it is no answer to that. `own` is whether the task is this
    /// request's own, rather than shared.
    pub(super) fn sent(&self, answer: &Answer, own: bool, limits: Limits, now: Timestamp) -> Option<Move> {
        let stale = self.is_stale(now);
        match answer {
            // The very same bytes were sent before, and what came of them is of no use.
            Answer::Status { state: TaskState::Failed | TaskState::Exception } if !own => {
                Some(Move::NextId { foreign: false })
            }
            Answer::Status { state } => Some(Move::Settle(Outcome::Created { state: *state })),
            Answer::Conflict { .. } => Some(Move::Read),
            Answer::Transient { .. } if self.sends < limits.sends => Some(Move::Send { restamp: stale }),
            Answer::Transient { message } => Some(Move::Settle(Outcome::Missing { message: message.clone() })),
            // Whatever was wrong, it may have been the age.
            Answer::Rejected { .. } if stale => Some(Move::Send { restamp: true }),
            Answer::Rejected { status, code, message } => Some(rejected(*status, code, message)),
            Answer::Task { .. } | Answer::Group { .. } | Answer::Statuses { .. } | Answer::Absent => None,
        }
    }

    /// What a task found under its id leads to.
    pub(super) fn found(found: Found<'_>) -> Move {
        if !found.ours {
            return Move::NextId { foreign: true };
        }
        let state = found.status.state;
        if found.own {
            let waits = state == TaskState::Unscheduled && !found.waits_for.is_empty();
            return if waits { Move::Weigh(found.waits_for) } else { Move::Settle(Outcome::Adopted { state }) };
        }
        let outlives = found.needed_until.is_none_or(|until| found.status.expires.0 >= until);
        match state {
            TaskState::Failed | TaskState::Exception => Move::NextId { foreign: false },
            _ if !outlives => Move::NextId { foreign: false },
            TaskState::Unscheduled if !found.waits_for.is_empty() => Move::Weigh(found.waits_for),
            TaskState::Unscheduled | TaskState::Pending | TaskState::Running | TaskState::Completed => {
                Move::Settle(Outcome::Adopted { state })
            }
        }
    }

    /// What any other answer to reading it leads to; `None` if it is no answer to that.
    pub(super) fn unread(&self, answer: &Answer, limits: Limits) -> Option<Move> {
        match answer {
            Answer::Absent => Some(Move::AskGroup),
            Answer::Transient { .. } if self.reads < limits.reads => Some(Move::Read),
            Answer::Transient { message } => Some(Move::Settle(Outcome::Missing { message: message.clone() })),
            Answer::Rejected { status, code, message } => Some(rejected(*status, code, message)),
            Answer::Status { .. }
            | Answer::Task { .. }
            | Answer::Group { .. }
            | Answer::Statuses { .. }
            | Answer::Conflict { .. } => None,
        }
    }

    /// What the states of the tasks that it waits for lead to; `None` if it is no answer to that.
    pub(super) fn weighed(&self, waits_for: &[TaskId], answer: &Answer, limits: Limits) -> Option<Move> {
        match answer {
            Answer::Statuses { found } if all_going(waits_for, found) => {
                Some(Move::Settle(Outcome::Adopted { state: TaskState::Unscheduled }))
            }
            Answer::Statuses { .. } => Some(Move::NextId { foreign: false }),
            Answer::Transient { .. } if self.reads < limits.reads => Some(Move::Weigh(waits_for.to_vec())),
            Answer::Transient { message } => Some(Move::Settle(Outcome::Missing { message: message.clone() })),
            Answer::Rejected { status, code, message } => Some(rejected(*status, code, message)),
            Answer::Status { .. }
            | Answer::Task { .. }
            | Answer::Group { .. }
            | Answer::Absent
            | Answer::Conflict { .. } => None,
        }
    }

    /// What to do once the group turned out to be in order.
    pub(super) fn group_is_fine(&self, now: Timestamp) -> Move {
        if self.questions < QUESTIONS {
            Move::Send { restamp: self.is_stale(now) }
        } else {
            Move::Settle(Outcome::Refused { why: Refused::Conflict })
        }
    }
}

fn rejected(status: u16, code: &str, message: &str) -> Move {
    Move::Settle(Outcome::Rejected { status, code: code.to_owned(), message: message.to_owned() })
}

/// Whether all of these will be there one day, as far as their states tell. One that is itself unscheduled was passed
/// over by this plan, and is not trusted.
fn all_going(waits_for: &[TaskId], found: &BTreeMap<TaskId, StatusFact>) -> bool {
    waits_for.iter().all(|id| match found.get(id).map(|status| status.state) {
        Some(TaskState::Completed | TaskState::Pending | TaskState::Running) => true,
        Some(TaskState::Unscheduled | TaskState::Failed | TaskState::Exception) | None => false,
    })
}
