//! What the queue's exchanges say of tasks and groups, for whoever follows them at the moment.
//!
//! Nothing is kept for later: the queue of messages goes with the connection, and what was missed meanwhile is seen by
//! looking, as by those who hear of no messages at all.

use taskgraft_client::pulse::{Broker, Error};
use tokio::sync::watch;

use super::passing::passing;
use crate::live::{EXCHANGES, Live};

/// How many messages are on their way at once: handing one on takes no time.
const PREFETCH: u16 = 1000;

/// Hands on what becomes of tasks and groups, until `stop` is true.
///
/// # Errors
/// If the broker refuses the first connection for good: an exchange is missing, say.
pub async fn hear_states(broker: &Broker, live: &Live, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let sources = EXCHANGES.map(|exchange| (exchange, "#"));
    let mut consumer = broker.consume(passing(broker.address().user(), "states", sources, PREFETCH));
    loop {
        let delivery = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            delivery = consumer.next() => delivery?,
        };
        live.tell(&delivery.exchange, &delivery.body);
        delivery.ack().await;
    }
    consumer.close().await;
    Ok(())
}
