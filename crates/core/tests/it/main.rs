//! taskgraft-core against the reference: recordings of it, and it itself on graphs that are made up here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "recordings are read from files, and the reference is given some")]

mod creation;
mod differential;
mod laws;
mod recorded;
mod rendering;
mod verdicts;
