//! What comes after creation: the last look at what is reused, and repairs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::machine::Frontier;
use super::mend::{Mend, Relied};
use super::node::State;
use super::outcome::Outcome;
use super::step::{Answer, Place};
use crate::ids::TaskId;
use crate::plan::{Origin, Policy, StatusFact, Target, Verdict, Warning};
use crate::state::TaskState;

impl Frontier {
    /// Tasks that the created ones depend on and that others answer for.
    pub(super) fn to_check(&self) -> BTreeMap<TaskId, Relied<'_>> {
        let reused = self.plan.verdicts.iter().filter_map(|entry| match &entry.verdict {
            Verdict::Reuse(reuse) => {
                let ours = matches!(reuse.from, Origin::Promised { .. });
                Some((reuse.task_id, Relied { label: &entry.label, ours }))
            }
            Verdict::New { .. } | Verdict::Removed { .. } | Verdict::Refused { .. } => None,
        });
        let reused: BTreeMap<TaskId, Relied<'_>> = reused.collect();
        let mut ids = BTreeMap::new();
        for (task, node) in self.plan.tasks.iter().zip(&self.nodes) {
            let State::Settled(outcome) = &node.state else { continue };
            if !outcome.exists() {
                continue;
            }
            if !task.role.is_own() && matches!(outcome, Outcome::Adopted { .. }) {
                ids.insert(node.task_id, Relied { label: &task.label, ours: true });
            }
            for dependency in &task.dependencies {
                if let Target::Existing(id) = dependency.on {
                    let unnamed = Relied { label: &dependency.name, ours: false };
                    ids.insert(id, reused.get(&id).copied().unwrap_or(unnamed));
                }
            }
        }
        ids
    }

    pub(super) fn checked(&mut self, answer: &Answer) -> bool {
        match answer {
            Answer::Statuses { found } => self.mend_lost(found),
            Answer::Transient { .. } if self.checks < self.limits.reads => self.queue.push_back(Place::Check),
            Answer::Transient { .. } => {
                self.unchecked = true;
                self.warnings.push(Warning::NotChecked);
            }
            Answer::Rejected { .. } => self.warnings.push(Warning::NotChecked),
            Answer::Status { .. }
            | Answer::Task { .. }
            | Answer::Group { .. }
            | Answer::Absent
            | Answer::Conflict { .. } => return false,
        }
        true
    }

    fn mend_lost(&mut self, found: &BTreeMap<TaskId, StatusFact>) {
        // What was put back and waits is helped already; what failed or vanished since is not.
        let waits = |id: &TaskId| found.get(id).is_some_and(|status| status.state == TaskState::Unscheduled);
        let helped: BTreeSet<TaskId> = self.mends.iter().map(|mend| mend.task_id).filter(waits).collect();
        let relied = self.to_check().into_iter().filter(|(task_id, _)| !helped.contains(task_id));
        let mends: Vec<Mend> =
            relied.filter_map(|(task_id, relied)| Mend::after_check(task_id, relied, found.get(&task_id))).collect();
        mends.into_iter().for_each(|mend| self.add_mend(mend));
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
