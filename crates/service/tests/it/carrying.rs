//! Carrying requests where the carrier itself is at fault.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use taskgraft_client::{Client, Clock, Config, Credentials, SystemClock};
use taskgraft_engine::Cache;
use taskgraft_service::carry::{Carrier, Parts};
use taskgraft_service::config::Carrying;
use taskgraft_service::journal::{Journal, Settings};
use taskgraft_service::pulse::resolver::Resolver;
use taskgraft_service::{Door, Live, State};

use crate::asked::by_nobody;

/// A mistake in code that every turn runs.
#[derive(Debug, Default)]
struct Mistake {
    made: AtomicBool,
    turns: AtomicUsize,
}

impl Clock for Mistake {
    fn now(&self) -> Timestamp {
        if self.made.load(SeqCst) {
            self.turns.fetch_add(1, SeqCst);
            panic!("a mistake of ours");
        }
        Timestamp::now()
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(pause))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_turns_panic_fails_with_the_reason_after_some() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal"), Settings::default(), Arc::new(SystemClock)).await.unwrap();
    let clock = Arc::new(Mistake::default());
    let ours: Arc<dyn Clock> = Arc::<Mistake>::clone(&clock);
    let reader = Client::new(Config { clock: ours, ..Config::new("http://127.0.0.1:9") }).unwrap();
    let second = Duration::from_secs(1);
    let parts = Parts {
        journal: journal.clone(),
        resolver: Resolver::new(reader.clone(), &BTreeMap::new()).unwrap(),
        reader,
        credentials: Credentials::new("service", "secret"),
        cache: Cache::open(&dir.path().join("cache")).unwrap(),
        live: Live::default(),
        projects: BTreeMap::new(),
        masters: Arc::default(),
        limits: Carrying { at_once: 1, longest_pause: second / 20, give_up: second * 86_400 },
    };
    let carrier = Carrier::start(parts).await.unwrap();
    clock.made.store(true, SeqCst);
    let new = by_nobody("click".to_owned(), Door::Http, Value::Null);
    let id = journal.receive(new).await.unwrap().request().id.clone();
    let begun = Instant::now();
    let request = loop {
        let request = journal.get(&id).await.unwrap().unwrap();
        if request.state.is_terminal() {
            break request;
        }
        assert!(begun.elapsed() < second * 60, "{} turns were tried in vain", clock.turns.load(SeqCst));
        tokio::time::sleep(second / 50).await;
    };
    assert_eq!((request.state, clock.turns.load(SeqCst)), (State::Failed, 3));
    let why = request.error.unwrap();
    assert!(why.contains("broke off again and again") && why.contains("a mistake of ours"), "{why}");
    carrier.stop().await;
}
