//! Graph builders, contract suites and servers for taskgraft's own tests.

pub mod graphs;
pub mod python;
pub mod recorded;
pub mod rng;
