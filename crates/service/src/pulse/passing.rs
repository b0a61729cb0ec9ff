//! Queues that go with the connection: what exchanges publish meanwhile is told here as well, and taken from nobody.

use taskgraft_client::pulse::{Binding, Subscription, Topology};
use taskgraft_core::ids::TaskId;

/// What `sources`, exchanges with patterns of routing keys, publish from now on, in a queue of its own. `name` tells what it
/// is for.
pub(super) fn passing<'a>(
    user: &str,
    name: &str,
    sources: impl IntoIterator<Item = (&'a str, &'a str)>,
    prefetch: u16,
) -> Subscription {
    let queue = format!("queue/{user}/taskgraft-{name}-{}", TaskId::from_bytes(rand::random()));
    let binding = |(exchange, routing_key): (&str, &str)| Binding {
        queue: queue.clone(),
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
    };
    let bindings = sources.into_iter().map(binding).collect();
    let topology = Topology { passing: vec![queue.clone()], bindings, ..Topology::default() };
    Subscription { queue, topology, prefetch }
}
