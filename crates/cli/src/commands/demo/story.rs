//! One line for each thing that happened, with the time it took.

use std::time::Instant;

use crate::exit::Failure;
use crate::output::{Out, span};

/// Where the times stand, if the terminal is that wide.
const WIDTH: usize = 92;
/// What stands before a line, and between it and its time.
const NUMBER: usize = 6;

/// A story as it goes on.
pub(super) struct Story<'a> {
    out: &'a Out,
    began: Instant,
    since: Instant,
    step: usize,
}

impl<'a> Story<'a> {
    /// Nothing has happened.
    pub(super) fn begin(out: &'a Out) -> Self {
        let now = Instant::now();
        Self { out, began: now, since: now, step: 0 }
    }

    /// This happened since the last time.
    pub(super) fn did(&mut self, what: &str) -> Result<(), Failure> {
        let took = span(self.since.elapsed());
        let width = self.out.width().map_or(WIDTH, |width| WIDTH.min(width.saturating_sub(NUMBER)));
        let room = width.saturating_sub(what.chars().count() + took.len());
        self.tell(&format!("{what}{}  {}", " ".repeat(room), self.out.paint().dim(&took)))?;
        self.since = Instant::now();
        Ok(())
    }

    /// A step that takes no time.
    pub(super) fn tell(&mut self, what: &str) -> Result<(), Failure> {
        self.step += 1;
        Ok(self.out.say(&format!("{:2}  {what}", self.step))?)
    }

    /// How long all of it took.
    pub(super) fn end(&self) -> Result<(), Failure> {
        Ok(self.out.say(&format!("\nAll of it took {}.", span(self.began.elapsed())))?)
    }
}
