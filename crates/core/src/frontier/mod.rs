//! What may be created now: the protocol of creation as a pure state machine.

mod step;

pub use step::{Answer, Call, Halt, Place, Step};
