//! Messages out of a queue, for as long as anybody wants them.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::watch;

use super::session::Session;
use super::topology::name;
use super::{Broker, Delivery, Error, Topology, broker};
use crate::Retry;

/// What is consumed.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Out of which queue.
    pub queue: String,
    /// What has to be there first: the queue, for one.
    pub topology: Topology,
    /// How many messages may be delivered and not yet acknowledged.
    pub prefetch: u16,
}

/// Whether a consumer has a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not yet.
    Connecting,
    /// It has.
    Connected,
    /// It was lost or can't be made, for this reason; it is tried again.
    Lost(String),
}

/// Messages out of a queue. A lost connection is made anew, with growing pauses, for as long as it takes.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    subscription: Subscription,
    live: Option<Live>,
    /// Connections that were lost or not made since a message last came, or one held.
    failures: u32,
    was_connected: bool,
    link: watch::Sender<Link>,
}

#[derive(Debug)]
struct Live {
    messages: lapin::Consumer,
    session: Session,
    since: Instant,
}

/// Pauses between tries: short at first, never above 30 s, without an end.
const PATIENCE: Retry =
    Retry { tries: u32::MAX, within: Duration::MAX, base: Duration::from_millis(200), cap: Duration::from_secs(30) };

/// A connection that held so long was a good one: what broke it is a trouble of its own.
const STEADY: Duration = Duration::from_secs(60);

impl Consumer {
    pub(super) fn new(broker: Broker, subscription: Subscription) -> Self {
        let link = watch::Sender::new(Link::Connecting);
        Self { broker, subscription, live: None, failures: 0, was_connected: false, link }
    }

    /// Whether there is a connection, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// The next message. Dropped before it is ready, it loses nothing.
    ///
    /// # Errors
    /// If the broker refuses the first connection for good: a wrong password, a missing exchange. Once there has been a
    /// connection, a refusal counts as any other loss: somebody may be busy with the broker.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            let why = match &mut self.live {
                Some(live) => match live.messages.next().await {
                    Some(Ok(delivery)) => {
                        self.failures = 0;
                        return Ok(delivery.into());
                    }
                    Some(Err(error)) => self.broker.error(&error).to_string(),
                    None => format!("the queue `{}` is gone", self.subscription.queue),
                },
                None => {
                    self.pause().await;
                    match self.subscribe().await {
                        Ok(live) => {
                            tracing::info!(broker = %self.broker.address(), queue = self.subscription.queue, "listening");
                            (self.live, self.was_connected) = (Some(live), true);
                            self.link.send_replace(Link::Connected);
                            continue;
                        }
                        Err(error) if !error.is_transient() && !self.was_connected => return Err(error),
                        Err(error) => error.to_string(),
                    }
                }
            };
            tracing::warn!(broker = %self.broker.address(), why, "no messages for now; connecting again");
            if self.live.take().is_some_and(|live| live.since.elapsed() > STEADY) {
                self.failures = 0;
            }
            self.failures = self.failures.saturating_add(1);
            self.link.send_replace(Link::Lost(why));
        }
    }

    /// Ends the connection. What was delivered and not acknowledged goes back to the queue.
    pub async fn close(mut self) {
        if let Some(live) = self.live.take() {
            live.session.close().await;
        }
    }

    async fn pause(&self) {
        if self.failures > 0 {
            let luck = rand::random_range(0.5..1.0);
            let pause = PATIENCE.pause(self.failures, Duration::ZERO, luck, None);
            tokio::time::sleep(pause.unwrap_or(PATIENCE.cap)).await;
        }
    }

    async fn subscribe(&self) -> Result<Live, Error> {
        let Subscription { queue, topology, prefetch } = &self.subscription;
        let queue = name(queue)?;
        let session = self.broker.open(topology).await?;
        let channel = &session.channel;
        let consume = async {
            channel.basic_qos(*prefetch, BasicQosOptions::default()).await?;
            channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default()).await
        };
        let consume = async { consume.await.map_err(|error| self.broker.error(&error)) };
        let messages = self.broker.within(broker::CONNECT, consume).await?;
        Ok(Live { messages, session, since: Instant::now() })
    }
}
