//! Messages that can't be understood: kept in the journal with the reason, and put into a queue of the broker, where
//! other programs can see them. The journal's copy is what is tried again when somebody wants that.

use taskgraft_client::pulse::{Binding, Broker, Outgoing, Publisher, Topology};
use tokio::sync::{mpsc, oneshot, watch};

use super::intake::{Intake, Raw};
use super::listener::pause;
use crate::journal::{Journal, JournalError, Letter, NewLetter, Received, Settled};

/// How many dead letters are published at once.
pub(super) const BATCH: usize = 64;

/// The exchange and the queue of dead letters. Both bear the user's name, so that a user of Pulse may declare them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grave {
    exchange: String,
    queue: String,
}

impl Grave {
    pub(super) fn new(user: &str, name: &str) -> Self {
        Self { exchange: format!("exchange/{user}/{name}"), queue: format!("queue/{user}/{name}") }
    }

    /// A publisher into it.
    pub(super) fn publisher(&self, broker: &Broker) -> Publisher {
        let binding =
            Binding { queue: self.queue.clone(), exchange: self.exchange.clone(), routing_key: "#".to_owned() };
        broker.publisher(Topology {
            exchanges: vec![self.exchange.clone()],
            queues: vec![self.queue.clone()],
            bindings: vec![binding],
            ..Topology::default()
        })
    }

    /// The message as it goes there: as it was, with the reason and where it came from in its headers.
    pub(super) fn letter(&self, letter: &NewLetter) -> Outgoing {
        Outgoing {
            exchange: self.exchange.clone(),
            routing_key: letter.routing_key.clone(),
            headers: vec![
                ("x-taskgraft-reason", letter.reason.clone()),
                ("x-taskgraft-exchange", letter.exchange.clone()),
            ],
            message_id: letter.message_id.clone(),
            mandatory: true,
            body: letter.body.clone(),
            ..Outgoing::default()
        }
    }
}

/// A dead letter on its way to the broker, and whom to tell when it is there.
pub(super) type Burial = (Outgoing, oneshot::Sender<()>);

/// Publishes dead letters, those together that come together, until nobody has any or it is told to stop.
pub(super) async fn bury(
    mut publisher: Publisher,
    mut burials: mpsc::Receiver<Burial>,
    mut stop: watch::Receiver<bool>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while burials.recv_many(&mut batch, BATCH).await > 0 {
        let (letters, told): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let mut tries = 0;
        while let Err(error) = publisher.publish(&letters).await {
            tracing::warn!(%error, letters = letters.len(), "dead letters are in the journal, but not in their queue");
            // What the broker refuses stays refused; the journal has it.
            if !error.is_transient() {
                break;
            }
            tries += 1;
            if pause(tries, &mut stop).await {
                return;
            }
        }
        for told in told {
            // Whoever waited may have been told to stop.
            let _ = told.send(());
        }
    }
    publisher.close().await;
}

/// Tries dead letters again as soon as somebody wants it, until it is told to stop.
pub(super) async fn try_again(intake: &Intake, journal: &Journal, mut stop: watch::Receiver<bool>) {
    let mut wanted = journal.subscribe_letters();
    let mut tries = 0;
    loop {
        match again(intake, journal).await {
            Ok(0) => {
                tries = 0;
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    changed = wanted.changed() => if changed.is_err() { return },
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "dead letters can't be tried again for now");
                tries += 1;
                if pause(tries, &mut stop).await {
                    return;
                }
            }
        }
    }
}

/// Tries what is wanted now, and says how many.
async fn again(intake: &Intake, journal: &Journal) -> Result<usize, JournalError> {
    let letters = journal.wanted_letters(100).await?;
    for letter in &letters {
        journal.settle_letter(letter.n, settle(intake, journal, letter).await?).await?;
    }
    Ok(letters.len())
}

async fn settle(intake: &Intake, journal: &Journal, letter: &Letter) -> Result<Settled, JournalError> {
    let NewLetter { exchange, routing_key, message_id, body, .. } = &letter.message;
    let raw = Raw { exchange, routing_key, message_id: message_id.as_deref(), redelivered: false, body };
    let taken = match intake.read(raw) {
        Ok(taken) => taken,
        Err(unreadable) => return Ok(Settled::Dead(unreadable.to_string())),
    };
    Ok(match taken.receive(journal).await {
        Ok(Received::New(request) | Received::Known(request)) => Settled::Request(request.id),
        Ok(Received::Other(request)) => Settled::Dead(taken_by(&request)),
        Err(JournalError::Store(error)) => return Err(JournalError::Store(error)),
        Err(error) => Settled::Dead(error.to_string()),
    })
}

/// Why a message whose id another one has is dead.
pub(super) fn taken_by(other: &crate::Request) -> String {
    format!("its message id is that of request {}, which asks for something else", other.id)
}
