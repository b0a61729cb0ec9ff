//! A message that was delivered.

use std::time::Duration;

use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::{AMQPValue, ShortString};

/// How long a word about a delivery may take to reach the connection. lapin never answers some of those that it holds in
/// the moment in which a connection breaks.
const SAID: Duration = Duration::from_secs(5);

/// A message that was delivered. Until it is acknowledged the broker keeps it, and delivers it again after the
/// connection is lost.
#[derive(Debug)]
pub struct Delivery {
    /// The exchange it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Further keys it was routed by: Taskcluster's `route.…`.
    pub cc: Vec<String>,
    /// The publisher's name for it, where it gave one.
    pub message_id: Option<String>,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// What it says.
    pub body: Vec<u8>,
    acker: Acker,
}

impl Delivery {
    /// Acknowledges it: the broker forgets it. If the connection is gone it will be delivered again, which is said by
    /// `false`.
    pub async fn ack(&self) -> bool {
        said(self.acker.ack(BasicAckOptions::default())).await
    }

    /// Gives it back to the queue, for whoever takes it next.
    pub async fn give_back(&self) -> bool {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        said(self.acker.nack(options)).await
    }
}

async fn said(saying: impl Future<Output = lapin::Result<bool>>) -> bool {
    matches!(tokio::time::timeout(SAID, saying).await, Ok(Ok(true)))
}

impl From<lapin::message::Delivery> for Delivery {
    fn from(delivery: lapin::message::Delivery) -> Self {
        let properties = &delivery.properties;
        let cc = properties.headers().as_ref().and_then(|headers| headers.inner().get("CC"));
        let cc = match cc {
            Some(AMQPValue::FieldArray(keys)) => keys.as_slice().iter().filter_map(text).collect(),
            Some(_) | None => Vec::new(),
        };
        let message_id = properties.message_id().as_ref().map(ShortString::to_string).filter(|id| !id.is_empty());
        Self {
            exchange: delivery.exchange.into(),
            routing_key: delivery.routing_key.into(),
            cc,
            message_id,
            redelivered: delivery.redelivered,
            body: delivery.data,
            acker: delivery.acker,
        }
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    value.as_long_string().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}
