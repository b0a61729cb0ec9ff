//! Messages that can't be understood: kept in the journal with the reason, and put into a queue of the broker, where
//! other programs can see them. The journal's copy is what is tried again when somebody wants that.

use taskgraft_client::pulse::{Broker, Outgoing, Publisher, Topology};
use tokio::sync::{mpsc, oneshot, watch};

use super::intake::{Intake, Raw};
use super::pause::{Stopped, pause};
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
        broker.publisher(Topology::of_all(&self.exchange, &self.queue))
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
        if publish(&mut publisher, &letters, &mut stop).await.is_err() {
            return;
        }
        for told in told {
            // Whoever waited may have been told to stop.
            let _ = told.send(());
        }
    }
    publisher.close().await;
}

/// Publishes letters until the broker has confirmed them. What it refuses stays refused, and alone: the journal has it.
async fn publish(
    publisher: &mut Publisher,
    letters: &[Outgoing],
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Stopped> {
    let mut tries = 0;
    loop {
        // A broker may take its time: one that is short of memory says nothing at all.
        let published = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Err(Stopped),
            published = publisher.publish(letters) => published,
        };
        let Err(error) = published else { break };
        // The journal has its turn once this is done with.
        if error.is_transient() {
            tracing::warn!(%error, letters = letters.len(), "dead letters can't be put into their queue for now");
            tries += 1;
            if pause(tries, stop).await {
                return Err(Stopped);
            }
        } else if let [_, _, ..] = letters {
            // Which of them it was, only they can tell.
            tracing::debug!(%error, letters = letters.len(), "dead letters are put into their queue one by one");
            for letter in letters {
                Box::pin(publish(publisher, std::slice::from_ref(letter), stop)).await?;
            }
            break;
        } else {
            tracing::warn!(%error, "the broker refuses a dead letter: only the journal will have it");
            break;
        }
    }
    Ok(())
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
    if let Some(request) = &letter.became {
        return Ok(Settled::Request(request.clone()));
    }
    let NewLetter { exchange, routing_key, message_id, body, .. } = &letter.message;
    let raw = Raw { exchange, routing_key, message_id: message_id.as_deref(), redelivered: false, body };
    let mut taken = match intake.read(raw) {
        Ok(taken) => taken,
        Err(why) => return Ok(Settled::Dead(why.to_string())),
    };
    // What has no name of its own is named after the letter: tried again at any time, it is one request.
    if taken.within.take().is_some() {
        taken.request.key = format!("letter:{}", letter.n);
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use taskgraft_client::pulse::Subscription;
    use taskgraft_testkit::LATE;
    use taskgraft_testkit::rabbit::Rabbit;

    use super::*;
    use crate::journal::testing::{FIRST, Place};

    fn letter(n: usize) -> NewLetter {
        NewLetter {
            exchange: "exchange/treeherder/v1/job-actions".to_owned(),
            // AMQP has no place for the fourth one's.
            routing_key: if n == 3 { "x".repeat(300) } else { "key".to_owned() },
            message_id: Some(format!("letter-{n}")),
            reason: "it is no message".to_owned(),
            body: b"no message".to_vec(),
        }
    }

    #[tokio::test]
    async fn a_letter_that_the_broker_refuses_takes_no_other_with_it() {
        let rabbit = Rabbit::start();
        let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
        let grave = Grave::new("guest", "dead");
        let (letters, burials) = mpsc::channel(BATCH);
        let (stop, stopping) = watch::channel(false);
        let mut told = Vec::new();
        for n in 0..8 {
            let (tell, buried) = oneshot::channel();
            letters.send((grave.letter(&letter(n)), tell)).await.unwrap();
            told.push(buried);
        }
        drop(letters);
        // All of them wait: they are one batch.
        bury(grave.publisher(&broker), burials, stopping).await;
        drop(stop);
        for buried in told {
            assert!(buried.await.is_ok(), "the journal's turn comes for each");
        }
        let mut consumer =
            broker.consume(Subscription { queue: grave.queue, topology: Topology::default(), prefetch: 100 });
        let mut seen = BTreeSet::new();
        while seen.len() < 7 {
            let next = tokio::time::timeout(LATE, consumer.next());
            let letter = next.await.expect("all others in time").unwrap();
            seen.insert(letter.message_id.clone().unwrap());
            letter.ack().await;
        }
        consumer.close().await;
        assert!(!seen.contains("letter-3"), "{seen:?}");
    }

    #[tokio::test]
    async fn a_dead_letter_becomes_one_request_however_often_and_late_it_is_tried_again() {
        let (place, intake) = (Place::new().await, Intake::default());
        let journal = &place.journal;
        let body =
            br#"{"version": 1, "project": "try", "requester": "ann", "resultset_id": 7, "action": "cancel_all"}"#;
        for message_id in [None, Some("7".to_owned())] {
            let letter = NewLetter {
                exchange: "exchange/treeherder/v1/resultset-actions".to_owned(),
                routing_key: "try.cancel_all".to_owned(),
                message_id,
                reason: "not known then".to_owned(),
                body: body.to_vec(),
            };
            let n = journal.dead_letter(letter, FIRST).await.unwrap();
            journal.want_letter(n, "local user 1", "a test").await.unwrap();
            let wanted = journal.wanted_letters(1).await.unwrap().remove(0);
            // It ends before it can say so.
            let first = settle(&intake, journal, &wanted).await.unwrap();
            place.clock.go(Duration::from_secs(3600));
            assert_eq!(again(&intake, journal).await.unwrap(), 1);
            // Somebody wants it once more.
            place.clock.go(Duration::from_secs(3600));
            journal.want_letter(n, "local user 1", "a test").await.unwrap();
            let wanted = journal.wanted_letters(1).await.unwrap().remove(0);
            let became = wanted.became.clone().map(Settled::Request);
            assert_eq!((became, settle(&intake, journal, &wanted).await.unwrap()), (Some(first.clone()), first));
            assert_eq!(again(&intake, journal).await.unwrap(), 1);
        }
        assert_eq!(journal.waiting().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_broker_that_says_nothing_does_not_keep_it_from_ending() {
        let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("amqp://guest:guest@{}", silent.local_addr().unwrap());
        let broker = Broker::new(url.parse().unwrap(), b"").unwrap();
        let grave = Grave::new("guest", "dead");
        let (letters, burials) = mpsc::channel(BATCH);
        let (stop, stopping) = watch::channel(false);
        let (tell, buried) = oneshot::channel();
        letters.send((grave.letter(&letter(0)), tell)).await.unwrap();
        let burying = tokio::spawn(bury(grave.publisher(&broker), burials, stopping));
        let accepted = tokio::time::timeout(LATE, silent.accept()).await;
        let _connection = accepted.expect("it is published").unwrap();
        stop.send_replace(true);
        // Shorter than it waits for a broker.
        let ended = tokio::time::timeout(std::time::Duration::from_secs(15), burying).await;
        assert!(ended.is_ok(), "it waits for the broker");
        assert!(buried.await.is_err(), "the letter is not acknowledged, and comes again");
    }
}
