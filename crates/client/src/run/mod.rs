//! A claimed run, as any worker has one: its claim, its log, its artifacts, its end.
//!
//! What a worker *does* for a task is its own affair. What it owes the queue meanwhile is the same for all of them, and is
//! here: the claim is renewed and watched ([`Session`]), the log can be read while it grows ([`TaskLog`], [`LogServer`]),
//! and the run ends in one [`Resolution`] that the log's last line says.

mod leftover;
mod livelog;
mod log;
mod resolution;
mod session;

pub use leftover::{RunOf, directory_name, runs_in};
pub use livelog::{LogServer, Published};
pub use log::{CONTENT_TYPE, Progress, TaskLog};
pub use resolution::Resolution;
pub use session::Session;
