//! What the tests of several crates share: made-up graphs, recordings, seeds, and the Python that they run.

pub mod graphs;
pub mod python;
pub mod recorded;
pub mod rng;
