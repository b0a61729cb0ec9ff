//! What Taskcluster's services send and take: one type per schema, `camelCase` on the wire.
//!
//! Shared by whoever asks and whoever answers; checked against the published schemas.

pub mod auth;
pub mod hooks;
pub mod index;
pub mod queue;
