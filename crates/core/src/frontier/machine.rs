//! The frontier itself: takes answers, says what to ask next.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::mend::Mend;
use super::node::{Found, Limits, Move, Node, State};
use super::outcome::{Outcome, Refused};
use super::step::{Answer, Call, Halt, Place, Step};
use crate::definition::DefinitionError;
use crate::ids::TaskId;
use crate::ids::derive::{self, MAX_K};
use crate::plan::{Plan, Policy, Role, StatusFact, Warning, deadline, definition, dependencies, same_task, stamped};
use crate::state::TaskState;

/// What may be created now. Made from a [`Plan`]; asks for calls with [`Frontier::next`], takes what they came to with
/// [`Frontier::answer`], and is [done](Frontier::is_done) in the end, whatever the answers.
///
/// It holds no clock and keeps nothing that the plan and the queue don't hold: one that is dropped half way is
/// continued by [`Frontier::resume`] on the same plan.
#[derive(Debug, Clone)]
#[must_use = "a frontier that isn't driven creates nothing"]
pub struct Frontier {
    pub(super) plan: Plan,
    pub(super) limits: Limits,
    group: TaskId,
    pub(super) nodes: Vec<Node>,
    /// Per task, how many of its dependencies are not settled.
    missing: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// What to ask next, oldest first.
    pub(super) queue: VecDeque<Place>,
    /// What was asked and not answered.
    open: BTreeSet<Place>,
    unsettled: usize,
    phase: Phase,
    pub(super) checks: u32,
    /// The queue stopped answering before the last look.
    pub(super) unchecked: bool,
    pub(super) halt: Option<Halt>,
    pub(super) mends: Vec<Mend>,
    pub(super) warnings: Vec<Warning>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Looking at what exists.
    Survey,
    Creating,
    /// Reading once more what is reused.
    Checking,
    Cancelling,
    Done,
}

/// Why a plan can't be carried out at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncreatable {
    /// It was made without a decision task.
    #[error("the plan names no task group: it was made without a decision task")]
    NoGroup,
    /// It was made without a schedulerId.
    #[error("the plan names no schedulerId")]
    NoScheduler,
    /// It only shows what optimising leaves.
    #[error("the plan optimises a graph and creates nothing")]
    Optimization,
}

/// An answer to something that was not asked, or of another kind than what was asked. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place:?} was not asked for that")]
pub struct OutOfTurn {
    /// What the answer was for.
    pub place: Place,
}

impl Frontier {
    /// Creates what `plan` says, expecting that nothing of it exists yet (though it copes if something does).
    ///
    /// # Errors
    /// A plan without a group or schedulerId, or one that is not for creating.
    pub fn new(plan: Plan, limits: Limits) -> Result<Self, Uncreatable> {
        let mut frontier = Self::prepare(plan, limits)?;
        frontier.begin();
        Ok(frontier)
    }

    /// Finishes what an earlier frontier over the same plan may have begun: asks first what exists.
    ///
    /// # Errors
    /// As [`Frontier::new`].
    pub fn resume(plan: Plan, limits: Limits) -> Result<Self, Uncreatable> {
        let mut frontier = Self::prepare(plan, limits)?;
        frontier.queue.push_back(Place::Survey);
        Ok(frontier)
    }

    fn prepare(plan: Plan, limits: Limits) -> Result<Self, Uncreatable> {
        let group = plan.request.group.ok_or(Uncreatable::NoGroup)?;
        if plan.scheduler_id.is_none() {
            return Err(Uncreatable::NoScheduler);
        }
        if plan.request.is_optimization() {
            return Err(Uncreatable::Optimization);
        }
        let ids: Option<Vec<TaskId>> = plan.tasks.iter().map(|task| task.task_id).collect();
        let nodes = ids.ok_or(Uncreatable::NoGroup)?.into_iter().zip(&plan.tasks);
        let nodes: Vec<Node> = nodes.map(|(id, task)| Node::new(id, task.k)).collect();
        let mut dependents = vec![Vec::new(); nodes.len()];
        let mut missing = vec![0; nodes.len()];
        for (at, task) in plan.tasks.iter().enumerate() {
            let on: BTreeSet<usize> = task.new_dependencies().collect();
            missing[at] = on.len();
            on.into_iter().for_each(|on| dependents[on].push(at));
        }
        Ok(Self {
            limits,
            group,
            unsettled: nodes.len(),
            nodes,
            missing,
            dependents,
            queue: VecDeque::new(),
            open: BTreeSet::new(),
            phase: Phase::Survey,
            checks: 0,
            unchecked: false,
            halt: None,
            mends: Vec::new(),
            warnings: Vec::new(),
            plan,
        })
    }

    /// The plan being carried out.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The group that it creates tasks in.
    #[must_use]
    pub fn group(&self) -> TaskId {
        self.group
    }

    /// Whether nothing is left to ask or to wait for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.open.is_empty()
    }

    /// The present id of a task of the plan: the planned one unless that was passed over.
    #[must_use]
    pub fn task_id(&self, at: usize) -> Option<TaskId> {
        self.nodes.get(at).map(|node| node.task_id)
    }

    /// At most `room` calls that may be made now, all at the same time. Definitions are stamped with `now`: make the
    /// calls without delay. Empty while answers are awaited, or when all is done.
    pub fn next(&mut self, now: Timestamp, room: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            while steps.len() < room
                && let Some(place) = self.queue.pop_front()
            {
                if let Some(call) = self.call(place, now) {
                    self.open.insert(place);
                    steps.push(Step { place, call });
                }
            }
            let waiting = !steps.is_empty() || !self.open.is_empty() || !self.queue.is_empty();
            if waiting || !self.advance() {
                return steps;
            }
        }
    }

    /// Takes in what a call came to.
    ///
    /// # Errors
    /// An answer that nothing asked for; then nothing changes.
    pub fn answer(&mut self, place: Place, answer: &Answer, now: Timestamp) -> Result<(), OutOfTurn> {
        let taken = self.open.contains(&place)
            && match place {
                Place::Survey => self.surveyed(answer),
                Place::Task(at) => self.task_answered(at, answer, now),
                Place::Group => self.group_answered(answer, now),
                Place::Check => self.checked(answer),
                Place::Mend(at) => self.mended(at, answer, now),
                Place::Cancel(_) => true,
            };
        if !taken {
            return Err(OutOfTurn { place });
        }
        self.open.remove(&place);
        Ok(())
    }

    /// Creates nothing more. What is on its way is awaited; after [`Halt::Cancelled`] the request's own tasks are
    /// cancelled then.
    pub fn halt(&mut self, halt: Halt) {
        if self.halt.is_some() || self.is_done() {
            return;
        }
        self.halt = Some(halt);
        self.queue.clear();
        if self.phase == Phase::Survey && self.open.is_empty() {
            self.phase = Phase::Creating;
            self.all_may_exist();
        }
        for at in 0..self.nodes.len() {
            let settled = matches!(self.nodes[at].state, State::Settled(_));
            let asked = self.open.contains(&Place::Task(at))
                || (self.nodes[at].state == State::AskingGroup && self.open.contains(&Place::Group));
            if !settled && !asked {
                self.put(at, Outcome::Stopped);
            }
        }
    }

    fn begin(&mut self) {
        self.phase = Phase::Creating;
        for at in 0..self.nodes.len() {
            if self.missing[at] == 0 && self.nodes[at].state == State::Waiting {
                self.ready(at);
            }
        }
    }

    /// The next phase, once nothing is to be asked or awaited in this one. `false` if there is none.
    fn advance(&mut self) -> bool {
        let next = match self.phase {
            Phase::Done => return false,
            Phase::Survey => {
                self.begin();
                return true;
            }
            _ if self.halt == Some(Halt::Cancelled) && self.phase != Phase::Cancelling => Phase::Cancelling,
            Phase::Creating if self.halt.is_none() && self.plan.policy == Policy::Graft => Phase::Checking,
            Phase::Creating | Phase::Checking | Phase::Cancelling => Phase::Done,
        };
        self.phase = next;
        self.checks = 0;
        match next {
            Phase::Checking if !self.to_check().is_empty() => self.queue.push_back(Place::Check),
            Phase::Cancelling => self.queue.extend(self.to_cancel().into_iter().map(Place::Cancel)),
            Phase::Survey | Phase::Creating | Phase::Checking | Phase::Done => {}
        }
        true
    }

    /// The call for a place whose turn it is; `None` if it turned out that there is nothing to ask.
    fn call(&mut self, place: Place, now: Timestamp) -> Option<Call> {
        match place {
            Place::Survey => {
                let task_ids: BTreeSet<TaskId> = self.nodes.iter().map(|node| node.task_id).collect();
                self.checks += 1;
                Some(Call::ReadStatuses { task_ids: task_ids.into_iter().collect() })
            }
            Place::Task(at) => self.task_call(at, now),
            Place::Group => Some(Call::ReadGroup { group: self.group }),
            Place::Check => {
                self.checks += 1;
                Some(Call::ReadStatuses { task_ids: self.to_check().into_keys().collect() })
            }
            Place::Mend(at) => self.mends.get(at).and_then(Mend::call),
            Place::Cancel(at) => Some(Call::Cancel { task_id: self.nodes.get(at)?.task_id }),
        }
    }

    fn task_call(&mut self, at: usize, now: Timestamp) -> Option<Call> {
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

    fn definition(&self, at: usize) -> Result<Value, DefinitionError> {
        definition(&self.plan, at, |other| self.nodes[other].task_id)
    }

    fn surveyed(&mut self, answer: &Answer) -> bool {
        match answer {
            Answer::Statuses { found } => {
                for node in &mut self.nodes {
                    node.exists = found.contains_key(&node.task_id);
                }
            }
            Answer::Transient { .. } if self.checks < self.limits.reads => self.queue.push_back(Place::Survey),
            Answer::Transient { .. } | Answer::Rejected { .. } if self.halt.is_some() => self.all_may_exist(),
            // Without it each task is found out about when it is sent.
            Answer::Transient { .. } | Answer::Rejected { .. } => {}
            Answer::Status { .. }
            | Answer::Task { .. }
            | Answer::Group { .. }
            | Answer::Absent
            | Answer::Conflict { .. } => return false,
        }
        true
    }

    /// An earlier try may have made any of them, and nobody will look any more.
    fn all_may_exist(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.exists = true);
    }

    fn task_answered(&mut self, at: usize, answer: &Answer, now: Timestamp) -> bool {
        let Some(node) = self.nodes.get(at) else { return false };
        let next = match (&node.state, answer) {
            (State::Sending, answer) => node.sent(answer, self.plan.tasks[at].role.is_own(), self.limits, now),
            (State::Reading, Answer::Task { definition, status }) => Some(self.compare(at, definition, status, now)),
            (State::Reading, answer) => node.unread(answer, self.limits),
            (State::Weighing(waits_for), answer) => node.weighed(waits_for, answer, self.limits),
            (State::Waiting | State::AskingGroup | State::Settled(_), _) => None,
        };
        let Some(next) = next else { return false };
        if let (Move::Settle(Outcome::Adopted { state: TaskState::Unscheduled }), Answer::Task { definition, .. }) =
            (&next, answer)
        {
            self.mend_adopted(at, definition.clone());
        }
        self.apply(at, next);
        true
    }

    fn compare(&self, at: usize, theirs: &Value, status: &StatusFact, now: Timestamp) -> Move {
        let Ok(ours) = self.definition(at) else { return Move::NextId { foreign: true } };
        let known = dependencies(&ours);
        let decision = self.plan.request.decision.map(|id| id.to_string());
        let unknown =
            dependencies(theirs).into_iter().filter(|id| !known.contains(id) && Some(id) != decision.as_ref());
        Node::found(Found {
            ours: same_task(&ours, theirs),
            own: self.plan.tasks[at].role.is_own(),
            status,
            needed_until: self.dependents[at]
                .iter()
                .filter_map(|on| deadline(&self.plan.tasks[*on].template, now))
                .max(),
            waits_for: unknown.filter_map(|id| id.parse().ok()).collect(),
        })
    }

    fn group_answered(&mut self, answer: &Answer, now: Timestamp) -> bool {
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
    fn ready(&mut self, at: usize) {
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

    fn put(&mut self, at: usize, outcome: Outcome) {
        if !matches!(self.nodes[at].state, State::Settled(_)) {
            self.unsettled -= 1;
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
