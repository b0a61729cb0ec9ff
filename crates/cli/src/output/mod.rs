//! Saying things: data on standard output, everything else on standard error.

mod paint;
pub(crate) mod plan;
mod table;
mod when;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use taskgraft_core::printable::{in_a_line, printable};

use crate::env::Env;

pub(crate) use paint::Paint;
pub(crate) use table::Columns;
pub(crate) use when::{Times, span};

/// Where output goes and how much the reader's end can show.
#[derive(Debug)]
pub(crate) struct Out {
    stdout: Paint,
    stderr: Paint,
    /// Standard output's width in columns, where it is a terminal.
    width: Option<u16>,
    utf8: bool,
    interactive: bool,
}

impl Out {
    /// Looks at what standard output and error are.
    pub(crate) fn new(env: &Env) -> Self {
        let colour = |terminal: bool| if terminal && !env.no_color { Paint::colour() } else { Paint::plain() };
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width = stdout.then(|| console::Term::stdout().size_checked()).flatten().map(|(_, columns)| columns);
        let interactive = io::stdin().is_terminal() && stderr;
        Self { stdout: colour(stdout), stderr: colour(stderr), width, utf8: env.utf8, interactive }
    }

    /// How to paint what goes to standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.stdout
    }

    /// How to paint what goes to standard error.
    pub(crate) fn err(&self) -> Paint {
        self.stderr
    }

    /// Whether somebody is there to answer a question.
    pub(crate) fn interactive(&self) -> bool {
        self.interactive
    }

    /// Whether standard error can show something that changes in place.
    pub(crate) fn live(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Standard output's width in columns, where it is a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width.map(usize::from)
    }

    /// What turns while something goes on; the last one stands when it is over.
    pub(crate) fn spinner(&self) -> &'static str {
        if self.utf8 { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " }
    }

    /// Columns as wide as standard output allows.
    pub(crate) fn columns(&self) -> Columns {
        Columns::new(self.width)
    }

    /// A line (or several) for people on standard output.
    pub(crate) fn say(&self, text: &str) -> io::Result<()> {
        let mut text = self.for_people(text);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.raw(text.as_bytes())
    }

    /// A line for people on standard error. That it can't be written is no reason to stop.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", self.for_people(text));
    }

    /// Asks a question that is answered with yes or no; no is the default.
    pub(crate) fn ask(&self, question: &str) -> io::Result<bool> {
        let mut stderr = io::stderr();
        write!(stderr, "{} [y/N] ", self.for_people(question))?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Data on standard output, as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Data on standard output as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.raw(text.as_bytes())
    }

    /// The text with its symbols in ASCII, where the locale has no others.
    pub(crate) fn for_people(&self, text: &str) -> String {
        let text = harmless(text);
        if self.utf8 { text } else { ascii(&text) }
    }
}

/// The text with what moves a terminal's cursor or tells it something escaped, but for the colours that are our own: labels
/// and messages come from anybody.
fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        clean.push_str(&printable(&rest[..at]));
        let colour = paint::colour_length(&rest[at..]);
        clean.push_str(&rest[at..at + colour]);
        if colour == 0 {
            clean.push_str(&printable("\u{1b}"));
        }
        rest = &rest[at + colour.max(1)..];
    }
    clean.push_str(&printable(rest));
    clean
}

/// The symbols that taskgraft itself uses, in ASCII; labels and messages of others stay as they are.
fn ascii(text: &str) -> String {
    text.replace('…', "...").replace('→', "->").replace('×', "x").replace('✓', "ok").replace('✗', "failed")
}

/// Labels in one line, repeated ones counted; nothing for none.
pub(crate) fn repeated<'a>(labels: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels.clone() {
        *counts.entry(label).or_default() += 1;
    }
    let words: Vec<String> = labels
        .filter_map(|label| match counts.remove(label)? {
            1 => Some(in_a_line(label).into_owned()),
            count => Some(format!("{} ×{count}", in_a_line(label))),
        })
        .collect();
    (!words.is_empty()).then(|| words.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_labels_are_counted_where_they_come_first() {
        assert_eq!(repeated(["b", "a", "b"].into_iter()).unwrap(), "b ×2  a");
        assert_eq!(repeated(std::iter::empty()), None);
    }

    #[test]
    fn what_others_write_can_not_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\u{9b}1A\u{7}ß\n"), "a\\u{1b}[2Jb\\u{d}\\u{9b}1A\\u{7}ß\n");
        assert_eq!(harmless("\u{1b}[32mgreen\u{1b}[0m \u{1b}"), "\u{1b}[32mgreen\u{1b}[0m \\u{1b}");
        assert_eq!(harmless("\u{1b}[8mhidden"), "\\u{1b}[8mhidden", "no colour of ours");
    }

    #[test]
    fn symbols_have_ascii_spellings() {
        assert_eq!(ascii("a → b ×3 9f31…"), "a -> b x3 9f31...");
    }
}
