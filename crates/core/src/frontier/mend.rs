//! Helping one task that others answer for: left half made, or lost.
//!
//! The queue inserts a task and then tracks its dependencies. A crash between leaves it `unscheduled` for good, though
//! nobody can see that from outside. Putting back exactly what the queue returns makes it track them, and changes
//! nothing if it did already; it refuses definitions older than 15 minutes, and then scheduleTask is left, for which
//! all dependencies must be done.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::node::Limits;
use super::outcome::Mended;
use super::step::{Answer, Call};
use crate::ids::TaskId;
use crate::plan::{StatusFact, dependencies};
use crate::state::TaskState;
use crate::time;

/// How old a definition may be for the queue to take it (again), with a minute to spare.
const TAKEN_FOR: SignedDuration = SignedDuration::from_mins(14);

/// A task that others answer for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relied<'a> {
    pub(super) label: &'a str,
    /// It is what this plan would have made, so it may be put back.
    pub(super) ours: bool,
}

/// A task that may need help.
#[derive(Debug, Clone)]
pub(crate) struct Mend {
    pub(crate) task_id: TaskId,
    pub(crate) label: String,
    /// It is what this plan would have made, so it may be put back without more ado.
    ours: bool,
    tries: u32,
    /// For one that is lost while unscheduled: what it waits for that will not come by itself.
    behind: Vec<TaskId>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Read it.
    Read,
    /// Read what it depends on.
    Weigh {
        definition: Value,
        state: TaskState,
    },
    PutBack {
        definition: Value,
    },
    Schedule,
    Rerun,
    /// It needs no help after all.
    Well,
    Done(Mended),
}

impl Mend {
    /// A task that was adopted `unscheduled`, with the definition just read.
    pub(super) fn adopted(task_id: TaskId, label: String, definition: Value) -> Self {
        Self { task_id, label, ours: true, tries: 0, behind: Vec::new(), state: State::PutBack { definition } }
    }

    /// What the last look at a task that the plan relies on calls for.
    pub(super) fn after_check(task_id: TaskId, relied: Relied<'_>, status: Option<&StatusFact>) -> Option<Self> {
        let state = match status.map(|status| status.state) {
            Some(TaskState::Pending | TaskState::Running | TaskState::Completed) => return None,
            Some(TaskState::Unscheduled | TaskState::Failed | TaskState::Exception) => State::Read,
            None => lost("the queue no longer has it"),
        };
        let (label, ours) = (relied.label.to_owned(), relied.ours);
        Some(Self { task_id, label, ours, tries: 0, behind: Vec::new(), state })
    }

    /// What came of it, once it is known. `Some(None)` is a task that is well.
    pub(crate) fn result(&self) -> Option<Option<&Mended>> {
        match &self.state {
            State::Done(mended) => Some(Some(mended)),
            State::Well => Some(None),
            State::Read | State::Weigh { .. } | State::PutBack { .. } | State::Schedule | State::Rerun => None,
        }
    }

    /// Whether it would be well if these tasks were: it only waits.
    pub(super) fn only_waits_for(&self, helped: &BTreeSet<TaskId>) -> bool {
        !self.behind.is_empty() && self.behind.iter().all(|id| helped.contains(id))
    }

    /// What to ask.
    pub(super) fn call(&self) -> Option<Call> {
        let task_id = self.task_id;
        match &self.state {
            State::Read => Some(Call::ReadTask { task_id }),
            State::Weigh { definition, .. } => Some(Call::ReadStatuses { task_ids: waits_for(definition) }),
            State::PutBack { definition } => Some(Call::PutBack { task_id, definition: definition.clone() }),
            State::Schedule => Some(Call::Schedule { task_id }),
            State::Rerun => Some(Call::Rerun { task_id }),
            State::Well | State::Done(_) => None,
        }
    }

    /// Takes in an answer; `false` if it is no answer to what was asked.
    pub(super) fn answered(&mut self, answer: &Answer, limits: Limits, now: Timestamp) -> bool {
        self.tries += 1;
        if let Answer::Transient { message } = answer {
            if self.tries >= limits.reads.max(limits.sends) {
                self.state = lost(message);
            }
            return true;
        }
        let next = match &self.state {
            State::Read => self.read(answer, now),
            State::Weigh { definition, state } => {
                if let (TaskState::Unscheduled, Answer::Statuses { found }) = (state, answer) {
                    self.behind = unsatisfied(definition, found);
                    self.behind.retain(|id| !may_come(found.get(id)));
                }
                weighed(definition, *state, answer, now)
            }
            State::PutBack { definition } => put_back(definition, answer),
            State::Schedule => acted(answer, Mended::Scheduled),
            State::Rerun => acted(answer, Mended::Rerun),
            State::Well | State::Done(_) => None,
        };
        let taken = next.is_some();
        if let Some(next) = next {
            self.tries = 0;
            self.state = next;
        }
        taken
    }

    fn read(&self, answer: &Answer, now: Timestamp) -> Option<State> {
        match answer {
            Answer::Task { definition, status } => Some(match status.state {
                TaskState::Pending | TaskState::Running | TaskState::Completed => State::Well,
                TaskState::Unscheduled if self.ours && is_young(definition, now) => {
                    State::PutBack { definition: definition.clone() }
                }
                state @ (TaskState::Unscheduled | TaskState::Failed | TaskState::Exception) => {
                    if waits_for(definition).is_empty() {
                        act(definition, state, now)
                    } else {
                        State::Weigh { definition: definition.clone(), state }
                    }
                }
            }),
            Answer::Absent => Some(lost("the queue no longer has it")),
            Answer::Rejected { message, .. } => Some(lost(message)),
            Answer::Status { .. }
            | Answer::Group { .. }
            | Answer::Statuses { .. }
            | Answer::Conflict { .. }
            | Answer::Transient { .. } => None,
        }
    }
}

fn lost(problem: &str) -> State {
    State::Done(Mended::Lost { problem: problem.to_owned() })
}

fn is_young(definition: &Value, now: Timestamp) -> bool {
    let created = definition.get("created").and_then(Value::as_str).and_then(|text| time::parse(text).ok());
    created.is_some_and(|created| now.duration_since(created) < TAKEN_FOR)
}

fn waits_for(definition: &Value) -> Vec<TaskId> {
    let ids: BTreeSet<TaskId> = dependencies(definition).iter().filter_map(|id| id.parse().ok()).collect();
    ids.into_iter().collect()
}

/// What helps a task all of whose dependencies are done.
fn act(definition: &Value, state: TaskState, now: Timestamp) -> State {
    match state {
        TaskState::Unscheduled if is_young(definition, now) => State::PutBack { definition: definition.clone() },
        TaskState::Unscheduled => State::Schedule,
        TaskState::Failed | TaskState::Exception => State::Rerun,
        TaskState::Pending | TaskState::Running | TaskState::Completed => State::Well,
    }
}

fn weighed(definition: &Value, state: TaskState, answer: &Answer, now: Timestamp) -> Option<State> {
    match answer {
        Answer::Statuses { found } => Some(match unsatisfied(definition, found).first().copied() {
            None => act(definition, state, now),
            Some(id) if state == TaskState::Unscheduled && may_come(found.get(&id)) => State::Done(Mended::Waits),
            Some(id) => lost(&format!("{}, and {id} that it depends on is not completed", state.as_str())),
        }),
        Answer::Rejected { message, .. } => Some(lost(message)),
        Answer::Status { .. }
        | Answer::Task { .. }
        | Answer::Group { .. }
        | Answer::Absent
        | Answer::Conflict { .. }
        | Answer::Transient { .. } => None,
    }
}

/// Whether a task that isn't done may be one day.
fn may_come(status: Option<&StatusFact>) -> bool {
    status.is_some_and(|status| !status.state.is_resolved())
}

/// The dependencies that aren't done: those that never will be come first.
fn unsatisfied(definition: &Value, found: &BTreeMap<TaskId, StatusFact>) -> Vec<TaskId> {
    let resolved = definition.get("requires").and_then(Value::as_str) == Some("all-resolved");
    let satisfied = |id: &TaskId| {
        found
            .get(id)
            .is_some_and(|status| status.state == TaskState::Completed || (resolved && status.state.is_resolved()))
    };
    let mut open: Vec<TaskId> = waits_for(definition).into_iter().filter(|id| !satisfied(id)).collect();
    open.sort_by_key(|id| may_come(found.get(id)));
    open
}

fn put_back(definition: &Value, answer: &Answer) -> Option<State> {
    match answer {
        Answer::Status { .. } => Some(State::Done(Mended::PutBack)),
        // Too old to be put back, or changed since it was read (by its priority, say): see whether it can be scheduled.
        Answer::Rejected { .. } | Answer::Conflict { .. } => Some(if waits_for(definition).is_empty() {
            State::Schedule
        } else {
            State::Weigh { definition: aged(definition), state: TaskState::Unscheduled }
        }),
        Answer::Task { .. }
        | Answer::Group { .. }
        | Answer::Statuses { .. }
        | Answer::Absent
        | Answer::Transient { .. } => None,
    }
}

/// The definition without its creation time, so that it is not put back a second time.
fn aged(definition: &Value) -> Value {
    let mut definition = definition.clone();
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("created");
    }
    definition
}

fn acted(answer: &Answer, done: Mended) -> Option<State> {
    match answer {
        Answer::Status { .. } => Some(State::Done(done)),
        Answer::Conflict { message } | Answer::Rejected { message, .. } => Some(lost(message)),
        Answer::Absent => Some(lost("the queue no longer has it")),
        Answer::Task { .. } | Answer::Group { .. } | Answer::Statuses { .. } | Answer::Transient { .. } => None,
    }
}
