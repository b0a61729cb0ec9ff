//! Messages without an id that the broker delivers again.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use taskgraft_client::Clock;
use taskgraft_client::pulse::{Outgoing, Publisher};
use taskgraft_service::journal::{Journal, Settings};
use taskgraft_testkit::rabbit::Rabbit;

use crate::listening::{Running, click, listener, publish, publish_first, publisher};

/// Stands still unless moved; in seconds since 1970.
#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

fn nameless(n: usize) -> Outgoing {
    Outgoing { message_id: None, ..click(n) }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Whether a click that was delivered and not taken is one of its own, though an equal one came two hours before.
/// `between`: what happens an hour after that one, which the clock says in seconds. It is noted this often that a quiet
/// connection stands.
async fn counts(noting: Duration, between: impl AsyncFn(&mut Publisher, &Running, &Connection, i64)) -> bool {
    let rabbit = Rabbit::start();
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
    let hour = || clock.0.fetch_add(3600, Ordering::SeqCst);
    let file = directory.path().join("journal");
    let told: Arc<dyn Clock> = Arc::<Hand>::clone(&clock);
    let journal = Journal::open(&file, Settings::default(), told).await.unwrap();
    let mut clicks = publisher(&rabbit);
    clicks.publish(&[]).await.unwrap();
    let start = || Running::of(listener(rabbit.address().port(), "").noting(noting), &journal);
    let running = start();
    publish_first(&mut clicks, nameless(0)).await;
    running.until("the click", async |counters| counters.now().received == 1).await;
    hour();
    let other = Connection::open(&file).unwrap();
    between(&mut clicks, &running, &other, clock.0.load(Ordering::SeqCst)).await;
    hour();
    // The same click once more, which the listener gets and can't write down before it ends.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    publish(&mut clicks, &[nameless(0)]).await;
    running.until("the journal's trouble", async |counters| counters.now().waits > 0).await;
    running.stop().await;
    other.execute_batch("ROLLBACK").unwrap();
    let running = start();
    let taken = async |counters: &taskgraft_service::pulse::Counters| {
        let counted = counters.now();
        counted.received + counted.known > 0
    };
    running.until("it", taken).await;
    let counted = running.counters.now();
    running.stop().await;
    assert_eq!(counted.received + counted.known, 1);
    counted.received == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_was_delivered_and_not_taken_is_no_repetition_of_an_equal_one_long_before() {
    let another = async |clicks: &mut Publisher, running: &Running, _: &Connection, _| {
        publish(clicks, &[nameless(1)]).await;
        running.until("another", async |counters| counters.now().received == 2).await;
    };
    assert!(counts(HOUR, another).await, "others came");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_nothing_else_came_and_the_connection_stood() {
    let noted = async |_: &mut Publisher, running: &Running, journal: &Connection, now: i64| {
        let last = || journal.query_row("SELECT coalesce(max(at), 0) FROM links", [], |row| row.get::<_, i64>(0));
        running.until("a note", async |_| last().unwrap() >= now * 1000).await;
    };
    assert!(counts(Duration::from_millis(50), noted).await);
}
