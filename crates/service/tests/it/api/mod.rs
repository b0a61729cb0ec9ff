//! The HTTP API against the embedded Taskcluster. Every answer is held against the OpenAPI document.

mod asking;
mod builders;
mod events;
mod limits;
mod reading;
mod refused;
mod schemathesis;
mod site;
