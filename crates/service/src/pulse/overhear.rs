//! What comes to the handlers, heard beside whoever listens for them.

use taskgraft_client::pulse::Consumer;

use super::listener::{ListenError, broker, handled};
use super::passing::passing;
use crate::config::{Config, Secrets};

/// The messages of the handlers' exchanges and routing keys, from the moment of connecting. They come out of a queue that
/// goes with the connection: the listener's own queues are neither made nor touched.
///
/// # Errors
/// If there is nothing to listen to, or the broker's URL or authorities are none.
pub fn overhear(config: &Config, secrets: &Secrets) -> Result<Consumer, ListenError> {
    let pulse = handled(config)?;
    let keys = pulse.handler.iter().flat_map(|handler| {
        let keys = handler.keys.iter().map(String::as_str);
        keys.map(|key| (handler.exchange.as_str(), key))
    });
    Ok(broker(pulse, secrets)?.consume(passing(&pulse.user, "dry-run", keys, pulse.prefetch)))
}
