//! The frontier itself: takes answers, says what to ask next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::cancel::Undo;
use super::mend::Mend;
use super::node::{Limits, Node, State};
use super::outcome::Outcome;
use super::step::{Answer, Call, Halt, Place, Step};
use crate::ids::TaskId;
use crate::plan::{Plan, Policy, Warning};

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
    pub(super) group: TaskId,
    pub(super) nodes: Vec<Node>,
    /// Per task, how many of its dependencies are not settled.
    pub(super) missing: Vec<usize>,
    pub(super) dependents: Vec<Vec<usize>>,
    /// What to ask next, oldest first.
    pub(super) queue: VecDeque<Place>,
    /// What was asked and not answered.
    pub(super) open: BTreeSet<Place>,
    phase: Phase,
    pub(super) checks: u32,
    /// The queue stopped answering before the last look.
    pub(super) unchecked: bool,
    pub(super) halt: Option<Halt>,
    pub(super) mends: Vec<Mend>,
    /// What goes with a cancelled request, by its place in the plan.
    pub(super) undos: BTreeMap<usize, Undo>,
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
            undos: BTreeMap::new(),
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
                Place::Cancel(at) => self.undone(at, answer),
            };
        if !taken {
            return Err(OutOfTurn { place });
        }
        self.open.remove(&place);
        Ok(())
    }

    /// Creates nothing more. What is on its way is awaited; if the halt [cancels](Halt::cancels), the request's own tasks
    /// are cancelled then.
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
            _ if self.halt.is_some_and(Halt::cancels) && self.phase != Phase::Cancelling => Phase::Cancelling,
            Phase::Creating if self.halt.is_none() && self.plan.policy == Policy::Graft => Phase::Checking,
            Phase::Creating | Phase::Checking | Phase::Cancelling => Phase::Done,
        };
        self.phase = next;
        self.checks = 0;
        match next {
            Phase::Checking if !self.to_check().is_empty() => self.queue.push_back(Place::Check),
            Phase::Cancelling => self.undo_all(),
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
            Place::Cancel(at) => self.undos.get_mut(&at)?.call(self.nodes.get(at)?.task_id),
        }
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
}
