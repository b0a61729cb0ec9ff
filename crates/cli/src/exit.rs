//! How a command ends: exit codes, and what is said about a failure.

use std::io::Write as _;
use std::process::ExitCode;

use taskgraft_core::printable::in_a_line;

use crate::output::{Out, Paint};

/// Why a command didn't do what it was told, as far as a script can tell failures apart.
/// docs/reference/exit-codes.md says the same for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything else.
    Other,
    /// A mistake in what was asked: no such job, no such push, unreadable input. Nothing was changed.
    Mistake,
    /// Credentials are missing or don't suffice. Seen before anything is changed, unless they expire on the way.
    NoRights,
    /// Stopped half way: `taskgraft resume` finishes it.
    HalfWay,
    /// The jobs that were followed did not all become green.
    NotGreen,
    /// The facts have moved since the plan was made. Nothing was changed.
    Moved,
    /// Whoever reads the output has closed it; nobody is there to be told.
    ClosedPipe,
}

impl Kind {
    /// The exit code. 0 is done, and 2 a command line that makes no sense (clap's).
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Other => 1,
            Self::Mistake => 3,
            Self::NoRights => 4,
            Self::HalfWay => 5,
            Self::NotGreen => 6,
            Self::Moved => 7,
        }
    }
}

/// What is said at the end of a failure before anything was created.
pub(crate) const NOTHING: &str = "nothing was created";

/// The same where an earlier try may have created something.
pub(crate) const NOTHING_MORE: &str = "nothing more was created";

/// A named line or lines under an error: what to know, or the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    name: &'static str,
    lines: Vec<String>,
}

/// What is said when a command fails, and with which code it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    notes: Vec<Note>,
    closing: Option<&'static str>,
}

impl Failure {
    /// A failure of this kind; `message` is a fragment that fits behind "error: ".
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), notes: Vec::new(), closing: None }
    }

    /// [`Kind::Other`].
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Kind::Other, message)
    }

    /// [`Kind::Mistake`].
    pub(crate) fn mistake(message: impl Into<String>) -> Self {
        Self::new(Kind::Mistake, message)
    }

    /// With one more named line.
    pub(crate) fn note(self, name: &'static str, line: impl Into<String>) -> Self {
        self.notes(name, [line.into()])
    }

    /// With one more name and its lines; nothing where there are none.
    pub(crate) fn notes(mut self, name: &'static str, lines: impl IntoIterator<Item = String>) -> Self {
        let lines: Vec<String> = lines.into_iter().collect();
        if !lines.is_empty() {
            self.notes.push(Note { name, lines });
        }
        self
    }

    /// With a last line, such as "nothing was created".
    pub(crate) fn closing(self, line: &'static str) -> Self {
        Self { closing: Some(line), ..self }
    }

    /// What is said first.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Says it on standard error, and gives the exit code.
    pub(crate) fn report(&self, out: &Out) -> ExitCode {
        if self.kind != Kind::ClosedPipe {
            // Nothing is left to be done if even this can't be written.
            let _ = std::io::stderr().write_all(out.for_people(&self.text(out.err())).as_bytes());
        }
        ExitCode::from(self.kind.code())
    }

    fn text(&self, paint: Paint) -> String {
        let width = self.notes.iter().map(|note| note.name.chars().count()).max().unwrap_or_default();
        let mut text = format!("{} {}\n", paint.bad("error:"), self.message);
        for note in &self.notes {
            for (n, line) in note.lines.iter().enumerate() {
                let name = if n == 0 { note.name } else { "" };
                text.push_str(&format!("  {}   {}\n", paint.dim(&format!("{name:width$}")), in_a_line(line)));
            }
        }
        if let Some(line) = self.closing {
            text.push_str(&format!("{line}\n"));
        }
        text
    }
}

/// An error and what caused it, in one line. A cause that was told already, as some errors tell theirs, is not told again.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes
        .map(ToString::to_string)
        .fold(error.to_string(), |told, cause| if told.ends_with(&cause) { told } else { format!("{told}: {cause}") })
}

/// What could not be written or read.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::new(Kind::ClosedPipe, "")
        } else {
            Self::other(error.to_string())
        }
    }
}

/// What could not be written as JSON.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::other(format!("failed to write JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_the_way_out() {
        let failure = Failure::mistake("no job `unti` in this push")
            .notes("did you mean", ["unit".to_owned(), "unit-2".to_owned()])
            .note("list them", "taskgraft labels")
            .closing("nothing was created");
        assert_eq!(failure.kind.code(), 3);
        let expected = "error: no job `unti` in this push\n  did you mean   unit\n                 unit-2\n  \
                        list them      taskgraft labels\nnothing was created\n";
        assert_eq!(failure.text(Paint::plain()), expected);
    }

    /// What it says, and what caused it.
    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl std::fmt::Display for Said {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Said {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_is_told_once() {
        let cause = || Some(Box::new(Said("file not found", None)));
        let telling = || Some(Box::new(Said("read it: file not found", cause())));
        let errors = [
            Said("read it", cause()),
            Said("read it: file not found", cause()),
            Said("read it: file not found", telling()),
        ];
        for error in errors {
            assert_eq!(chain(&error), "read it: file not found");
        }
    }

    #[test]
    fn every_code_is_documented() {
        let page = include_str!("../../../docs/reference/exit-codes.md");
        let kinds = [Kind::Other, Kind::Mistake, Kind::NoRights, Kind::HalfWay, Kind::NotGreen, Kind::Moved];
        for code in [0, 2].into_iter().chain(kinds.map(Kind::code)) {
            assert!(page.contains(&format!("| {code} |")), "exit code {code}");
        }
    }
}
