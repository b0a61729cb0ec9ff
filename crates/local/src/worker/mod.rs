//! The process worker: claims tasks over HTTP, runs them on this machine, and says what became of them.
//!
//! ```text
//! claim (a loop per task queue) ─► supervisor ─► run ─► payload ─► mounts ─► process ─► artifacts ─► resolution
//!                                                 │                └► docker ─┘
//!                                                 └► session: renews the claim, sees cancellation (as for any worker,
//!                                                    in taskgraft_client::run)
//! ```
//!
//! It speaks to the queue as any worker does: with its own credentials it only claims; everything about a run is done
//! with the run's. Tasks get neither; `taskclusterProxy` signs for them instead. Behaviour follows generic-worker's and
//! docker-worker's documentation; where a task could ask for what isn't had here, it is refused rather than ignored.
//!
//! Tasks run with the worker's own rights on the machine: this is for one's own machine and one's own tasks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

mod archive;
mod artifacts;
mod builtin;
mod cache;
mod claim;
mod config;
mod docker;
mod environment;
mod leftover;
mod mounts;
mod paths;
mod payload;
mod process;
mod proxy;
mod resolution;
mod run;
mod strays;
mod supervisor;

pub use config::{Config, DEFAULT_SEARCH_PATH};
pub use supervisor::{Running, StartError, Worker};

/// 32 characters that nobody can guess, fit for a path.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}
