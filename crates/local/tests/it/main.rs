//! The embedded Taskcluster as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
mod worker;
mod worker_docker;
mod worker_mounts;
