//! The engine against the embedded Taskcluster, over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acting;
mod actions;
mod authority;
mod backfill;
mod cancelling;
mod concurrency;
mod conflicts;
mod contract;
mod crash;
mod graph;
mod history;
mod install;
mod keys;
mod own_actions;
mod own_run;
mod performing;
mod planning;
mod pyyaml;
mod recorded;
mod site;
mod taking_up;
mod together;
mod worker;

use taskgraft_testkit::proxy;
