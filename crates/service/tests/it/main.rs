//! The service against real servers: each test starts its own and ends it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod api;
mod asked;
mod buildbot;
mod carrying;
mod journaling;
mod listening;
mod reach;
mod redelivery;
mod states;
mod treeherder;
