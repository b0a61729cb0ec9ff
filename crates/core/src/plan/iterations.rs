//! What is made several times, told apart as the reference does: by its `create_tasks` calls.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::artifacts::{listed, stand_ins};
use super::model::Plan;
use super::request::{Numbered, Policy, Purpose};
use super::task::{Dependency, Role, Target};
use crate::ids::TaskId;

/// The most tasks that one plan's numbered artifacts name together: what all times need is named by each. Past it there
/// are only the combined ones.
const MAX_NAMED: usize = 20_000;

/// One time of one round.
pub(super) struct Iteration {
    /// Of its artifacts' names.
    pub(super) suffix: String,
    /// Its round.
    pub(super) round: usize,
    /// The places of the tasks that it names.
    pub(super) tasks: Vec<usize>,
    /// The earlier tasks that stand for labels there.
    pub(super) stand_ins: BTreeMap<String, TaskId>,
}

/// All of them; none where nothing is made more than once.
pub(super) fn iterations(plan: &Plan) -> Vec<Iteration> {
    let Purpose::Add { rounds, numbered } = &plan.request.purpose else { return Vec::new() };
    let count = rounds.iter().fold(0, |sum: usize, round| sum.saturating_add(round.times as usize));
    if count < 2 || (plan.policy == Policy::Graft && count > MAX_NAMED) {
        return Vec::new();
    }
    let times = rounds.iter().enumerate().flat_map(|(round, asked)| (0..asked.times).map(move |time| (round, time)));
    let suffix = |number: u32, round: usize, time: u32| match numbered {
        Numbered::Times => format!("-{number}"),
        Numbered::RoundsAndTimes => format!("-{round}-{time}"),
    };
    let mut walk = Walk::of(plan);
    let mut found = Vec::with_capacity(count);
    for (number, (round, time)) in (0..).zip(times) {
        let (tasks, stand_ins) = match plan.policy {
            Policy::Reference => (listed(plan, Some(number)), stand_ins(plan, round)),
            Policy::Graft => {
                let tasks = walk.next(&rounds[round].labels);
                let stand_ins = walk.relied_on(&tasks);
                (tasks, stand_ins)
            }
        };
        if walk.named > MAX_NAMED {
            return Vec::new();
        }
        found.push(Iteration { suffix: suffix(number, round, time), round, tasks, stand_ins });
    }
    found
}

/// Goes through the times of a plan under taskgraft's own rules, whose tasks don't say which time they belong to.
struct Walk<'a> {
    plan: &'a Plan,
    /// The places of each label's copies that no time has yet.
    copies: HashMap<&'a str, VecDeque<usize>>,
    /// How many of them each time makes: more than one where a task has duplicates.
    at_once: HashMap<&'a str, usize>,
    /// The index tasks of each place.
    index_tasks: HashMap<usize, Vec<usize>>,
    /// How much was named so far, with one for the iteration itself.
    named: usize,
}

impl<'a> Walk<'a> {
    fn of(plan: &'a Plan) -> Self {
        let (mut copies, mut index_tasks) = (HashMap::<_, VecDeque<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (at, task) in plan.tasks.iter().enumerate() {
            match task.role {
                Role::Copy { .. } => copies.entry(task.label.as_str()).or_default().push_back(at),
                Role::Index { parent } => index_tasks.entry(parent).or_default().push(at),
                Role::Needed { .. } | Role::Bridge | Role::Clone { .. } | Role::Reference { .. } => {}
            }
        }
        let mut times: HashMap<&str, usize> = HashMap::new();
        for round in plan.request.rounds() {
            for label in &round.labels {
                *times.entry(label).or_default() += round.times as usize;
            }
        }
        let each = |(label, copies): (&&'a str, &VecDeque<usize>)| {
            (*label, copies.len() / times.get(label).copied().unwrap_or(1).max(1))
        };
        let at_once = copies.iter().map(each).collect();
        Self { plan, copies, at_once, index_tasks, named: 0 }
    }

    /// The next copies of `labels`, with what is made for them. Another time's copies are that one's, though these may
    /// depend on them.
    fn next(&mut self, labels: &[String]) -> Vec<usize> {
        let mut open = Vec::new();
        for label in labels {
            if let (Some(copies), Some(count)) = (self.copies.get_mut(label.as_str()), self.at_once.get(label.as_str()))
            {
                open.extend(copies.drain(..(*count).min(copies.len())));
            }
        }
        let mut tasks = BTreeSet::new();
        while let Some(at) = open.pop() {
            if tasks.insert(at) {
                let is_shared = |at: &usize| !matches!(self.plan.tasks[*at].role, Role::Copy { .. });
                open.extend(self.plan.tasks[at].new_dependencies().filter(is_shared));
                open.extend(self.index_tasks.get(&at).into_iter().flatten());
            }
        }
        self.named = self.named.saturating_add(tasks.len() + 1);
        tasks.into_iter().collect()
    }

    /// The earlier tasks that these depend on, by the labels that they stand for.
    fn relied_on(&self, tasks: &[usize]) -> BTreeMap<String, TaskId> {
        let dependencies = tasks.iter().flat_map(|at| &self.plan.tasks[*at].dependencies);
        let existing = |dependency: &Dependency| match dependency.on {
            Target::Existing(id) => Some(id),
            Target::New(_) => None,
        };
        let ids: HashSet<TaskId> = dependencies.filter_map(existing).collect();
        let mut stand_ins = stand_ins(self.plan, 0);
        stand_ins.retain(|_, id| ids.contains(id));
        stand_ins
    }
}
