//! The service against real servers: each test starts its own and ends it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod buildbot;
