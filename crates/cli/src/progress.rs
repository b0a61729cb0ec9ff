//! How far something long has come: a bar on a terminal, a line an event elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taskgraft_core::printable::in_a_line;
use taskgraft_engine::End;

use crate::output::Out;

/// The progress of tasks that are followed, on standard error.
pub(crate) struct Progress<'a> {
    out: &'a Out,
    bar: ProgressBar,
    lines: bool,
}

impl<'a> Progress<'a> {
    /// None of `tasks` has ended; a line says so of each that does.
    pub(crate) fn new(out: &'a Out, tasks: usize) -> Self {
        let mut progress = Self::bar(out, tasks);
        progress.lines = true;
        progress
    }

    /// The same without the lines.
    pub(crate) fn bar(out: &'a Out, tasks: usize) -> Self {
        let bar = drawn(out, Some(tasks as u64), "{spinner} {pos} of {len} ended{msg}  {elapsed}");
        Self { out, bar, lines: false }
    }

    /// A task has come to its end.
    pub(crate) fn ended(&self, label: &str, end: End) {
        if self.lines {
            let paint = self.out.err();
            let word = if end.is_green() { paint.good(end.as_str()) } else { paint.bad(end.as_str()) };
            self.bar.suspend(|| self.out.note(&format!("  {} {word}", in_a_line(label))));
        }
        self.bar.inc(1);
    }

    /// So many are running.
    pub(crate) fn running(&self, running: usize) {
        self.bar.set_message(format!(", {running} running"));
    }
}

/// A sign of life on a terminal for as long as this is held.
#[must_use = "the sign goes with it"]
pub(crate) struct Busy(ProgressBar);

impl Busy {
    /// Something that may take a while: a fragment such as `reading the push`.
    pub(crate) fn with(out: &Out, what: &'static str) -> Self {
        Self(drawn(out, None, "{spinner} {msg}").with_message(what))
    }
}

/// Something that changes in place on a terminal, and is not there elsewhere.
fn drawn(out: &Out, length: Option<u64>, template: &str) -> ProgressBar {
    let target = if out.live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.tick_chars(out.spinner()));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
