//! A server of its own for each test, and a worker for it.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::{Client, Config as ClientConfig, Credentials};
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::format_ms;
use taskgraft_local::worker::{self, Worker};
use taskgraft_local::{Config, Running, Server};
use taskgraft_testkit::LATE;
use tempfile::TempDir;

/// The task queue that tests use.
pub(crate) const QUEUE: &str = "proj-lander/b-linux";

/// A server on a free port with its data in a temporary directory.
pub(crate) struct Deployment {
    pub(crate) server: Running,
    pub(crate) client: Client,
    pub(crate) directory: TempDir,
}

/// A task id that nothing else has.
pub(crate) fn fresh_id() -> TaskId {
    TaskId::from_bytes(rand::random())
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("data"));
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        let root = server.credentials();
        let credentials = Credentials::new(&root.client_id, &root.access_token);
        let client = Client::new(ClientConfig::new(server.root_url()).with_credentials(credentials)).unwrap();
        Self { server, client, directory }
    }

    /// A worker of [`QUEUE`].
    pub(crate) async fn worker(&self) -> worker::Running {
        self.worker_with(|_| {}).await
    }

    pub(crate) async fn worker_with(&self, change: impl FnOnce(&mut worker::Config)) -> worker::Running {
        let work_dir = self.directory.path().join("work");
        let mut config = worker::Config::new(self.client.clone(), vec![QUEUE.to_owned()], work_dir);
        change(&mut config);
        Worker::start(config).await.unwrap()
    }

    /// Creates a task with that payload.
    pub(crate) async fn task(&self, payload: Value) -> TaskId {
        self.task_with(payload, json!({})).await
    }

    /// Creates a task with that payload and other changes to its definition.
    pub(crate) async fn task_with(&self, payload: Value, changes: Value) -> TaskId {
        let mut task = definition(payload);
        for (key, value) in changes.as_object().unwrap() {
            task[key] = value.clone();
        }
        let id = fresh_id();
        self.client.queue().create_task(id, task.to_string().into()).await.unwrap();
        id
    }

    /// Waits until the task's status is as wanted.
    pub(crate) async fn wait(&self, id: TaskId, wanted: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        let until = Instant::now() + LATE;
        loop {
            let status = self.client.queue().status(id).await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "waited in vain; now {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the task is resolved.
    pub(crate) async fn resolved(&self, id: TaskId) -> TaskStatus {
        let over = [TaskState::Completed, TaskState::Failed, TaskState::Exception];
        self.wait(id, |status| over.contains(&status.state)).await
    }

    /// An artifact of the task's last run, as text.
    pub(crate) async fn artifact(&self, id: TaskId, name: &str) -> Result<String, taskgraft_client::Error> {
        let location = self.client.queue().artifact(id, None, name).await?;
        let file = self.directory.path().join(format!("download-{}", fresh_id()));
        self.client.download(&location.url, &file, 1 << 20).await?;
        Ok(std::fs::read_to_string(file).unwrap())
    }

    /// Waits for the whole log of a run that was resolved by others: it is published soon afterwards.
    pub(crate) async fn log(&self, id: TaskId) -> String {
        let until = Instant::now() + LATE;
        loop {
            match self.artifact(id, "public/logs/live_backing.log").await {
                Ok(text) => return text,
                Err(error) => assert!(Instant::now() < until, "there is no log: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A definition for [`QUEUE`].
pub(crate) fn definition(payload: Value) -> Value {
    let now = Timestamp::now();
    let later = |hours: i64| format_ms(now.checked_add(Span::new().hours(hours)).unwrap());
    json!({
        "taskQueueId": QUEUE,
        "schedulerId": "lander-level-1",
        "created": format_ms(now),
        "deadline": later(1),
        "expires": later(24),
        "payload": payload,
        "metadata": {"name": "t", "description": "", "owner": "ann@example.org", "source": "https://example.org"},
    })
}

/// A payload of one shell script.
pub(crate) fn script(text: &str) -> Value {
    json!({"command": [["sh", "-c", text]], "maxRunTime": 60})
}

/// [`script`] with other keys added.
pub(crate) fn script_with(text: &str, more: Value) -> Value {
    let mut payload = script(text);
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

/// Waits until a file has contents that end with a line feed, and returns them trimmed.
pub(crate) async fn line_in(file: &Path) -> String {
    let until = Instant::now() + LATE;
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            Ok(_) | Err(_) => assert!(Instant::now() < until, "nothing came in {}", file.display()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a process is gone, or a zombie.
pub(crate) async fn process_gone(pid: &str) {
    let until = Instant::now() + LATE;
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < until, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
