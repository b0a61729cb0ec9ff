//! Following one request through everything: each line about it has the request, its decision task, who asks and its
//! action task as fields, goes to the log like all others, and into the journal, where `taskgraft requests log` reads it.
//!
//! ```text
//! span(&request) ─ event ─┬► the log, whatever writes it
//!                         └► Lines ══bounded channel══► Keeper ══► journal
//! ```

mod lines;
mod mask;
mod span;

pub use lines::{Keeper, Lines, lines};
pub(crate) use mask::beginning;
pub use mask::mask;
pub use span::{acting, decided, span};
