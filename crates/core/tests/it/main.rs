//! taskgraft-core against the reference: recordings of it, and it itself on graphs that are made up here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod creation;
mod differential;
mod laws;
mod recorded;
mod verdicts;
