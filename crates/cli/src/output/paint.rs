//! Colours, for terminals only.

use taskgraft_core::state::TaskState;

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// With colours.
    pub(crate) fn colour() -> Self {
        Self { on: true }
    }

    /// Without.
    pub(crate) fn plain() -> Self {
        Self { on: false }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// What is under way.
    pub(crate) fn busy(self, text: &str) -> String {
        self.with("33", text)
    }

    /// A task's state, in its colour.
    pub(crate) fn state(self, state: TaskState) -> String {
        let text = state.as_str();
        match state {
            TaskState::Completed => self.good(text),
            TaskState::Failed | TaskState::Exception => self.bad(text),
            TaskState::Running => self.busy(text),
            TaskState::Unscheduled | TaskState::Pending => self.dim(text),
        }
    }
}
