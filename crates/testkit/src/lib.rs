//! Graph builders, contract suites and servers for taskgraft's own tests.

pub mod python;
pub mod recorded;
