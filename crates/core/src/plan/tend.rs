//! What is done to tasks that exist: run again, or cancelled. Each at most once a request, however often it is tried.
//!
//! A step is known to be done by the task's own runs, not by a note of ours that a crash could lose: when it is planned,
//! the runs that the task has are counted. (docs/design/0016-reruns-happen-once.md)

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;
use crate::state::{ReasonResolved, TaskState};

/// What is to be done to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Care {
    /// Run it again.
    Rerun,
    /// Cancel it.
    Cancel,
}

/// Something to be done to a task that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tend {
    /// What.
    #[serde(rename = "do")]
    pub care: Care,
    /// The task.
    pub task_id: TaskId,
    /// Its label, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many runs it had when this was planned.
    pub runs: u16,
}

/// What of a task's status tells whether something is still to be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tended {
    /// Its state.
    pub state: TaskState,
    /// Its runs, oldest first. Recordings and older deployments leave them out.
    #[serde(default)]
    pub runs: Vec<TendedRun>,
}

/// What counts of a run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TendedRun {
    /// Why it ended.
    #[serde(default)]
    pub reason_resolved: Option<ReasonResolved>,
}

impl Tended {
    /// How many runs there are. The queue allows 50.
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.runs.len()).unwrap_or(u16::MAX)
    }

    /// Whether a rerun would do something: as in the reference, only what failed or ended in an exception is run again.
    #[must_use]
    pub fn is_rerunnable(&self) -> bool {
        matches!(self.state, TaskState::Failed | TaskState::Exception)
    }
}

impl Tend {
    /// Whether it is still to be done to a task that looks like this.
    #[must_use]
    pub fn is_due(&self, now: &Tended) -> bool {
        match self.care {
            // A further run means that it was run again, by an earlier try or by somebody else; how that run ended is no
            // business of this request.
            Care::Rerun => now.is_rerunnable() && now.count() == self.runs,
            // One that was cancelled since, and then run again by somebody, stays.
            Care::Cancel => {
                let since = usize::from(self.runs).saturating_sub(1);
                let cancelled = |run: &TendedRun| run.reason_resolved == Some(ReasonResolved::Canceled);
                !now.state.is_resolved() && !now.runs.iter().skip(since).any(cancelled)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tended(state: &str, runs: &[&str]) -> Tended {
        let runs: Vec<_> = runs.iter().map(|reason| json!({"reasonResolved": reason})).collect();
        serde_json::from_value(json!({"state": state, "runs": runs})).unwrap()
    }

    fn tend(care: Care, runs: u16) -> Tend {
        Tend { care, task_id: TaskId::from_bytes([1; 16]), label: None, runs }
    }

    #[test]
    fn a_rerun_that_failed_again_is_not_repeated() {
        let rerun = tend(Care::Rerun, 1);
        assert!(rerun.is_due(&tended("failed", &["failed"])));
        assert!(!rerun.is_due(&tended("failed", &["failed", "failed"])), "an earlier try ran it again");
        assert!(!rerun.is_due(&tended("completed", &["completed"])));
    }

    #[test]
    fn what_was_cancelled_and_then_run_again_by_somebody_is_left_alone() {
        let running = |earlier: &[&str]| {
            let mut task = tended("running", earlier);
            task.runs.push(TendedRun { reason_resolved: None });
            task
        };
        let cancel = tend(Care::Cancel, 1);
        assert!(cancel.is_due(&running(&[])));
        assert!(cancel.is_due(&running(&["claim-expired"])), "the queue gave it another run by itself");
        assert!(!cancel.is_due(&running(&["canceled"])));
        assert!(!cancel.is_due(&tended("completed", &["completed"])));
        assert!(tend(Care::Cancel, 2).is_due(&running(&["canceled"])), "that was before this was planned");
        assert!(tend(Care::Cancel, 0).is_due(&tended("unscheduled", &[])));
    }
}
