//! Pulse: messages over AMQP 0.9.1, as RabbitMQ speaks it.
//!
//! A [`Broker`] is where to connect and as whom. A [`Consumer`] gives deliveries, and goes on after every lost
//! connection; what was not acknowledged comes again. A [`Publisher`] is done when the broker has confirmed.
//!
//! Recovery is ours and not lapin's own: a lost connection is forgotten as a whole, and the next one declares and
//! subscribes again, so that there is one way to begin (docs/design/0021-amqp.md).

mod address;
mod broker;
mod consumer;
mod delivery;
mod error;
mod publisher;
mod runtime;
mod session;
mod topology;

pub use address::{Address, AddressError};
pub use broker::Broker;
pub use consumer::{Consumer, Link, Subscription};
pub use delivery::Delivery;
pub use error::Error;
pub use publisher::{Outgoing, Publisher};
pub use topology::{Binding, Topology};
