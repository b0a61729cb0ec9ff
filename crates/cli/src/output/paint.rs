//! Colours, for terminals only.

use taskgraft_core::state::TaskState;

/// The codes of all colours below, and of their end.
const CODES: [&str; 6] = ["0", "1", "2", "32", "1;31", "33"];

/// How many bytes of one of our colours `text` begins with; 0 if it is something else.
pub(super) fn colour_length(text: &str) -> usize {
    let Some((code, _)) = text.strip_prefix("\u{1b}[").and_then(|text| text.split_once('m')) else { return 0 };
    if CODES.contains(&code) { code.len() + 3 } else { 0 }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_our_colours_are_known() {
        let paint = Paint::colour();
        for painted in [paint.bold("x"), paint.dim("x"), paint.good("x"), paint.bad("x"), paint.busy("x")] {
            let (begin, end) = painted.split_once('x').unwrap();
            assert_eq!((colour_length(begin), colour_length(end)), (begin.len(), end.len()), "{painted:?}");
        }
    }
}
