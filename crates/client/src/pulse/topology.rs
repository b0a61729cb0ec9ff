//! What has to be there before messages flow.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::{Broker, Error};

/// Exchanges, queues and bindings. They are declared with each new connection, which changes nothing where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Durable topic exchanges to declare. Those of others are not named here: one may not declare them.
    pub exchanges: Vec<String>,
    /// Durable queues.
    pub queues: Vec<String>,
    /// Queues that go with the connection, for what counts only at the moment. Nobody else can use them.
    pub passing: Vec<String>,
    /// What goes into them. An exchange that isn't there is an error.
    pub bindings: Vec<Binding>,
}

/// What goes into a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Into which.
    pub queue: String,
    /// Out of which exchange.
    pub exchange: String,
    /// What matches it: words between dots, `*` for any one, `#` for any number.
    pub routing_key: String,
}

/// Why something could not be declared.
pub(super) enum Fault {
    Name(Error),
    Lapin(lapin::Error),
}

impl Fault {
    pub(super) fn at(self, broker: &Broker) -> Error {
        match self {
            Self::Name(error) => error,
            Self::Lapin(error) => broker.error(&error),
        }
    }
}

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        Self::Lapin(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Name(error)
    }
}

impl Topology {
    /// A queue that gets everything from one exchange, both declared.
    #[must_use]
    pub fn of_all(exchange: &str, queue: &str) -> Self {
        let (exchange, queue) = (exchange.to_owned(), queue.to_owned());
        let binding = Binding { queue: queue.clone(), exchange: exchange.clone(), routing_key: "#".to_owned() };
        Self { exchanges: vec![exchange], queues: vec![queue], passing: Vec::new(), bindings: vec![binding] }
    }

    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), Fault> {
        for exchange in &self.exchanges {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name(exchange)?, ExchangeKind::Topic, options, FieldTable::default()).await?;
        }
        for queue in &self.queues {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name(queue)?, options, FieldTable::default()).await?;
        }
        for queue in &self.passing {
            let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name(queue)?, options, FieldTable::default()).await?;
        }
        for Binding { queue, exchange, routing_key } in &self.bindings {
            let (queue, exchange, key) = (name(queue)?, name(exchange)?, name(routing_key)?);
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
        }
        Ok(())
    }
}

/// A name as AMQP takes it. (lapin's own conversion would panic.)
pub(super) fn name(text: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|_| Error::TooLong(text.len()))
}
