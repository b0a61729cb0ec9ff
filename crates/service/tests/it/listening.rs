//! The listener before a real RabbitMQ.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::SystemClock;
use taskgraft_client::pulse::{Broker, Delivery, Outgoing, Publisher, Subscription, Topology};
use taskgraft_service::config::{Config, Secrets};
use taskgraft_service::journal::{AuditFilter, Entry, Filter, Journal, Page, Settings};
use taskgraft_service::pulse::{Counters, ListenError, Listener};
use taskgraft_testkit::LATE;
use taskgraft_testkit::clicks::{self, EXCHANGE};
use taskgraft_testkit::rabbit::Rabbit;
use taskgraft_testkit::relay::Relay;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener that runs, and how to end it.
pub(crate) struct Running {
    pub(crate) counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<(), ListenError>>,
}

impl Running {
    pub(crate) fn start(port: u16, more: &str, journal: &Journal) -> Self {
        Self::of(listener(port, more), journal)
    }

    pub(crate) fn of(listener: Listener, journal: &Journal) -> Self {
        let (stop, stopping) = watch::channel(false);
        let counters = listener.counters();
        Self { counters, stop, ended: tokio::spawn(listener.run(journal.clone(), stopping)) }
    }

    pub(crate) async fn until(&self, what: &str, done: impl AsyncFn(&Counters) -> bool) {
        let wait = async {
            while !done(&self.counters).await {
                assert!(!self.ended.is_finished(), "the listener has ended before {what}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let counters = &self.counters;
        tokio::time::timeout(LATE, wait).await.unwrap_or_else(|_| panic!("never: {what}: {:?}", counters.now()));
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(LATE, self.ended).await.expect("its end in time").unwrap().unwrap();
    }
}

/// A listener of clicks.
pub(crate) fn listener(port: u16, more: &str) -> Listener {
    let text = format!(
        "[pulse]\nurl = \"amqp://127.0.0.1:{port}\"\nuser = \"guest\"\nprefetch = 200\n\
         [[pulse.handler]]\nexchange = \"{EXCHANGE}\"\n{more}"
    );
    let config = Config::read(&text).unwrap();
    let secrets = Secrets { pulse: Some("guest".to_owned()), ..Secrets::default() };
    Listener::new(&config, &secrets).unwrap()
}

async fn journal(directory: &Path) -> Journal {
    Journal::open(&directory.join("journal"), Settings::default(), Arc::new(SystemClock)).await.unwrap()
}

pub(crate) fn publisher(rabbit: &Rabbit) -> Publisher {
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    broker.publisher(Topology { exchanges: vec![EXCHANGE.to_owned()], ..Topology::default() })
}

/// Message number `n`: each has an id of its own.
pub(crate) fn click(n: usize) -> Outgoing {
    Outgoing {
        exchange: EXCHANGE.to_owned(),
        routing_key: "try".to_owned(),
        message_id: Some(format!("click-{n}")),
        body: clicks::body(n, &["test-unit-1"]),
        ..Outgoing::default()
    }
}

fn garbage(n: usize) -> Outgoing {
    Outgoing { message_id: Some(format!("garbage-{n}")), body: format!("no message {n}").into_bytes(), ..click(n) }
}

/// `count` clicks, each twentieth of them twice, and garbage for each hundredth.
fn mixture(count: usize) -> Vec<Outgoing> {
    let twice = |n: usize| if n.is_multiple_of(20) { 2 } else { 1 };
    let clicks = (0..count).flat_map(|n| std::iter::repeat_n(click(n), twice(n)));
    let mut messages: Vec<_> = clicks.collect();
    messages.extend((0..count / 100).map(garbage));
    // In an order that has nothing to do with how they were made.
    messages.sort_by_key(|message| ring::digest::digest(&ring::digest::SHA256, &message.body).as_ref().to_vec());
    messages
}

/// Publishes until all is confirmed, as a publisher that loses nothing does.
pub(crate) async fn publish(publisher: &mut Publisher, messages: &[Outgoing]) {
    let until = async {
        while let Err(error) = publisher.publish(messages).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LATE, until).await.expect("confirmations in time");
}

/// Publishes the first message: as soon as the listener has declared its queue. Before that, nobody keeps it.
pub(crate) async fn publish_first(publisher: &mut Publisher, message: Outgoing) {
    let message = [Outgoing { mandatory: true, ..message }];
    let until = async {
        while publisher.publish(&message).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, until).await.expect("the queue in time");
}

/// The keys of all requests in the journal; each once, or this fails.
async fn keys(journal: &Journal) -> BTreeSet<String> {
    let (mut keys, mut page) = (BTreeSet::new(), Page::first(1000));
    loop {
        let listed = journal.list(Filter::default(), page).await.unwrap();
        for request in listed.items {
            assert!(keys.insert(request.key.clone()), "{} is there twice", request.key);
        }
        match listed.next {
            Some(after) => page.after = Some(after),
            None => return keys,
        }
    }
}

/// What the audit log says was refused, the newest first.
async fn refused(journal: &Journal) -> Vec<Entry> {
    let filter = AuditFilter { outcome: Some("refused".to_owned()), ..AuditFilter::default() };
    let found = journal.audited(filter, Page::first(1000)).await.unwrap();
    found.items.into_iter().map(|audited| audited.entry).collect()
}

fn expected(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("id:{EXCHANGE}:click-{n}")).collect()
}

/// What is in the queue of dead letters, until each of `count` has been seen.
async fn dead(rabbit: &Rabbit, count: usize) -> BTreeSet<String> {
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    let queue = "queue/guest/taskgraft-dead".to_owned();
    let mut consumer = broker.consume(Subscription { queue, topology: Topology::default(), prefetch: 100 });
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let next: Delivery = tokio::time::timeout(LATE, consumer.next()).await.expect("a dead letter in time").unwrap();
        seen.insert(next.message_id.clone().unwrap());
        next.ack().await;
    }
    consumer.close().await;
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_journalled_once_while_the_broker_is_killed_and_connections_are_cut() {
    const COUNT: usize = 5000;
    let rabbit = Rabbit::start();
    let relay = Relay::start(rabbit.address());
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let mut clicks = publisher(&rabbit);
    clicks.publish(&[]).await.unwrap();
    let running = Running::start(relay.address().port(), "", &journal);
    let messages = mixture(COUNT);
    let publishing = async {
        for batch in messages.chunks(100) {
            publish(&mut clicks, batch).await;
        }
    };
    let breaking = async {
        let acked = |n: usize| {
            let relay = &relay;
            running.until("so many acknowledgements", async move |_| relay.acks() >= n)
        };
        acked(300).await;
        relay.cut_after_acks(50);
        acked(800).await;
        relay.cut();
        acked(1200).await;
        tokio::task::block_in_place(|| {
            rabbit.kill();
            rabbit.restart();
        });
        acked(2000).await;
        relay.cut_after_acks(0);
    };
    tokio::join!(publishing, breaking);
    running.until("all requests", async |counters| counters.now().received >= COUNT as u64).await;
    assert_eq!(dead(&rabbit, COUNT / 100).await, (0..COUNT / 100).map(|n| format!("garbage-{n}")).collect());
    running.until("the dead letters", async |counters| counters.now().dead >= COUNT as u64 / 100).await;
    let counted = running.counters.now();
    running.stop().await;
    assert_eq!(keys(&journal).await, expected(COUNT));
    assert_eq!(counted.received, COUNT as u64, "each once: {counted:?}");
    assert!(counted.known >= COUNT as u64 / 20, "the duplicates: {counted:?}");
    assert!(relay.cuts() >= 3 && counted.unacknowledged > 0, "connections were cut: {counted:?}");
    let letters = journal.dead_letters(Page::first(1000)).await.unwrap().items;
    let ids: BTreeSet<_> = letters.iter().filter_map(|letter| letter.message.message_id.as_deref()).collect();
    assert_eq!(ids.len(), COUNT / 100);
    assert!(letters.iter().all(|letter| letter.message.reason.contains("JSON")), "{letters:?}");
    let refused = refused(&journal).await;
    assert_eq!(refused.len(), letters.len(), "the audit log has each of them");
    for (entry, letter) in refused.iter().zip(&letters) {
        assert_eq!((&entry.who, &entry.why), (&format!("somebody at {EXCHANGE}"), &letter.message.reason));
        assert!(entry.what.contains("no message "), "{}", entry.what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_id_equal_messages_are_one_for_a_while_and_an_id_may_not_name_two() {
    let rabbit = Rabbit::start();
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let mut clicks = publisher(&rabbit);
    clicks.publish(&[]).await.unwrap();
    let running = Running::start(rabbit.address().port(), "", &journal);
    let nameless = |n| Outgoing { message_id: None, ..click(n) };
    let queue = async |counters: &Counters| counters.now().received + counters.now().known + counters.now().dead >= 6;
    publish_first(&mut clicks, nameless(0)).await;
    let other = Outgoing { message_id: Some("click-2".to_owned()), ..click(3) };
    clicks.publish(&[nameless(0), nameless(1), nameless(0), click(2), other]).await.unwrap();
    running.until("all six", queue).await;
    let counted = running.counters.now();
    assert_eq!((counted.received, counted.known, counted.dead), (3, 2, 1));
    let letters = journal.dead_letters(Page::first(10)).await.unwrap().items;
    assert!(letters[0].message.reason.contains("which asks for something else"), "{letters:?}");
    let entry = refused(&journal).await.remove(0);
    assert_eq!((entry.who.as_str(), &entry.why), ("ann@lander.example", &letters[0].message.reason));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_understood_later_becomes_its_request() {
    let rabbit = Rabbit::start();
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let mut clicks = publisher(&rabbit);
    clicks.publish(&[]).await.unwrap();
    // Told the wrong thing about the exchange.
    let running = Running::start(rabbit.address().port(), "kind = \"job-actions\"\nqueue = \"clicks\"\n", &journal);
    publish_first(&mut clicks, click(0)).await;
    running.until("a dead letter", async |counters| counters.now().dead >= 1).await;
    let letter = journal.dead_letters(Page::first(1)).await.unwrap().items.remove(0);
    journal.want_letter(letter.n, "local user 1", "a test").await.unwrap();
    let settled = async |_: &Counters| journal.wanted_letters(1).await.unwrap().is_empty();
    running.until("it tried again", settled).await;
    assert_eq!(keys(&journal).await, BTreeSet::new(), "as dead as before");
    running.stop().await;
    // The same queue, which keeps what is published before the listener is there.
    let running = Running::start(rabbit.address().port(), "queue = \"clicks\"\n", &journal);
    journal.want_letter(letter.n, "local user 1", "a test").await.unwrap();
    running.until("it tried again", settled).await;
    assert_eq!(keys(&journal).await, expected(1));
    let letter = journal.dead_letters(Page::first(1)).await.unwrap().items.remove(0);
    assert_eq!(letter.became, Some(journal.list(Filter::default(), Page::first(1)).await.unwrap().items[0].id.clone()));
    // The message itself, delivered once more, is known.
    publish(&mut clicks, &[click(0)]).await;
    running.until("it known", async |counters| counters.now().known >= 1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_journal_can_not_write_nothing_is_acknowledged_and_nothing_is_lost() {
    const COUNT: usize = 1000;
    let rabbit = Rabbit::start();
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let mut clicks = publisher(&rabbit);
    clicks.publish(&[]).await.unwrap();
    let relay = Relay::start(rabbit.address());
    let running = Running::start(relay.address().port(), "", &journal);
    publish_first(&mut clicks, click(0)).await;
    running.until("the first", async |counters| counters.now().received == 1).await;
    let other = rusqlite::Connection::open(directory.path().join("journal")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let messages: Vec<_> = (1..COUNT).map(click).collect();
    publish(&mut clicks, &messages).await;
    running.until("the journal's trouble", async |counters| counters.now().waits > 0).await;
    assert!(relay.acks() <= 1, "{} acknowledged", relay.acks());
    other.execute_batch("ROLLBACK").unwrap();
    running.until("all", async |counters| counters.now().received >= COUNT as u64).await;
    running.stop().await;
    assert_eq!(keys(&journal).await, expected(COUNT));
}
