//! The embedded Taskcluster: queue, index, hooks and auth on SQLite, and a process worker.

pub mod auth;
pub mod backup;
mod ctx;
mod hooks;
mod http;
mod index;
mod lock;
pub mod queue;
mod server;
mod tables;
pub mod worker;

pub use ctx::{Clock, Ctx, SystemClock};
pub use lock::{Holder, LockError, check_free};
pub use server::{Config, Running, Server, StartError};
