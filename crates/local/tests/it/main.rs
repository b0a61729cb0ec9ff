//! The embedded Taskcluster as its clients see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clients;
mod hawk;
mod hooks;
mod http;
mod index;
mod migrations;
mod published;
mod python_client;
mod queue;
mod requests;
mod roles;
mod server;
mod support;
mod wire;
mod worker;
mod worker_docker;
mod worker_engine;
mod worker_mounts;
