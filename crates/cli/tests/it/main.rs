//! The binary, run as somebody at a shell would run it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod durability;
mod help;
mod run;
