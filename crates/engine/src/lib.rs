//! The drivers that tie the pure core to a Taskcluster: fetch, gather facts, plan, create, follow.

mod authority;
mod cache;
mod fetch;
mod history;
mod lookup;
mod parameters;
pub mod preflight;
mod push;
mod push_ref;
mod yaml;

pub use authority::AuthorityError;
pub use cache::Cache;
pub use fetch::{Artifacts, FetchError, Wanted};
pub use history::Notice;
pub use parameters::{Parameters, ParametersError};
pub use push::{Push, PushError};
pub use push_ref::{InvalidPushRef, PushRef, ResolveError};
pub use yaml::YamlError;
