//! What the tests of several crates share: made-up graphs, recordings, seeds, a proxy that breaks
//! things, and the Python that they run.

pub mod graphs;
pub mod proxy;
pub mod python;
pub mod recorded;
pub mod rng;
