//! From a frontier to its report.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Frontier;
use super::mend::Mend;
use super::node::{Node, State};
use super::outcome::{Mended, Outcome};
use crate::ids::TaskId;
use crate::plan::{ArtifactsError, PlannedTask, artifacts_with};
use crate::report::{MendReport, RefusedReport, Report, TaskReport, Terminal};

impl Frontier {
    /// What became of everything so far. Tasks that are not settled yet count as stopped: ask when
    /// [done](Frontier::is_done), or when giving up.
    #[must_use]
    pub fn report(&self) -> Report {
        let tasks: Vec<TaskReport> = self
            .plan
            .tasks
            .iter()
            .zip(&self.nodes)
            .enumerate()
            .map(|(at, (task, node))| self.task_report(at, task, node))
            .collect();
        let mended = self.mend_reports();
        let refused: Vec<RefusedReport> = self
            .plan
            .refused()
            .map(|(label, why)| RefusedReport { label: label.to_owned(), why: why.clone() })
            .collect();
        Report {
            request: self.plan.request.id.clone(),
            group: self.group(),
            result: Terminal::of(self.halt, &tasks, &mended, !refused.is_empty()).if_looked(!self.unchecked),
            tasks,
            mended,
            refused,
            tended: Vec::new(),
            warnings: self.plan.warnings.iter().chain(&self.warnings).cloned().collect(),
        }
    }

    fn task_report(&self, at: usize, task: &PlannedTask, node: &Node) -> TaskReport {
        let (cancelled, uncancelled) = self.cancelled(at);
        TaskReport {
            label: task.label.clone(),
            role: task.role.clone(),
            task_id: node.task_id,
            outcome: match &node.state {
                State::Settled(outcome) => outcome.clone(),
                State::Waiting | State::Sending | State::Reading | State::Weighing(_) | State::AskingGroup => {
                    Outcome::Stopped
                }
            },
            cancelled,
            uncancelled,
        }
    }

    /// What became of what others answer for. What waits for a task that was helped at the same time is not lost.
    fn mend_reports(&self) -> Vec<MendReport> {
        let results = self.mends.iter().filter_map(|mend| Some((mend, mend.result()??.clone())));
        let mut results: Vec<(&Mend, Mended)> = results.collect();
        loop {
            let lost = |mended: &Mended| matches!(mended, Mended::Lost { .. });
            let helped: BTreeSet<TaskId> =
                results.iter().filter(|(_, mended)| !lost(mended)).map(|(mend, _)| mend.task_id).collect();
            let waits = |(mend, mended): &(&Mend, Mended)| lost(mended) && mend.only_waits_for(&helped);
            let Some(at) = results.iter().position(waits) else { break };
            results[at].1 = Mended::Waits;
        }
        let report =
            |(mend, mended): (&Mend, Mended)| MendReport { label: mend.label.clone(), task_id: mend.task_id, mended };
        results.into_iter().map(report).collect()
    }

    /// The artifacts of the plan, with the ids that its tasks have now.
    ///
    /// # Errors
    /// A definition that can't be completed.
    pub fn artifacts(&self) -> Result<BTreeMap<String, String>, ArtifactsError> {
        let ids: Vec<TaskId> = self.nodes.iter().map(|node| node.task_id).collect();
        artifacts_with(&self.plan, &ids)
    }
}
