//! Pulse messages on their way to requests.
//!
//! ```text
//! message ─core::pulse─► Message ─handlers─► NewRequest ══journal══► … ─resolver─► Found ─policy─► Grant ─► carried out
//! ```

pub mod handlers;
mod memory;
pub mod policy;
pub mod resolver;
mod treeherder;

pub use treeherder::{HasNone, KnownJob, Treeherder, TreeherderError};
