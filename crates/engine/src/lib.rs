//! The drivers that tie the pure core to a Taskcluster: fetch, gather facts, plan, create, follow.

pub mod action;
mod authority;
mod cache;
mod cancel;
mod creator;
mod fetch;
mod history;
mod lookup;
mod memory;
mod own_run;
mod parameters;
mod planner;
mod plans;
pub mod preflight;
pub mod project;
mod push;
mod push_ref;
pub mod recheck;
pub mod reference;
mod run_plan;
pub mod stored_graph;
mod yaml;

pub use authority::AuthorityError;
pub use cache::Cache;
pub use cancel::{Cancelled, cancel};
pub use creator::{Progress, create};
pub use fetch::{Artifacts, FetchError, Wanted};
pub use history::Notice;
pub use own_run::OwnRun;
pub use parameters::{ParametersError, read_parameters};
pub use planner::{Lookups, Planned, PlannerError, plan};
pub use plans::{Plans, PlansError};
pub use push::{Push, PushError};
pub use push_ref::{InvalidPushRef, PushRef, ResolveError};
pub use run_plan::{PLAN_ARTIFACT, RunPlanError};
pub use yaml::YamlError;
