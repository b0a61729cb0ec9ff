//! From a frontier to its report.

use std::collections::BTreeMap;

use super::machine::Frontier;
use super::node::State;
use super::outcome::Outcome;
use super::step::Halt;
use crate::ids::TaskId;
use crate::plan::{ArtifactsError, artifacts_with};
use crate::report::{MendReport, RefusedReport, Report, TaskReport, Terminal};

impl Frontier {
    /// What became of everything so far. Tasks that are not settled yet count as stopped: ask when
    /// [done](Frontier::is_done), or when giving up.
    #[must_use]
    pub fn report(&self) -> Report {
        let cancelled = self.halt == Some(Halt::Cancelled);
        let tasks: Vec<TaskReport> = self
            .plan
            .tasks
            .iter()
            .zip(&self.nodes)
            .enumerate()
            .map(|(at, (task, node))| TaskReport {
                label: task.label.clone(),
                role: task.role.clone(),
                task_id: node.task_id,
                outcome: match &node.state {
                    State::Settled(outcome) => outcome.clone(),
                    State::Waiting | State::Sending | State::Reading | State::Weighing(_) | State::AskingGroup => {
                        Outcome::Stopped
                    }
                },
                cancelled: cancelled && self.goes_with_the_request(at),
            })
            .collect();
        let mended: Vec<MendReport> = self
            .mends
            .iter()
            .filter_map(|mend| {
                let mended = mend.result()??.clone();
                Some(MendReport { label: mend.label.clone(), task_id: mend.task_id, mended })
            })
            .collect();
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
            warnings: self.plan.warnings.iter().chain(&self.warnings).cloned().collect(),
        }
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
