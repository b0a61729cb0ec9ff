//! The client against a server that verifies signatures and breaks on demand.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod artifacts;
mod hooks;
mod pulse;
mod retry;
mod server;
mod signature;
mod site;
