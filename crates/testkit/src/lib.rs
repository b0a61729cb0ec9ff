//! What the tests of several crates share: made-up graphs and templates, fuzzing, recordings, seeds, a proxy that breaks
//! things, a message broker, a Buildbot, a Treeherder, and the Python that they run.

pub mod buildbot;
pub mod clicks;
pub mod fuzz;
pub mod graphs;
mod port;
pub mod proxy;
pub mod python;
pub mod rabbit;
pub mod recorded;
pub mod relay;
pub mod rng;
pub mod templates;
pub mod treeherder;

/// Longer than anything that a test waits for takes on a slow and busy machine: after that it will not come.
pub const LATE: std::time::Duration = std::time::Duration::from_secs(240);
