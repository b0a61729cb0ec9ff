//! What everything that listens on a port shares: [`serve`] with bounds on whoever connects, and an [`Exposition`] of
//! what was counted, in Prometheus' text format. What is served is the caller's.

mod exposition;
mod gauge;
mod histogram;
mod listener;
mod stall;

pub use exposition::{CONTENT_TYPE, Exposition, Kind};
pub use gauge::{Gauge, One};
pub use histogram::Histogram;
pub use listener::{Bounds, serve, serve_router};
