//! The listener: messages out of the broker's queues into the journal.
//!
//! A message is acknowledged when it is on disk, as a request or as a dead letter. Whatever ends before that, it comes
//! again; whatever ends after that, it is recognised. While the journal can't write, nothing is acknowledged, and the
//! broker sends no more than the prefetch count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use taskgraft_client::pulse::{
    Address, AddressError, Binding, Broker, Consumer, Delivery, Error, Link, Subscription, Topology,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::counters::Counters;
use super::dead::{self, Burial, Grave, taken_by};
use super::intake::{Intake, Raw, Taken};
use super::pause::{Stopped, pause};
use crate::config::{Config, Pulse, Secrets};
use crate::journal::{Journal, JournalError, NewLetter, Received};
use crate::log;

/// How often it is noted that a connection on which nothing comes stands.
const NOTING: Duration = Duration::from_secs(300);

/// The longest file of certificate authorities, in bytes: the machine's own are a quarter of it.
const LONGEST_AUTHORITIES: u64 = 1 << 20;

/// Why there is nothing to listen to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configuration has no `[pulse]`, or no handler in it.
    #[error("listen to pulse: the configuration names no {0}")]
    Nothing(&'static str),
    /// The broker's URL is none.
    #[error("listen to pulse: {0}")]
    Address(#[from] AddressError),
    /// The certificate authorities can't be read.
    #[error("read the authorities in {}: {error}", .path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The broker will not have us.
    #[error("listen to pulse: {0}")]
    Broker(#[from] Error),
}

/// Listens to what the configuration names.
#[derive(Debug)]
pub struct Listener {
    broker: Broker,
    subscriptions: Vec<Subscription>,
    grave: Grave,
    intake: Intake,
    counters: Arc<Counters>,
    /// How often it is noted that a quiet connection stands.
    noting: Duration,
}

impl Listener {
    /// As configured; connects to nothing yet.
    ///
    /// # Errors
    /// If there is nothing to listen to.
    pub fn new(config: &Config, secrets: &Secrets) -> Result<Self, ListenError> {
        let pulse = handled(config)?;
        Ok(Self {
            broker: broker(pulse, secrets)?,
            subscriptions: subscriptions(pulse),
            grave: Grave::new(&pulse.user, &pulse.dead_letter),
            intake: Intake::new(config),
            counters: Arc::default(),
            noting: NOTING,
        })
    }

    /// The same, noting more or less often that a connection on which nothing comes stands.
    #[must_use]
    pub fn noting(self, noting: Duration) -> Self {
        Self { noting, ..self }
    }

    /// What it has done, now and later.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Listens until `stop` is true; then ends what has begun.
    ///
    /// # Errors
    /// If the broker refuses the first connection for good.
    pub async fn run(self, journal: Journal, stop: watch::Receiver<bool>) -> Result<(), ListenError> {
        let (letters, burials) = mpsc::channel(dead::BATCH);
        let burying = tokio::spawn(dead::bury(self.grave.publisher(&self.broker), burials, stop.clone()));
        let desk = Desk {
            intake: &self.intake,
            journal: &journal,
            grave: &self.grave,
            letters,
            counters: &self.counters,
            noting: self.noting,
            stop: stop.clone(),
        };
        let listening = try_join_all(self.subscriptions.iter().map(|subscription| {
            let exchanges = subscription.topology.bindings.iter().map(|binding| binding.exchange.clone());
            desk.listen(self.broker.consume(subscription.clone()), exchanges.collect())
        }));
        let trying = async {
            dead::try_again(&self.intake, &journal, stop.clone()).await;
            Ok(())
        };
        let ended = tokio::try_join!(listening, trying);
        drop(desk);
        if ended.is_err() {
            // Nobody waits for a letter any more.
            burying.abort();
        }
        // It ends with the last who could bring a letter.
        let _ = burying.await;
        ended.map(|_| ()).map_err(ListenError::from)
    }
}

/// The part of the configuration that says what to listen to.
pub(super) fn handled(config: &Config) -> Result<&Pulse, ListenError> {
    let pulse = config.pulse.as_ref().ok_or(ListenError::Nothing("[pulse]"))?;
    if pulse.handler.is_empty() { Err(ListenError::Nothing("[[pulse.handler]]")) } else { Ok(pulse) }
}

/// The broker that the configuration names, with the user's password.
///
/// # Errors
/// If its URL is none, its authorities can't be read, or TLS can't be set up.
pub fn broker(pulse: &Pulse, secrets: &Secrets) -> Result<Broker, ListenError> {
    let address: Address = pulse.url.parse()?;
    let address = address.with_user(pulse.user.clone());
    let address = match &secrets.pulse {
        Some(password) => address.with_password(password.clone()),
        None => address,
    };
    let authorities = pulse.authorities.as_deref().map(authorities).transpose()?;
    Ok(Broker::new(address, &authorities.unwrap_or_default())?)
}

/// A file of certificate authorities, for a [`Broker`].
///
/// # Errors
/// If it can't be read or is too long.
pub fn authorities(path: &Path) -> Result<Vec<u8>, ListenError> {
    let unread = |error| ListenError::Authorities { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(LONGEST_AUTHORITIES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > LONGEST_AUTHORITIES {
        return Err(unread(io::Error::other(format!("it has more than {LONGEST_AUTHORITIES} bytes"))));
    }
    if bytes.is_empty() {
        return Err(unread(io::Error::other("it is empty")));
    }
    Ok(bytes)
}

/// One for each queue: several handlers may share one.
fn subscriptions(pulse: &Pulse) -> Vec<Subscription> {
    let mut bindings: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    for handler in &pulse.handler {
        let queue = format!("queue/{}/{}", pulse.user, handler.queue);
        let keys = handler.keys.iter().map(|key| Binding {
            queue: queue.clone(),
            exchange: handler.exchange.clone(),
            routing_key: key.clone(),
        });
        bindings.entry(queue.clone()).or_default().extend(keys);
    }
    let subscription = |(queue, bindings): (String, Vec<Binding>)| Subscription {
        topology: Topology { queues: vec![queue.clone()], bindings, ..Topology::default() },
        prefetch: pulse.prefetch,
        queue,
    };
    bindings.into_iter().map(subscription).collect()
}

/// What every message passes over.
struct Desk<'a> {
    intake: &'a Intake,
    journal: &'a Journal,
    grave: &'a Grave,
    letters: mpsc::Sender<Burial>,
    counters: &'a Counters,
    noting: Duration,
    stop: watch::Receiver<bool>,
}

impl Desk<'_> {
    /// Takes messages of these exchanges until it is told to stop.
    async fn listen(&self, mut consumer: Consumer, exchanges: BTreeSet<String>) -> Result<(), Error> {
        let (mut stop, link) = (self.stop.clone(), consumer.link());
        let exchanges: Vec<String> = exchanges.into_iter().collect();
        let mut ticks = tokio::time::interval_at(Instant::now() + self.noting, self.noting);
        // As many as the broker sends without acknowledgements: the prefetch count. They share the journal's writes.
        let mut taking = FuturesUnordered::new();
        loop {
            let quiet = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(()) = taking.next() => false,
                // Messages say that themselves.
                _ = ticks.tick() => taking.is_empty() && *link.borrow() == Link::Connected,
                delivery = consumer.next() => {
                    taking.push(self.take(delivery?));
                    false
                }
            };
            if quiet {
                self.note(&exchanges).await;
            }
        }
        while taking.next().await.is_some() {}
        consumer.close().await;
        Ok(())
    }

    /// Notes that the connection stands.
    async fn note(&self, exchanges: &[String]) {
        if let Err(error) = self.journal.connected(exchanges).await {
            tracing::warn!(%error, "failed to note that the broker is there");
        }
    }

    /// Deals with one message, and acknowledges it once that is on disk.
    async fn take(&self, delivery: Delivery) {
        let raw = Raw {
            exchange: &delivery.exchange,
            routing_key: &delivery.routing_key,
            message_id: delivery.message_id.as_deref(),
            redelivered: delivery.redelivered,
            body: &delivery.body,
        };
        let done = match self.intake.read(raw) {
            Ok(taken) => self.receive(raw, taken).await,
            Err(why) => self.give_up(raw, why.to_string()).await,
        };
        if done.is_ok() && !delivery.ack().await {
            Counters::count(&self.counters.unacknowledged);
        }
    }

    async fn receive(&self, raw: Raw<'_>, taken: Taken) -> Result<(), Stopped> {
        match self.written(|| taken.clone().receive(self.journal)).await? {
            Ok(Received::New(request)) => {
                Counters::count(&self.counters.received);
                log::span(&request).in_scope(|| tracing::info!(exchange = raw.exchange, "received by pulse"));
                Ok(())
            }
            Ok(Received::Known(request)) => {
                Counters::count(&self.counters.known);
                log::span(&request).in_scope(|| tracing::info!(exchange = raw.exchange, "came again by pulse"));
                Ok(())
            }
            Ok(Received::Other(other)) => self.give_up(raw, taken_by(&other)).await,
            Err(error) => self.give_up(raw, error.to_string()).await,
        }
    }

    /// Makes a dead letter of a message.
    async fn give_up(&self, raw: Raw<'_>, reason: String) -> Result<(), Stopped> {
        tracing::warn!(exchange = raw.exchange, reason, "a message can't be understood");
        let letter = NewLetter {
            exchange: raw.exchange.to_owned(),
            routing_key: raw.routing_key.to_owned(),
            message_id: raw.message_id.map(str::to_owned),
            reason,
            body: raw.body.to_owned(),
        };
        let (told, buried) = oneshot::channel();
        // Into the queue first: the journal's copy then says that all was done.
        self.letters.send((self.grave.letter(&letter), told)).await.map_err(|_| Stopped)?;
        buried.await.map_err(|_| Stopped)?;
        let window = self.intake.window(raw);
        match self.written(|| self.journal.dead_letter(letter.clone(), window)).await? {
            Ok(_) => Counters::count(&self.counters.dead),
            Err(error) => tracing::error!(%error, "a dead letter is in its queue, but can't be kept"),
        }
        Ok(())
    }

    /// Tries to write until the journal does, or says that it never will.
    async fn written<T, F>(&self, write: impl Fn() -> F) -> Result<Result<T, JournalError>, Stopped>
    where
        F: Future<Output = Result<T, JournalError>>,
    {
        let (mut tries, mut stop) = (0, self.stop.clone());
        loop {
            match write().await {
                Err(JournalError::Store(error)) => {
                    tracing::warn!(%error, "the journal can't write; nothing is acknowledged until it does");
                    Counters::count(&self.counters.waits);
                    tries += 1;
                    if pause(tries, &mut stop).await {
                        return Err(Stopped);
                    }
                }
                written => return Ok(written),
            }
        }
    }
}
