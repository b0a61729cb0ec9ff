//! Asking for one of a push's own actions, with the asker's rights and nobody else's.
//!
//! ```text
//! actions.json ─fetch► Offer ─choose, validate, render► Prepared ─rights► send ══triggerHook / createTask══► Sent
//! ```
//!
//! triggerHook makes a new task each time it is called. So an answer that is lost is settled by the key that the input
//! carries: the task group is searched for it. Where nothing is found, only an action of ours is triggered again, which does
//! the work of one key once; what came of anybody else's is then not known, and said to be.

mod find;
mod left;
mod offer;
mod prepare;
mod rights;
mod send;

pub use find::FindError;
pub use left::{Left, LeftError, Outcome, last_lines, left, made, name};
pub use offer::{Offer, OfferError};
pub use prepare::{Ask, PrepareError, Prepared, Sending};
pub use rights::{RightsError, check, check_for, grants, needs};
pub use send::{Begun, SendError, Sent, begun, earlier, send};
