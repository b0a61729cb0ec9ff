//! What optimisation decided, with its reasons.

use std::fmt;

use super::candidate::{Rejected, Source};
use crate::graph::TaskIx;
use crate::ids::TaskId;

/// The strategy that a reason comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The task has no optimisation.
    Never,
    /// A strategy that was asked.
    Strategy {
        /// Its name in the graph.
        name: String,
        /// What it stands for; for composites the names of their parts.
        description: String,
    },
    /// A strategy that nobody knows; its task is kept. The reference stops here.
    Unknown {
        /// Its name in the graph.
        name: String,
    },
    /// A strategy that can't work with its argument or the parameters; its task is kept. The reference stops here.
    Unusable {
        /// Its name in the graph.
        name: String,
        /// Why it can't.
        problem: String,
    },
}

impl fmt::Display for By {
    /// As the reference's log names it; the last two don't occur there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Strategy { name, description } => write!(f, "{name} ({description})"),
            Self::Unknown { name } => write!(f, "{name} (an unknown strategy)"),
            Self::Unusable { name, problem } => write!(f, "{name} ({problem})"),
        }
    }
}

/// What the first phase says about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Kept: it must not be optimised.
    DoNotOptimize,
    /// Kept: this task, and perhaps others, needs it and stays.
    NeededBy(TaskIx),
    /// Kept: its strategy doesn't remove it.
    KeptBy(By),
    /// Kept: this task, one of its `if_dependencies`, stays. The reference's log has no reason for these.
    DependencyStays(TaskIx),
    /// Removed: nobody asked for it, and all that needed it is gone.
    NobodyNeedsIt,
    /// Removed by its strategy.
    RemovedBy(By),
    /// Removed: none of the tasks in its `if_dependencies` stays, or only such tasks needed it.
    IfDependencies,
}

impl Removal {
    /// Whether the first phase leaves the task in.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match self {
            Self::DoNotOptimize | Self::NeededBy(_) | Self::KeptBy(_) | Self::DependencyStays(_) => true,
            Self::NobodyNeedsIt | Self::RemovedBy(_) | Self::IfDependencies => false,
        }
    }
}

impl fmt::Display for Removal {
    /// As the reference's log gives the reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoNotOptimize => f.write_str("do not optimize"),
            Self::NeededBy(_) => f.write_str("dependent tasks"),
            Self::KeptBy(by) | Self::RemovedBy(by) => by.fmt(f),
            Self::DependencyStays(_) => f.write_str("if-dependencies"),
            Self::NobodyNeedsIt => f.write_str("dependents optimized"),
            Self::IfDependencies => f.write_str("if-dependencies pruning"),
        }
    }
}

/// What stands in for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// A task that exists.
    Task {
        /// Its id.
        task_id: TaskId,
        /// Where it was found.
        source: Source,
    },
    /// Nothing: a composite strategy says so, as `not` and `all` do in the reference.
    Nothing(By),
}

/// Why nothing stands in for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReplaced {
    /// It must not be optimised.
    DoNotOptimize,
    /// It needs this task, which is neither removed nor replaced.
    Needs(TaskIx),
    /// Its strategy names no task that is there and usable; see [`Outcome::rejected`].
    KeptBy(By),
}

/// All that was decided about one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The first phase.
    pub removal: Removal,
    /// The second phase. As in the reference, removed tasks go through it too: a removed task may have a stand-in.
    pub replacement: Result<Replacement, NotReplaced>,
    /// Candidates that were looked at before the outcome was found, and weren't usable.
    pub rejected: Vec<Rejected>,
}

impl Outcome {
    /// Whether neither the task nor a stand-in for it is in the graph.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        !self.removal.is_kept() || matches!(self.replacement, Ok(Replacement::Nothing(_)))
    }

    /// The id of the task that stands in for it; also for a removed one.
    #[must_use]
    pub fn replaced_by(&self) -> Option<TaskId> {
        match &self.replacement {
            Ok(Replacement::Task { task_id, .. }) => Some(*task_id),
            Ok(Replacement::Nothing(_)) | Err(_) => None,
        }
    }

    /// Whether the task is to be created.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self.is_removed() && self.replaced_by().is_none()
    }
}

/// The outcome for each task of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimized(Vec<Outcome>);

impl Optimized {
    pub(super) fn new(outcomes: Vec<Outcome>) -> Self {
        Self(outcomes)
    }

    /// What was decided about the task at `ix` of the same graph.
    #[must_use]
    pub fn outcome(&self, ix: TaskIx) -> &Outcome {
        &self.0[ix.index()]
    }

    /// All outcomes in the order of the graph's labels.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TaskIx, &Outcome)> {
        self.0.iter().enumerate().map(|(index, outcome)| (TaskIx::new(index), outcome))
    }
}
