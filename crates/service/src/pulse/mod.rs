//! Pulse messages on their way to requests.
//!
//! ```text
//! message ─core::pulse─► Message ─handlers─► NewRequest ══journal══► … ─resolver─► Found ─policy─► Grant ─► carried out
//! ```

mod delivered;
pub mod handlers;
mod memory;
pub mod policy;
pub mod rehearse;
pub mod replay;
pub mod resolver;
mod treeherder;

pub use delivered::{Delivered, MAX_LINE_BYTES};
pub use treeherder::{HasNone, KnownJob, Treeherder, TreeherderError};
