//! What comes after creation: the last look at what is reused, repairs, and cancelling.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::machine::Frontier;
use super::mend::Mend;
use super::node::State;
use super::outcome::Outcome;
use super::step::{Answer, Place};
use crate::ids::TaskId;
use crate::plan::{Policy, StatusFact, Target, Verdict, Warning};

impl Frontier {
    /// Tasks that the created ones depend on and that others answer for, with their labels.
    pub(super) fn to_check(&self) -> BTreeMap<TaskId, String> {
        let reused = self.plan.verdicts.iter().filter_map(|entry| match &entry.verdict {
            Verdict::Reuse(reuse) => Some((reuse.task_id, entry.label.as_str())),
            Verdict::New { .. } | Verdict::Removed { .. } | Verdict::Refused { .. } => None,
        });
        let labels: BTreeMap<TaskId, &str> = reused.collect();
        let mut ids = BTreeMap::new();
        for (task, node) in self.plan.tasks.iter().zip(&self.nodes) {
            let State::Settled(outcome) = &node.state else { continue };
            if !outcome.exists() {
                continue;
            }
            if !task.role.is_own() && matches!(outcome, Outcome::Adopted { .. }) {
                ids.insert(node.task_id, task.label.clone());
            }
            for dependency in &task.dependencies {
                if let Target::Existing(id) = dependency.on {
                    ids.insert(id, (*labels.get(&id).unwrap_or(&dependency.name.as_str())).to_owned());
                }
            }
        }
        ids
    }

    /// The request's own tasks that exist, or may.
    pub(super) fn to_cancel(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|at| self.plan.tasks[*at].role.is_own() && self.nodes[*at].may_exist()).collect()
    }

    pub(super) fn checked(&mut self, answer: &Answer) -> bool {
        match answer {
            Answer::Statuses { found } => self.mend_lost(found),
            Answer::Transient { .. } if self.checks < self.limits.reads => self.queue.push_back(Place::Check),
            Answer::Transient { .. } | Answer::Rejected { .. } => self.warnings.push(Warning::NotChecked),
            Answer::Status { .. }
            | Answer::Task { .. }
            | Answer::Group { .. }
            | Answer::Absent
            | Answer::Conflict { .. } => return false,
        }
        true
    }

    fn mend_lost(&mut self, found: &BTreeMap<TaskId, StatusFact>) {
        for (task_id, label) in self.to_check() {
            if self.mends.iter().any(|mend| mend.task_id == task_id) {
                continue;
            }
            if let Some(mend) = Mend::after_check(task_id, label, found.get(&task_id)) {
                self.add_mend(mend);
            }
        }
    }

    pub(super) fn mend_adopted(&mut self, at: usize, definition: Value) {
        if self.plan.policy == Policy::Graft && self.halt.is_none() {
            let label = self.plan.tasks[at].label.clone();
            self.add_mend(Mend::adopted(self.nodes[at].task_id, label, definition));
        }
    }

    fn add_mend(&mut self, mend: Mend) {
        if mend.result().is_none() {
            self.queue.push_back(Place::Mend(self.mends.len()));
        }
        self.mends.push(mend);
    }

    pub(super) fn mended(&mut self, at: usize, answer: &Answer, now: Timestamp) -> bool {
        let halted = self.halt.is_some();
        let Some(mend) = self.mends.get_mut(at) else { return false };
        if !mend.answered(answer, self.limits, now) {
            return false;
        }
        if mend.result().is_none() && !halted {
            self.queue.push_back(Place::Mend(at));
        }
        true
    }
}
