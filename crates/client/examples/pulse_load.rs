//! A broker of its own with COUNT clicks waiting in the listener's queue, each twentieth of them twice, and garbage for
//! each hundredth: what bench/bench_pulse.py has taskgraft listen to.
//!
//! Prints `{"port", "published"}` when all is confirmed, and ends the broker at the end of its standard input.

use std::error::Error;
use std::io::{Read as _, Write as _};

use serde_json::json;
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_testkit::clicks::{self, EXCHANGE, QUEUE};
use taskgraft_testkit::rabbit::Rabbit;

fn click(n: usize) -> Outgoing {
    Outgoing {
        exchange: EXCHANGE.to_owned(),
        routing_key: "try".to_owned(),
        message_id: Some(format!("click-{n}")),
        body: clicks::body(n, &["test-linux64/opt-mochitest-1", "test-linux64/opt-mochitest-2"]),
        ..Outgoing::default()
    }
}

/// The messages that come of click number `n`.
fn messages(n: usize) -> impl Iterator<Item = Outgoing> {
    let again = n.is_multiple_of(20).then(|| click(n));
    let garbage = n.is_multiple_of(100).then(|| Outgoing {
        message_id: Some(format!("garbage-{n}")),
        body: b"no message".to_vec(),
        ..click(n)
    });
    std::iter::once(click(n)).chain(again).chain(garbage)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).ok_or("usage: pulse_load COUNT")?.parse()?;
    let rabbit = Rabbit::start();
    let broker = Broker::new(rabbit.url().parse()?, b"")?;
    let mut publisher = broker.publisher(Topology::of_all(EXCHANGE, QUEUE));
    let (mut published, mut batch) = (0, Vec::new());
    for n in 0..count {
        batch.extend(messages(n));
        if batch.len() >= 500 || n + 1 == count {
            publisher.publish(&batch).await?;
            published += batch.len();
            batch.clear();
        }
    }
    publisher.close().await;
    let mut out = std::io::stdout();
    writeln!(out, "{}", json!({"port": rabbit.address().port(), "published": published}))?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
