//! The embedded Taskcluster: queue, index and auth on SQLite, and a process worker.

pub mod store;
