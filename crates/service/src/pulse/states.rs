//! What the queue's exchanges say of tasks and groups, for whoever follows them at the moment.
//!
//! Nothing is kept for later: the queue of messages goes with the connection, and what was missed meanwhile is seen by
//! looking, as by those who hear of no messages at all.

use taskgraft_client::pulse::{Binding, Broker, Error, Subscription, Topology};
use taskgraft_core::ids::TaskId;
use tokio::sync::watch;

use crate::live::{EXCHANGES, Live};

/// How many messages are on their way at once: handing one on takes no time.
const PREFETCH: u16 = 1000;

/// Hands on what becomes of tasks and groups, until `stop` is true.
///
/// # Errors
/// If the broker refuses the first connection for good: an exchange is missing, say.
pub async fn hear_states(broker: &Broker, live: &Live, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let mut consumer = broker.consume(subscription(broker.address().user()));
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

/// All that the exchanges say, in a queue of its own.
fn subscription(user: &str) -> Subscription {
    let queue = format!("queue/{user}/taskgraft-states-{}", TaskId::from_bytes(rand::random()));
    let binding = |exchange: &&str| Binding {
        queue: queue.clone(),
        exchange: (*exchange).to_owned(),
        routing_key: "#".to_owned(),
    };
    let bindings = EXCHANGES.iter().map(binding).collect();
    let topology = Topology { passing: vec![queue.clone()], bindings, ..Topology::default() };
    Subscription { queue, topology, prefetch: PREFETCH }
}
