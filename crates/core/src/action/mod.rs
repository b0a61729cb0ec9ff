//! Actions: what people can ask of a push that is running, one file each, all of them in [`ACTIONS`].
//!
//! ```text
//! actions.json ◄─publish─ ACTIONS ─► schema::validate(input) ─► decide(View, input) ─► Deeds
//! ```
//!
//! An action's [`decide`](Action::decide) says what is to be done and does nothing itself.

mod add_matching_jobs;
mod add_new_jobs;
mod backfill;
mod cancel;
mod cancel_all;
pub mod catalog;
mod context;
pub mod deed;
#[cfg(test)]
mod example;
mod fields;
pub mod in_tree;
pub mod member;
pub mod mustache;
mod near;
pub mod publish;
mod query;
mod rebuild_cached_tasks;
pub mod render;
mod rerun;
pub mod reserved;
mod retrigger;
mod retrigger_decision;
mod retrigger_disabled;
mod retrigger_failed;
mod retrigger_multiple;
mod run_missing_jobs;
pub mod schema;
pub mod setup;
mod table;

pub use context::{BadContext, TagSets, Tags, by_name};
pub use table::{ACTIONS, Action, Context, GENERIC, Needs, Origin, by_callback};
