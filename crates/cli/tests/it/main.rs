//! The binary, run as somebody at a shell would run it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod action;
mod adding;
mod asking;
mod bad_input;
mod builds;
mod callback;
mod carrying;
mod clicks;
mod crash;
mod door;
mod durability;
mod following;
mod green;
mod help;
mod hooked;
mod index_tasks;
mod listening;
mod listening_live;
mod over_http;
mod planning;
mod project;
mod publishing;
mod pull_requests;
mod pushes;
mod replaying;
mod requests;
mod run;
mod server;
mod stored_graph;
mod treeherder;
mod triggering;
mod up;
mod waiting;
mod worker;
