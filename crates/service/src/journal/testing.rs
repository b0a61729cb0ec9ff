//! A journal for tests, and a clock that goes where it is told.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use taskgraft_client::Clock;
use taskgraft_core::ids::TaskId;

use super::{Journal, NewLetter, Received, Settings, Window};
use crate::{Asked, Asker, Authority, Door, NewRequest, PushName, Request};

/// Stands still unless moved; in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn go(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<Hand>,
    pub(crate) journal: Journal,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Settings { look: None, ..Settings::default() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        let journal = open(&dir.path().join("journal"), settings, &clock).await;
        Self { dir, clock, journal }
    }

    /// The same file, as another process would open it.
    pub(crate) async fn again(&self, settings: Settings) -> Journal {
        open(&self.dir.path().join("journal"), settings, &self.clock).await
    }
}

async fn open(path: &Path, settings: Settings, clock: &Arc<Hand>) -> Journal {
    let clock: Arc<dyn Clock> = Arc::<Hand>::clone(clock);
    Journal::open(path, settings, clock).await.unwrap()
}

/// A request over HTTP: ann wants an action on one push.
pub(crate) fn wish(key: &str, action: &str) -> NewRequest {
    NewRequest {
        key: key.to_owned(),
        door: Door::Http,
        asker: Asker { name: "ann".to_owned(), authority: Authority::Nobody("a test".to_owned()) },
        asked: Asked {
            project: Some("lander".to_owned()),
            push: PushName::Decision(TaskId::from_bytes([7; 16])),
            resultset: None,
            action: action.to_owned(),
            subject: None,
            input: serde_json::json!({"jobs": ["test-1"]}),
        },
    }
}

/// Looks for no other process.
pub(crate) fn quiet() -> Settings {
    Settings { look: None, ..Settings::default() }
}

/// Receives a request that is new.
pub(crate) async fn add(journal: &Journal, key: &str) -> Request {
    match journal.receive(wish(key, "add-new-jobs")).await.unwrap() {
        Received::New(request) => request,
        known @ (Received::Known(_) | Received::Other(_)) => panic!("{known:?}"),
    }
}

/// Of what is delivered for the first time.
pub(crate) const FIRST: Window = Window { window: Duration::from_secs(60), again: false };

/// A message that nobody understood.
pub(crate) fn letter(body: &[u8]) -> NewLetter {
    NewLetter {
        exchange: "exchange/treeherder/v1/job-actions".to_owned(),
        routing_key: "a.b.c".to_owned(),
        message_id: None,
        reason: "no JSON".to_owned(),
        body: body.to_vec(),
    }
}
