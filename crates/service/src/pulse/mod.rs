//! Pulse messages on their way to requests.
//!
//! ```text
//! message ─core::pulse─► Message ─handlers─► NewRequest ══journal══► … ─resolver─► Found ─policy─► Grant ─► carried out
//! ```

mod counters;
mod dead;
mod delivered;
pub mod handlers;
pub mod intake;
mod listener;
mod memory;
mod overhear;
mod passing;
mod pause;
pub mod policy;
pub mod rehearse;
pub mod replay;
pub mod resolver;
mod states;
mod treeherder;

pub use counters::{Counted, Counters};
pub use delivered::{Delivered, MAX_LINE_BYTES};
pub use listener::{ListenError, Listener, authorities, broker};
pub use overhear::overhear;
pub use states::hear_states;
pub use treeherder::{HasNone, KnownJob, Treeherder, TreeherderError};
