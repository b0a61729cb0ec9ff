//! What may be created now: the protocol of creation as a pure state machine.
//!
//! ```text
//! Frontier::new(plan) ──► loop { for step in frontier.next(now, room) ══call══► frontier.answer(place, answer, now) }
//! ```
//!
//! Dependencies are sent before what depends on them. A 409 is a question: the task is read, and adopted if it is the
//! one that would be created, else passed over for the next derived id. What is adopted half made is put back, and what
//! is reused is looked at once more in the end.

mod after;
mod cancel;
mod ending;
mod machine;
mod mend;
mod node;
mod outcome;
mod step;
mod task;

pub use machine::{Frontier, OutOfTurn, Uncreatable};
pub use node::Limits;
pub use outcome::{Mended, Outcome, Refused};
pub use step::{Answer, Call, Halt, Place, Step};
