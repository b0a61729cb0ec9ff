//! The doors people use, and the journal behind them: whatever comes in becomes one [`Request`], is written down before
//! anything is done, and ends in one result that its asker can see.
//!
//! ```text
//! pulse message ─parse─┐
//! HTTP request ────────┴► NewRequest ══journal══► received ─► ready ─► asked ══action task══► done | failed
//! ```

mod asked;
mod authority;
pub mod buildbot;
pub mod carry;
pub mod config;
mod fingerprint;
pub mod http;
pub mod journal;
mod live;
pub mod log;
mod made;
pub mod pulse;
pub mod reach;
mod request;
mod service;
mod state;

pub use asked::{Asked, PushName, Subject};
pub use live::{Live, LiveEvent, TaskEvent};
pub use made::MakeError;
pub use request::{Asker, Authority, Door, NewRequest, Request};
pub use service::{DoorError, Parts, Service, StartError};
pub use state::{Event, Invalid, State, next};
