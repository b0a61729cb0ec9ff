//! What became of a request: the last word on each task, and one terminal result.

use serde::{Deserialize, Serialize};

use crate::frontier::{Halt, Mended, Outcome};
use crate::ids::{RequestId, TaskId};
use crate::plan::{Care, Refusal, Role, Warning};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The request.
    pub request: RequestId,
    /// The group that it was to create tasks in.
    pub group: TaskId,
    /// Whether the asker got what was asked for.
    pub result: Terminal,
    /// Every task of the plan, dependencies first.
    pub tasks: Vec<TaskReport>,
    /// Tasks that others answer for and that were lost or half made when last looked at, with what was done.
    pub mended: Vec<MendReport>,
    /// Labels that could not be planned.
    pub refused: Vec<RefusedReport>,
    /// What was done to tasks that exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tended: Vec<TendReport>,
    /// The plan's warnings, then those of its creation.
    pub warnings: Vec<Warning>,
}

/// What became of one task of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Its label.
    pub label: String,
    /// Why it was planned.
    pub role: Role,
    /// Its id in the end.
    pub task_id: TaskId,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// It was cancelled, after the request was.
    #[serde(default)]
    pub cancelled: bool,
    /// It should have been cancelled then, and was not: what the queue said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncancelled: Option<String>,
}

/// What was done about a task that others answer for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MendReport {
    /// The label that it stands for.
    pub label: String,
    /// Its id.
    pub task_id: TaskId,
    /// What was done.
    #[serde(flatten)]
    pub mended: Mended,
}

/// What was done to a task that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TendReport {
    /// What was to be done.
    #[serde(rename = "do")]
    pub care: Care,
    /// The task.
    pub task_id: TaskId,
    /// Its label, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: TendOutcome,
}

/// What came of tending a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum TendOutcome {
    /// It was done now.
    Done,
    /// It was done before, or the task has ended meanwhile.
    NotDue,
    /// The task is past its deadline: it can't be cancelled, and isn't running either.
    PastDeadline,
    /// The queue refused.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The error's code, as `InsufficientScopes`.
        code: String,
        /// The queue's words.
        message: String,
    },
    /// The queue did not answer: it may be done or not.
    Unanswered {
        /// The last that was heard.
        message: String,
    },
    /// Everything was stopped before it was done.
    Stopped,
}

/// A label that could not be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// The label.
    pub label: String,
    /// Why.
    pub why: Refusal,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminal {
    /// Everything that was asked for exists.
    Done,
    /// Everything that could be planned exists; some labels could not.
    Partial,
    /// The queue stopped answering. `resume` finishes it.
    Unfinished,
    /// The caller stopped it. `resume` finishes it.
    Interrupted,
    /// A later run of the same action task has taken over.
    Superseded,
    /// The request was cancelled.
    Cancelled,
    /// The action task ended without it, by its deadline for one, and gets no other run.
    Expired,
    /// The queue refused some of it for want of scopes.
    Forbidden,
    /// The queue refused some of it.
    Refused,
    /// Everything was created, but something that it depends on is lost and can't be helped.
    Stuck,
}

/// What a program's exit code tells of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitClass {
    /// The asker got what was asked for.
    Success,
    /// Something is wrong with the request; nothing that it lacks will come of trying again.
    Refused,
    /// The credentials don't suffice.
    Forbidden,
    /// It stopped half way and can be resumed.
    Unfinished,
}

impl Terminal {
    /// Which exit code it deserves.
    #[must_use]
    pub fn exit_class(self) -> ExitClass {
        match self {
            Self::Done => ExitClass::Success,
            Self::Partial | Self::Refused | Self::Cancelled | Self::Expired | Self::Stuck => ExitClass::Refused,
            Self::Forbidden => ExitClass::Forbidden,
            Self::Unfinished | Self::Interrupted | Self::Superseded => ExitClass::Unfinished,
        }
    }

    /// Whether carrying the plan out again can create what is missing: credentials that expired on the way, or don't
    /// suffice, can be replaced.
    #[must_use]
    pub fn is_resumable(self) -> bool {
        self.exit_class() == ExitClass::Unfinished || self == Self::Forbidden
    }

    /// The same, or unfinished if the last look at what is reused was not answered: that may be lost, and what was to be
    /// run again was not.
    pub(crate) fn if_looked(self, looked: bool) -> Self {
        match self {
            Self::Done | Self::Partial if !looked => Self::Unfinished,
            Self::Done
            | Self::Partial
            | Self::Unfinished
            | Self::Interrupted
            | Self::Superseded
            | Self::Cancelled
            | Self::Expired
            | Self::Forbidden
            | Self::Refused
            | Self::Stuck => self,
        }
    }

    /// The same, considering what was done to tasks that exist: what went wrong there is not made good by the rest.
    #[must_use]
    pub fn with_tended(self, tended: &[TendReport]) -> Self {
        if !matches!(self, Self::Done | Self::Partial) {
            return self;
        }
        let any = |test: fn(&TendOutcome) -> bool| tended.iter().any(|tend| test(&tend.outcome));
        if any(|outcome| matches!(outcome, TendOutcome::Rejected { status: 401 | 403, .. })) {
            Self::Forbidden
        } else if any(|outcome| matches!(outcome, TendOutcome::Rejected { .. })) {
            Self::Refused
        } else if any(|outcome| matches!(outcome, TendOutcome::Unanswered { .. })) {
            Self::Unfinished
        } else if any(|outcome| *outcome == TendOutcome::Stopped) {
            Self::Interrupted
        } else {
            self
        }
    }

    /// The result of what several requests came to: one that was stopped counts more than one that went wrong in places,
    /// or a later run would not finish it.
    #[must_use]
    pub fn together(results: impl IntoIterator<Item = Self>) -> Self {
        let weight = |result: &Self| match result {
            Self::Cancelled => 9,
            Self::Expired => 8,
            Self::Superseded => 7,
            Self::Interrupted => 6,
            Self::Forbidden => 5,
            Self::Refused => 4,
            Self::Unfinished => 3,
            Self::Stuck => 2,
            Self::Partial => 1,
            Self::Done => 0,
        };
        results.into_iter().max_by_key(weight).unwrap_or(Self::Done)
    }

    /// The result that these parts add up to: what stopped everything counts more than what went wrong in places.
    pub(crate) fn of(halt: Option<Halt>, tasks: &[TaskReport], mended: &[MendReport], refused: bool) -> Self {
        let any = |test: fn(&Outcome) -> bool| tasks.iter().any(|task| test(&task.outcome));
        let lost = |mend: &MendReport| matches!(mend.mended, Mended::Lost { .. });
        match halt {
            Some(Halt::Cancelled) => Self::Cancelled,
            Some(Halt::Expired) => Self::Expired,
            Some(Halt::Superseded) => Self::Superseded,
            Some(Halt::Interrupted) if !any(|outcome| *outcome == Outcome::Stopped) => {
                Self::of(None, tasks, mended, refused)
            }
            Some(Halt::Interrupted) => Self::Interrupted,
            None if any(is_forbidden) => Self::Forbidden,
            None if any(|outcome| matches!(outcome, Outcome::Rejected { .. } | Outcome::Refused { .. })) => {
                Self::Refused
            }
            None if any(|outcome| !outcome.exists()) => Self::Unfinished,
            None if mended.iter().any(lost) => Self::Stuck,
            None if refused => Self::Partial,
            None => Self::Done,
        }
    }
}

fn is_forbidden(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Rejected { status, .. } => matches!(status, 401 | 403),
        Outcome::Created { .. }
        | Outcome::Adopted { .. }
        | Outcome::Missing { .. }
        | Outcome::Refused { .. }
        | Outcome::Blocked { .. }
        | Outcome::Stopped => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Terminal::{self, Cancelled, Done, Forbidden, Interrupted, Refused, Stuck, Superseded, Unfinished};

    #[test]
    fn what_was_stopped_counts_more_than_what_went_wrong_before() {
        for (results, together) in [
            (vec![], Done),
            (vec![Done, Done], Done),
            (vec![Done, Stuck], Stuck),
            (vec![Refused, Interrupted], Interrupted),
            (vec![Stuck, Unfinished, Done], Unfinished),
            (vec![Forbidden, Superseded], Superseded),
            (vec![Interrupted, Cancelled], Cancelled),
            (vec![Refused, Unfinished], Refused),
        ] {
            assert_eq!(Terminal::together(results.clone()), together, "{results:?}");
        }
    }
}
