//! Laws of planning and creation, with a queue in memory: what must hold whatever fails, and in whatever order.

mod better;
mod cancel;
mod create;
mod crowd;
mod elsewhere;
mod key;
mod plans;
mod push;
mod queue;
mod rounds;
mod transcripts;
