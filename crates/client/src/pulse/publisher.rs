//! Messages into exchanges, confirmed by the broker.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation};

use super::session::Session;
use super::topology::name;
use super::{Broker, Error, Topology, broker};

/// AMQP's number for messages that outlive the broker's end.
const PERSISTENT: u8 = 2;

/// How long the broker may take to confirm what is published in one call.
const CONFIRM: Duration = Duration::from_secs(60);

/// A message to publish: JSON, kept on the broker's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// To which exchange.
    pub exchange: String,
    /// Its routing key, at most 255 bytes.
    pub routing_key: String,
    /// Further keys that it is routed by.
    pub cc: Vec<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its name, by which a repetition is recognised; at most 255 bytes.
    pub message_id: Option<String>,
    /// Whether it is an error if no queue takes it.
    pub mandatory: bool,
    /// What it says.
    pub body: Vec<u8>,
}

/// Publishes. It connects when there is something to publish, and anew after a failure.
#[derive(Debug)]
pub struct Publisher {
    broker: Broker,
    topology: Topology,
    live: Option<Session>,
}

impl Publisher {
    pub(super) fn new(broker: Broker, topology: Topology) -> Self {
        Self { broker, topology, live: None }
    }

    /// Publishes messages in their order, and returns when the broker has confirmed all of them.
    ///
    /// # Errors
    /// If it has not: then some may have been published, and the same call publishes all again.
    pub async fn publish(&mut self, messages: &[Outgoing]) -> Result<(), Error> {
        // Kept only after a success: whoever stops waiting half-way, or fails, begins with a new connection.
        let session = match self.live.take().filter(|session| session.connection.status().connected()) {
            Some(session) => session,
            None => self.open().await?,
        };
        self.broker.within(CONFIRM, self.send(&session.channel, messages)).await?;
        self.live = Some(session);
        Ok(())
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        if let Some(session) = self.live.take() {
            session.close().await;
        }
    }

    async fn open(&self) -> Result<Session, Error> {
        let session = self.broker.open(&self.topology).await?;
        let confirms = session.channel.confirm_select(ConfirmSelectOptions::default());
        let confirms = async { confirms.await.map_err(|error| self.broker.error(&error)) };
        self.broker.within(broker::CONNECT, confirms).await?;
        Ok(session)
    }

    async fn send(&self, channel: &Channel, messages: &[Outgoing]) -> Result<(), Error> {
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            let (exchange, key) = (name(&message.exchange)?, name(&message.routing_key)?);
            let options = BasicPublishOptions { mandatory: message.mandatory, ..BasicPublishOptions::default() };
            let confirm = channel.basic_publish(exchange, key, options, &message.body, message.properties()?).await;
            confirms.push(confirm.map_err(|error| self.broker.error(&error))?);
        }
        let confirmed = try_join_all(confirms).await.map_err(|error| self.broker.error(&error))?;
        for (confirmation, message) in confirmed.into_iter().zip(messages) {
            let address = || self.broker.address().clone();
            match confirmation {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => {
                    return Err(Error::Unroutable { address: address(), exchange: message.exchange.clone() });
                }
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err(Error::Lost { address: address(), why: "it did not take a message".to_owned() });
                }
            }
        }
        Ok(())
    }
}

impl Outgoing {
    fn properties(&self) -> Result<BasicProperties, Error> {
        let text = |text: &str| AMQPValue::LongString(LongString::from(text));
        let mut headers = FieldTable::default();
        if !self.cc.is_empty() {
            let keys: Vec<_> = self.cc.iter().map(|key| text(key)).collect();
            headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(keys)));
        }
        for (key, value) in &self.headers {
            headers.insert(name(key)?, text(value));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers);
        Ok(match &self.message_id {
            Some(id) => properties.with_message_id(name(id)?),
            None => properties,
        })
    }
}
