//! The action worker: claims action tasks and performs them in this process.
//!
//! ```text
//! claim ─► payload ─► perform (crate::action) ─► ending ─► artifacts, log, resolution
//!             │          └► the run's temporary credentials and no others
//!             └► session: renews the claim, sees cancellation (taskgraft_client::run, as for any worker)
//! ```
//!
//! It takes action tasks as in-tree `.taskcluster.yml` files make them for docker-worker or generic-worker: what counts of
//! their payload is the environment, the time limit and how long artifacts are kept; image and command are of no interest,
//! since no container is started and no checkout made. With its own credentials it only claims.

mod artifacts;
mod claim;
mod config;
mod ending;
mod health;
mod livelog;
mod metrics;
mod payload;
mod prefetch;
mod run;
mod supervisor;

pub use config::{Config, LiveLog};
pub use health::serve as serve_health;
pub use metrics::Metrics;
pub use supervisor::{WorkerError, run};
