//! The drivers that tie the pure core to a Taskcluster: fetch, gather facts, plan, create, follow.

mod cache;
mod fetch;
mod parameters;
mod push_ref;
mod yaml;

pub use cache::Cache;
pub use fetch::{Artifacts, FetchError, Wanted};
pub use parameters::{Parameters, ParametersError};
pub use push_ref::{InvalidPushRef, PushRef, ResolveError};
pub use yaml::YamlError;
