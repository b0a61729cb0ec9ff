//! The task graph, its optimisation, plans and the order of creation: pure and synchronous.
//!
//! No clock, environment, files or network: values in, values out.
#![forbid(unsafe_code)]

pub mod action;
pub mod api;
pub mod definition;
pub mod frontier;
pub mod glob;
pub mod graph;
pub mod ids;
pub mod json;
pub mod morph;
pub mod nonces;
pub mod optimize;
pub mod params;
mod pattern;
pub mod plan;
pub mod printable;
pub mod pulse;
pub mod report;
pub mod scopes;
pub mod state;
pub mod time;
mod walk;
