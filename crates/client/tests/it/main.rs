//! The client against a server that verifies signatures and breaks on demand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod artifacts;
mod hooks;
mod retry;
mod server;
mod signature;
mod site;
