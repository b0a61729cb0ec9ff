//! What became of a planned task.

use serde::{Deserialize, Serialize};

use crate::state::TaskState;

/// What became of a planned task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The queue took it now.
    Created {
        /// Its state then.
        state: TaskState,
    },
    /// It was there already: made by an earlier try of this request, or, if it is shared, by another one.
    Adopted {
        /// Its state then.
        state: TaskState,
    },
    /// The queue did not answer: it may exist or not, and `resume` settles it.
    Missing {
        /// The last that was heard.
        message: String,
    },
    /// The queue refused it.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The error's code, as `InsufficientScopes`.
        code: String,
        /// The queue's words.
        message: String,
    },
    /// It can't be created.
    Refused {
        /// Why.
        why: Refused,
    },
    /// Something that it depends on was not created.
    Blocked {
        /// That task's label.
        by: String,
    },
    /// Everything was stopped before it was created.
    Stopped,
}

impl Outcome {
    /// Whether the task exists, as far as is known.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::Created { .. } | Self::Adopted { .. } => true,
            Self::Missing { .. }
            | Self::Rejected { .. }
            | Self::Refused { .. }
            | Self::Blocked { .. }
            | Self::Stopped => false,
        }
    }
}

/// Why a task can't be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Refused {
    /// The group takes no new tasks.
    Sealed,
    /// The group belongs to another scheduler.
    OtherScheduler {
        /// Its schedulerId.
        theirs: String,
        /// The plan's.
        ours: String,
    },
    /// Something else has its id, and there is no other id for it.
    IdTaken,
    /// Something else, or something unusable, has each id that it could have.
    NoFreeId,
    /// The queue says that it conflicts with something, and there is nothing that it could conflict with.
    Conflict,
    /// Its definition can't be completed.
    Definition {
        /// What is wrong.
        problem: String,
    },
}

/// What became of a task that was found half done, lost, or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mended", rename_all = "kebab-case")]
pub enum Mended {
    /// Sent again as it was, so that the queue tracks its dependencies.
    PutBack,
    /// Scheduled, all that it depends on being done.
    Scheduled,
    /// Run again, all that it depends on being done.
    Rerun,
    /// Left as it is: it still waits for its dependencies, which may be well.
    Waits,
    /// It can't be helped.
    Lost {
        /// What is wrong with it.
        problem: String,
    },
}
