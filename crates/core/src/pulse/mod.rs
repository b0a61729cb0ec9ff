//! What Treeherder publishes when somebody clicks, as it did to pulse_actions: three exchanges, in all their spellings.
//!
//! ```text
//! exchange?, routing key?, body ─► Message::delivered ─► Message { exchange, project, requester, wants }, addressed so?
//! ```
//!
//! Reading is total and bounded, and knows nothing of what is allowed or can be found: a message that was understood says
//! what it wants, whatever becomes of it. The formats are those of Treeherder's `schemas/*-action-message.json`, 2016, and
//! of messages recorded then.

mod address;
mod exchange;
mod field;
#[cfg(test)]
mod fuzz;
mod guid;
mod message;
mod read;

pub use address::Misaddressed;
pub use exchange::{Exchange, InvalidExchange, Kind};
pub use guid::task_of;
pub use message::{Job, JobAction, Message, Push, PushAction, Wants};
pub use read::{MAX_BODY_BYTES, MAX_JOB_CHARS, MAX_JOBS, MAX_TIMES, Unreadable, requester};
