//! A task's way through the frontier: what is asked for it, and what the answers lead to.

use jiff::Timestamp;
use serde_json::Value;

use super::machine::Frontier;
use super::node::{Found, Move, Node, State};
use super::outcome::{Outcome, Refused};
use super::step::{Answer, Call, Place};
use crate::definition::DefinitionError;
use crate::ids::derive::{self, MAX_K};
use crate::plan::{Role, StatusFact, Warning, deadline, definition, dependencies, same_task, stamped};
use crate::state::TaskState;

impl Frontier {
    pub(super) fn task_call(&mut self, at: usize, now: Timestamp) -> Option<Call> {
        let state = self.nodes.get(at)?.state.clone();
        match state {
            State::Sending => {
                let moment = self.nodes[at].stamped.unwrap_or(now);
                match self.definition(at).and_then(|open| stamped(&open, moment)) {
                    Ok(definition) => {
                        let node = &mut self.nodes[at];
                        node.stamped = Some(moment);
                        node.sends += 1;
                        node.ever_sent = true;
                        Some(Call::Create { task_id: node.task_id, definition })
                    }
                    Err(error) => {
                        let why = Refused::Definition { problem: error.to_string() };
                        self.settle(at, Outcome::Refused { why });
                        None
                    }
                }
            }
            State::Reading => {
                let node = &mut self.nodes[at];
                node.reads += 1;
                Some(Call::ReadTask { task_id: node.task_id })
            }
            State::Weighing(task_ids) => {
                self.nodes[at].reads += 1;
                Some(Call::ReadStatuses { task_ids })
            }
            State::Waiting | State::AskingGroup | State::Settled(_) => None,
        }
    }

    pub(super) fn definition(&self, at: usize) -> Result<Value, DefinitionError> {
        definition(&self.plan, at, |other| self.nodes[other].task_id)
    }

    pub(super) fn task_answered(&mut self, at: usize, answer: &Answer, now: Timestamp) -> bool {
        let Some(node) = self.nodes.get(at) else { return false };
        let next = match (&node.state, answer) {
            (State::Sending, answer) => node.sent(answer, self.plan.tasks[at].role.is_own(), self.limits, now),
            (State::Reading, Answer::Task { definition, status }) => Some(self.compare(at, definition, status, now)),
            (State::Reading, answer) => node.unread(answer, self.limits),
            (State::Weighing(waits_for), answer) => node.weighed(waits_for, answer, self.limits),
            (State::Waiting | State::AskingGroup | State::Settled(_), _) => None,
        };
        let Some(next) = next else { return false };
        let waiting = match next {
            Move::Settle(Outcome::Adopted { state }) => state == TaskState::Unscheduled,
            // Putting it back harms nothing if another is made in its place.
            Move::Weigh(_) => self.plan.tasks[at].role.is_own(),
            Move::Settle(_) | Move::Send { .. } | Move::Read | Move::AskGroup | Move::NextId { .. } => false,
        };
        if let (true, Answer::Task { definition, .. }) = (waiting, answer) {
            self.mend_adopted(at, definition.clone());
        }
        self.apply(at, next);
        true
    }

    fn compare(&self, at: usize, theirs: &Value, status: &StatusFact, now: Timestamp) -> Move {
        let Ok(ours) = self.definition(at) else { return Move::NextId { foreign: true } };
        let known = dependencies(&ours);
        let decision = self.plan.request.decision.map(|id| id.to_string());
        let own = self.plan.tasks[at].role.is_own();
        // One of the request's own waits for whichever action task made it, which may have failed since.
        let maker = theirs.pointer("/extra/parent").and_then(Value::as_str);
        let counts =
            |id: &String| !known.contains(id) && Some(id) != decision.as_ref() && (!own || Some(id.as_str()) == maker);
        let unknown = dependencies(theirs).into_iter().filter(counts);
        Node::found(Found {
            ours: same_task(&ours, theirs, &self.plan.urls()),
            own,
            status,
            needed_until: self.dependents[at]
                .iter()
                .filter_map(|on| deadline(&self.plan.tasks[*on].template, now))
                .max(),
            waits_for: unknown.filter_map(|id| id.parse().ok()).collect(),
        })
    }

    pub(super) fn group_answered(&mut self, answer: &Answer, now: Timestamp) -> bool {
        let refused = match answer {
            Answer::Group { sealed: Some(_), .. } => Some(Outcome::Refused { why: Refused::Sealed }),
            Answer::Group { scheduler_id, .. } => {
                let ours = self.plan.scheduler_id.clone().unwrap_or_default();
                let theirs = scheduler_id.clone();
                (ours != theirs).then_some(Outcome::Refused { why: Refused::OtherScheduler { theirs, ours } })
            }
            Answer::Transient { message } => Some(Outcome::Missing { message: message.clone() }),
            Answer::Rejected { status, code, message } => {
                Some(Outcome::Rejected { status: *status, code: code.clone(), message: message.clone() })
            }
            Answer::Absent => None,
            Answer::Status { .. } | Answer::Task { .. } | Answer::Statuses { .. } | Answer::Conflict { .. } => {
                return false;
            }
        };
        for at in 0..self.nodes.len() {
            if self.nodes[at].state == State::AskingGroup {
                self.nodes[at].questions += 1;
                let next = refused.clone().map_or_else(|| self.nodes[at].group_is_fine(now), Move::Settle);
                self.apply(at, next);
            }
        }
        true
    }

    fn apply(&mut self, at: usize, next: Move) {
        if self.halt.is_some() && !matches!(next, Move::Settle(_)) {
            if matches!(next, Move::NextId { foreign: true }) {
                self.nodes[at].belongs_to_another();
            }
            return self.settle(at, Outcome::Stopped);
        }
        let node = &mut self.nodes[at];
        match next {
            Move::Send { restamp } => {
                if restamp {
                    node.stamped = None;
                }
                node.state = State::Sending;
            }
            Move::Read => node.state = State::Reading,
            Move::Weigh(waits_for) => node.state = State::Weighing(waits_for),
            Move::AskGroup => {
                node.state = State::AskingGroup;
                if !self.open.contains(&Place::Group) && !self.queue.contains(&Place::Group) {
                    self.queue.push_back(Place::Group);
                }
                return;
            }
            Move::NextId { foreign } => return self.next_id(at, foreign),
            Move::Settle(outcome) => return self.settle(at, outcome),
        }
        self.queue.push_back(Place::Task(at));
    }

    fn next_id(&mut self, at: usize, foreign: bool) {
        let task = &self.plan.tasks[at];
        let (request, taken, k) = (&self.plan.request.id, self.nodes[at].task_id, self.nodes[at].k.saturating_add(1));
        if foreign {
            self.warnings.push(Warning::ForeignTask { label: task.label.clone(), task_id: taken });
        }
        let next = match &task.role {
            _ if k > MAX_K => Err(Refused::NoFreeId),
            Role::Copy { n } => Ok(derive::copy(request, &task.label, *n, k)),
            Role::Bridge => Ok(derive::copy(request, &task.label, 0, k)),
            Role::Clone { of } => Ok(derive::clone(request, *of, k)),
            Role::Needed { body } => Ok(derive::needed(self.group, &task.label, body, k)),
            Role::Index { .. } | Role::Reference { .. } => Err(Refused::IdTaken),
        };
        match next {
            Ok(task_id) => {
                self.nodes[at] = Node::new(task_id, k);
                self.ready(at);
            }
            Err(why) => {
                self.nodes[at].belongs_to_another();
                self.settle(at, Outcome::Refused { why });
            }
        }
    }

    /// All that `at` depends on is there.
    pub(super) fn ready(&mut self, at: usize) {
        if let Role::Index { parent } = self.plan.tasks[at].role {
            let task_id = derive::morph(self.nodes[parent].task_id, crate::plan::INDEX_PURPOSE);
            if task_id != self.nodes[at].task_id {
                self.nodes[at] = Node::new(task_id, 0);
            }
        }
        let node = &mut self.nodes[at];
        node.state = if node.exists { State::Reading } else { State::Sending };
        self.queue.push_back(Place::Task(at));
    }

    pub(super) fn put(&mut self, at: usize, outcome: Outcome) {
        if !matches!(self.nodes[at].state, State::Settled(_)) {
            self.nodes[at].state = State::Settled(outcome);
        }
    }

    fn settle(&mut self, at: usize, outcome: Outcome) {
        let exists = outcome.exists();
        let stopped = outcome == Outcome::Stopped;
        self.put(at, outcome);
        if exists {
            for on in self.dependents[at].clone() {
                self.missing[on] -= 1;
                if self.missing[on] == 0 && self.nodes[on].state == State::Waiting {
                    self.ready(on);
                }
            }
            return;
        }
        let by = self.plan.tasks[at].label.clone();
        let mut behind = self.dependents[at].clone();
        while let Some(on) = behind.pop() {
            if self.nodes[on].state == State::Waiting {
                behind.extend(&self.dependents[on]);
                self.put(on, if stopped { Outcome::Stopped } else { Outcome::Blocked { by: by.clone() } });
            }
        }
    }
}
