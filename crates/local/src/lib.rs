//! The embedded Taskcluster: queue, index and auth on SQLite, and a process worker.

pub mod auth;
mod ctx;
pub mod http;
pub mod index;
pub mod queue;
pub mod store;

pub use ctx::{Clock, Ctx, SystemClock};
