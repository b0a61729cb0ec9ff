//! How a task that is followed ends.

use taskgraft_core::state::TaskState;

/// What became of a followed task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// It is resolved like this.
    Resolved(TaskState),
    /// It never starts, since something that it needs to succeed did not.
    Stuck,
    /// The queue has forgotten it.
    Gone,
}

impl End {
    /// Whether it did what it should.
    pub(crate) fn is_green(self) -> bool {
        self == Self::Resolved(TaskState::Completed)
    }

    /// In a word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resolved(state) => state.as_str(),
            Self::Stuck => "never starts",
            Self::Gone => "gone",
        }
    }
}
