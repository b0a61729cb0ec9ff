//! The drivers that tie the pure core to a Taskcluster: fetch, gather facts, plan, create, follow.

mod cache;
mod fetch;
mod parameters;
mod yaml;

pub use cache::Cache;
pub use fetch::{Artifacts, FetchError, Wanted};
pub use parameters::{Parameters, ParametersError};
pub use yaml::YamlError;
