//! The queue over HTTP, with a clock that tests move.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::{Client, Config as ClientConfig, Credentials, Error, Retry};
use taskgraft_core::api::queue::{ClaimTaskRequest, ClaimWorkRequest, Claimed, TaskCredentials, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::format_ms;
use taskgraft_local::queue::{Settings, jobs};

use crate::support::{Deployment, QUEUE, definition, fresh_id};

mod again;
mod artifacts;
mod claims;
mod dependencies;
mod laws;
mod life;
mod limits;
mod schemas;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct Hands(AtomicI64);

impl Hands {
    fn read(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

impl taskgraft_local::Clock for Hands {
    fn now(&self) -> Timestamp {
        self.read()
    }
}

impl taskgraft_client::Clock for Hands {
    fn now(&self) -> Timestamp {
        self.read()
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.fetch_add(i64::try_from(pause.as_millis()).unwrap(), Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// A server and a client that share a clock; the client asks once only.
pub(crate) struct Place {
    pub(crate) deployment: Deployment,
    pub(crate) client: Client,
    clock: Arc<Hands>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(Timestamp::now().as_millisecond())));
        let servers = Arc::clone(&clock);
        let deployment = Deployment::start_with(move |config| {
            config.clock = servers;
            config.queue = settings;
        })
        .await;
        let root = deployment.server.credentials();
        let credentials = Credentials::new(&root.client_id, &root.access_token);
        let config = ClientConfig {
            retry: Retry::never(),
            clock: clock.clone(),
            ..ClientConfig::new(deployment.server.root_url()).with_credentials(credentials)
        };
        Self { client: Client::new(config).unwrap(), deployment, clock }
    }

    /// Moves the clock, and does what is due then.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
        jobs::run_once(self.deployment.server.ctx()).await.unwrap();
    }

    /// A moment from now, as the wire writes it.
    pub(crate) fn later(&self, seconds: i64) -> String {
        format_ms(self.clock.read().checked_add(SignedDuration::from_secs(seconds)).unwrap())
    }

    /// A definition that is due in an hour and kept for a day, with changes.
    pub(crate) fn definition(&self, changes: Value) -> Value {
        let mut task = definition(json!({"a": 1}));
        task["created"] = self.later(0).into();
        task["deadline"] = self.later(3600).into();
        task["expires"] = self.later(86400).into();
        for (key, value) in changes.as_object().unwrap() {
            task[key] = value.clone();
        }
        task
    }

    pub(crate) async fn send(&self, id: TaskId, definition: &Value) -> Result<TaskStatus, Error> {
        self.client.queue().create_task(id, definition.to_string().into()).await
    }

    pub(crate) async fn create(&self, changes: Value) -> TaskId {
        let id = fresh_id();
        self.send(id, &self.definition(changes)).await.unwrap();
        id
    }

    pub(crate) async fn status(&self, id: TaskId) -> TaskStatus {
        self.client.queue().status(id).await.unwrap()
    }

    /// Claims up to that many tasks.
    pub(crate) async fn claim(&self, tasks: u8) -> Vec<Claimed> {
        let request = ClaimWorkRequest { worker_group: "g".into(), worker_id: "w".into(), tasks };
        self.client.queue().claim_work(QUEUE, &request).await.unwrap()
    }

    pub(crate) async fn claim_run(&self, id: TaskId, run: u16) -> Result<Claimed, Error> {
        let request = ClaimTaskRequest { worker_group: "g".into(), worker_id: "w".into() };
        self.client.queue().claim_task(id, run, &request).await
    }

    pub(crate) async fn complete(&self, id: TaskId) {
        self.claim_run(id, 0).await.unwrap();
        self.client.queue().report_completed(id, 0).await.unwrap();
    }

    pub(crate) async fn fail(&self, id: TaskId) {
        self.claim_run(id, 0).await.unwrap();
        self.client.queue().report_failed(id, 0).await.unwrap();
    }

    /// A client with a run's credentials.
    pub(crate) fn as_run(&self, credentials: &TaskCredentials) -> Client {
        let TaskCredentials { client_id, access_token, certificate } = credentials.clone();
        let credentials = Credentials::new(client_id, access_token);
        self.client.as_credentials(Some(Credentials { certificate: Some(certificate), ..credentials }))
    }
}

/// The HTTP status that an error stands for.
pub(crate) fn status_of<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Conflict { .. }) => 409,
        Err(Error::Rejected { status, .. }) => status,
        Err(Error::Transient { last: taskgraft_client::Cause::Status(status), .. }) => status,
        other => panic!("no HTTP error: {other:?}"),
    }
}

/// What an error says.
pub(crate) fn message_of<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Conflict { message, .. } | Error::Rejected { message, .. }) => message,
        other => panic!("no refusal: {other:?}"),
    }
}
