//! What was acknowledged is there after `kill -9`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::pulse::{Binding, Broker, Link, Subscription, Topology};
use taskgraft_client::{Client, Config, Credentials, Error, Retry, Upload};
use taskgraft_core::api::auth::CreateRoleRequest;
use taskgraft_core::api::hooks::{FireResult, FiredBy};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::api::queue::{ClaimTaskRequest, CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::{Millis, format_ms};
use taskgraft_local::queue::{EXCHANGES, PREFIX};
use taskgraft_testkit::LATE;
use taskgraft_testkit::rabbit::Rabbit;
use tokio::sync::watch;

use crate::run::command;

/// Who writes at the same time.
const WRITERS: u8 = 12;
/// How many acknowledged writes to wait for before the kill, in each round.
const WRITES: usize = 400;
const ROUNDS: u8 = 3;

/// Something that the server said it had done.
#[derive(Debug, Clone)]
enum Fact {
    Created { id: TaskId, payload: Value },
    Published { id: TaskId, content: String },
    Completed { id: TaskId, dependent: TaskId },
    Cancelled { id: TaskId },
    Indexed { path: String, id: TaskId },
}

/// A server process, killed when dropped.
struct Process {
    child: Child,
    client: Client,
}

impl Process {
    fn start(directory: &Path, worker: &[&str]) -> Self {
        let env_file = directory.join("env");
        let _ = std::fs::remove_file(&env_file);
        let data_dir = directory.join("data");
        let mut child = command(["up".as_ref(), "--data-dir".as_ref(), data_dir.as_os_str()])
            .args(worker)
            .arg("--env-file")
            .arg(&env_file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let until = Instant::now() + LATE;
        while !env_file.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the server ended");
            assert!(Instant::now() < until, "the server does not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = std::fs::read_to_string(&env_file).unwrap();
        let variable = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).trim_matches('\'').to_owned()
        };
        let credentials = Credentials::new(variable("TASKCLUSTER_CLIENT_ID"), variable("TASKCLUSTER_ACCESS_TOKEN"));
        let config = Config::new(variable("TASKCLUSTER_ROOT_URL")).with_credentials(credentials);
        // An answer that does not come is no acknowledgement.
        let client = Client::new(Config { retry: Retry::never(), ..config }).unwrap();
        Self { child, client }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything acknowledged so far; tells who waits how much it is.
#[derive(Clone)]
struct Ledger {
    facts: Arc<Mutex<Vec<Fact>>>,
    count: watch::Sender<usize>,
}

impl Ledger {
    fn add(&self, fact: Fact) {
        self.facts.lock().unwrap().push(fact);
        self.count.send_modify(|count| *count += 1);
    }
}

/// Task ids that nothing else in this test has.
struct Ids {
    writer: u8,
    next: u32,
}

impl Ids {
    fn next(&mut self) -> TaskId {
        let mut bytes = [7; 16];
        self.next += 1;
        bytes[11] = self.writer;
        bytes[12..].copy_from_slice(&self.next.to_be_bytes());
        TaskId::from_bytes(bytes)
    }
}

fn definition(payload: &Value, dependencies: &[TaskId]) -> Value {
    let at = |hours: i64| format_ms(Timestamp::now().checked_add(Span::new().hours(hours)).unwrap());
    json!({
        "taskQueueId": "proj-lander/b-linux",
        "created": at(0), "deadline": at(1), "expires": at(24),
        "dependencies": dependencies, "payload": payload, "routes": ["heard.of"],
        "metadata": {"name": "t", "description": "", "owner": "ann@example.org", "source": "https://example.org"},
    })
}

/// Writes until the server no longer answers, noting what it acknowledged.
async fn write(client: Client, ledger: Ledger, mut ids: Ids) -> Error {
    loop {
        if let Err(error) = write_once(&client, &ledger, &mut ids).await {
            return error;
        }
    }
}

async fn write_once(client: &Client, ledger: &Ledger, ids: &mut Ids) -> Result<(), Error> {
    let queue = client.queue();
    let (id, dependent, doomed) = (ids.next(), ids.next(), ids.next());
    for (task, dependencies) in [(id, vec![]), (dependent, vec![id]), (doomed, vec![])] {
        let payload = json!({"of": task, "padding": "x".repeat(300)});
        queue.create_task(task, definition(&payload, &dependencies).to_string().into()).await?;
        ledger.add(Fact::Created { id: task, payload });
    }
    queue.cancel_task(doomed).await?;
    ledger.add(Fact::Cancelled { id: doomed });

    let who = ClaimTaskRequest { worker_group: "g".to_owned(), worker_id: "w".to_owned() };
    queue.claim_task(id, 0, &who).await?;
    let expires = Millis::from(Timestamp::now().checked_add(Span::new().hours(2)).unwrap());
    let content = format!("made by {id}\n").repeat(500);
    let request = CreateArtifactRequest::S3 { expires, content_type: "text/plain".to_owned(), content_length: None };
    let answer = queue.create_artifact(id, 0, "public/made", &request).await?;
    let CreateArtifactResponse::S3 { put_url, content_type, .. } = answer else { panic!("{answer:?}") };
    client.upload(&put_url, &content_type, Upload::Bytes(content.clone().into())).await?;
    ledger.add(Fact::Published { id, content });
    queue.report_completed(id, 0).await?;
    ledger.add(Fact::Completed { id, dependent });

    let path = format!("lander.made.{id}").replace('-', "_");
    let request = InsertTaskRequest { task_id: id, rank: 1, data: json!({}), expires };
    client.index().insert_task(&path, &request).await?;
    ledger.add(Fact::Indexed { path, id });
    Ok(())
}

/// Checks that a fact still is one.
async fn check(client: &Client, fact: &Fact, scratch: &Path) {
    match fact {
        Fact::Created { id, payload } => {
            assert_eq!(client.queue().task(*id).await.unwrap().payload, *payload, "{id}");
        }
        Fact::Published { id, content } => {
            let location = client.queue().artifact(*id, Some(0), "public/made").await.unwrap();
            client.download(&location.url, scratch, 1 << 20).await.unwrap();
            assert_eq!(std::fs::read_to_string(scratch).unwrap(), *content, "{id}");
        }
        Fact::Completed { id, dependent } => {
            assert_eq!(client.queue().status(*id).await.unwrap().state, TaskState::Completed, "{id}");
            let until = Instant::now() + LATE;
            while client.queue().status(*dependent).await.unwrap().state == TaskState::Unscheduled {
                assert!(Instant::now() < until, "{dependent} waits for {id}, which completed");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Fact::Cancelled { id } => {
            assert_eq!(client.queue().status(*id).await.unwrap().state, TaskState::Exception, "{id}");
        }
        Fact::Indexed { path, id } => {
            assert_eq!(client.index().find_task(path).await.unwrap().task_id, *id, "{path}");
        }
    }
}

/// What the queue's exchanges have said: exchange and task.
struct Heard {
    said: watch::Receiver<BTreeSet<(String, String)>>,
}

impl Heard {
    /// Hears everything from now on.
    async fn start(rabbit: &Rabbit) -> Self {
        let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
        let (queue, exchanges) = ("queue/guest/heard".to_owned(), EXCHANGES.map(|name| format!("{PREFIX}{name}")));
        // By the route that all tasks have, on top of their own keys.
        let binding = |exchange: &String| Binding {
            queue: queue.clone(),
            exchange: exchange.clone(),
            routing_key: "route.heard.#".to_owned(),
        };
        let bindings = exchanges.iter().map(binding).collect();
        let topology =
            Topology { exchanges: exchanges.to_vec(), queues: vec![queue.clone()], bindings, ..Topology::default() };
        let mut consumer = broker.consume(Subscription { queue, topology, prefetch: 500 });
        let (told, said) = watch::channel(BTreeSet::new());
        let mut link = consumer.link();
        tokio::spawn(async move {
            while let Ok(delivery) = consumer.next().await {
                let exchange = delivery.exchange.strip_prefix(PREFIX).unwrap().to_owned();
                let body: Value = serde_json::from_slice(&delivery.body).unwrap();
                let task = body["status"]["taskId"].as_str().unwrap().to_owned();
                told.send_modify(|said| _ = said.insert((exchange, task)));
                delivery.ack().await;
            }
        });
        link.wait_for(|link| *link == Link::Connected).await.unwrap();
        Self { said }
    }

    /// Waits until it has heard of everything that was acknowledged.
    async fn all_of(mut self, facts: &[Fact]) {
        let event = |fact: &Fact| match fact {
            Fact::Created { id, .. } => Some(("task-defined".to_owned(), id.to_string())),
            Fact::Completed { id, .. } => Some(("task-completed".to_owned(), id.to_string())),
            Fact::Cancelled { id } => Some(("task-exception".to_owned(), id.to_string())),
            Fact::Published { .. } | Fact::Indexed { .. } => None,
        };
        let wanted: BTreeSet<_> = facts.iter().filter_map(event).collect();
        let all = tokio::time::timeout(LATE, self.said.wait_for(|said| wanted.is_subset(said))).await;
        assert!(all.is_ok_and(|all| all.is_ok()), "events of acknowledged changes are lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let rabbit = Rabbit::start();
    let heard = Heard::start(&rabbit).await;
    let pulse_url = rabbit.url();
    let args = ["--no-worker", "--pulse-url", &pulse_url];
    let ledger = Ledger { facts: Arc::default(), count: watch::Sender::new(0) };
    let writers = AtomicU8::new(0);
    for round in 1..=ROUNDS {
        let server = Process::start(directory.path(), &args);
        let running: Vec<_> = (0..WRITERS)
            .map(|_| {
                let ids = Ids { writer: writers.fetch_add(1, Ordering::Relaxed), next: 0 };
                tokio::spawn(write(server.client.clone(), ledger.clone(), ids))
            })
            .collect();
        let enough = WRITES * usize::from(round);
        let mut count = ledger.count.subscribe();
        let waited = tokio::time::timeout(LATE, count.wait_for(|count| *count >= enough)).await;
        assert!(waited.is_ok_and(|count| count.is_ok()), "too few writes were acknowledged");
        server.kill();
        if round == 1 {
            tokio::task::block_in_place(|| rabbit.restart());
        }
        for writer in running {
            let error = writer.await.unwrap();
            assert!(error.is_transient(), "a write was refused: {error}");
        }
    }
    let server = Process::start(directory.path(), &args);
    let facts = ledger.facts.lock().unwrap().clone();
    let scratch = directory.path().join("download");
    for fact in &facts {
        check(&server.client, fact, &scratch).await;
    }
    heard.all_of(&facts).await;
    let of = |kind: fn(&Fact) -> bool| facts.iter().filter(|fact| kind(fact)).count();
    assert!(
        of(|fact| matches!(fact, Fact::Published { .. })) > 0 && of(|fact| matches!(fact, Fact::Indexed { .. })) > 0
    );
}

#[tokio::test]
async fn a_task_that_runs_during_sigkill_is_run_again_and_nothing_of_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let worker = ["--worker", "proj-lander/b-linux"];
    let server = Process::start(directory.path(), &worker);
    let pid_file = directory.path().join("pid");
    let script = format!("echo $$ > {}; test $RUN_ID != 0 || sleep 1000", pid_file.display());
    let payload = json!({"command": [["sh", "-c", script]], "maxRunTime": 2000});
    let id = Ids { writer: 0, next: 0 }.next();
    server.client.queue().create_task(id, definition(&payload, &[]).to_string().into()).await.unwrap();
    let until = Instant::now() + LATE;
    let wait = async || {
        assert!(Instant::now() < until, "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let first = loop {
        match std::fs::read_to_string(&pid_file) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            Ok(_) | Err(_) => wait().await,
        }
    };
    server.kill();
    // Nobody told the process; the next worker ends it before it does anything else.
    assert!(Path::new(&format!("/proc/{first}")).exists());
    let server = Process::start(directory.path(), &worker);
    loop {
        let status = server.client.queue().status(id).await.unwrap();
        if status.state == TaskState::Completed {
            assert_eq!(status.runs.len(), 2);
            break;
        }
        wait().await;
    }
    let stat = std::fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the first run's process lives: {stat}");
}

/// A hook that fires each second, and whose tasks say for which.
async fn hook_of_each_second(client: &Client) {
    let scopes = [
        "queue:create-task:lowest:proj-lander/b-linux",
        "queue:create-task:project:none",
        "queue:scheduler-id:-",
        "queue:route:heard.of",
    ];
    let role = CreateRoleRequest { description: String::new(), scopes: scopes.map(str::to_owned).to_vec() };
    client.auth().create_role("hook-id:project-lander/each-second", &role).await.unwrap();
    let mut task = definition(&json!({"for": "${now}"}), &[]);
    for filled_in in ["created", "deadline", "expires", "dependencies"] {
        task.as_object_mut().unwrap().remove(filled_in);
    }
    let hook = json!({
        "metadata": {"name": "n", "description": "", "owner": "ann@example.org"},
        "schedule": ["* * * * * *"], "task": task,
    });
    let hook = serde_json::from_value(hook).unwrap();
    client.hooks().create_hook("project-lander", "each-second", &hook).await.unwrap();
}

/// Triggers the hook until the server no longer answers; the tasks that were acknowledged.
async fn trigger(client: Client) -> Vec<TaskId> {
    let mut made = Vec::new();
    while let Ok(fired) = client.hooks().trigger_hook("project-lander", "each-second", &json!({})).await {
        made.push(fired.task_id.unwrap());
    }
    made
}

/// How often the hook's schedule has fired it.
async fn scheduled(client: &Client) -> usize {
    let fires = client.hooks().last_fires("project-lander", "each-second").await;
    fires.map_or(0, |fires| fires.iter().filter(|fire| fire.fired_by == FiredBy::Schedule).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hooks_fires_are_neither_lost_nor_doubled_by_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let server = Process::start(directory.path(), &["--no-worker"]);
        if round == 0 {
            hook_of_each_second(&server.client).await;
        }
        let before = scheduled(&server.client).await;
        let triggering = tokio::spawn(trigger(server.client.clone()));
        let until = Instant::now() + LATE;
        while scheduled(&server.client).await == before {
            assert!(Instant::now() < until, "the schedule does not fire");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.kill();
        acknowledged.extend(triggering.await.unwrap());
    }
    let server = Process::start(directory.path(), &["--no-worker"]);
    let fires = server.client.hooks().last_fires("project-lander", "each-second").await.unwrap();
    let mut moments = Vec::new();
    for fire in &fires {
        assert_eq!((fire.result, fire.error.as_str()), (FireResult::Success, ""));
        let task = server.client.queue().task(fire.task_id).await.unwrap();
        if fire.fired_by == FiredBy::Schedule {
            moments.push(task.payload["for"].as_str().unwrap().to_owned());
        }
    }
    let known: BTreeSet<TaskId> = fires.iter().map(|fire| fire.task_id).collect();
    assert!(acknowledged.iter().all(|id| known.contains(id)), "what was acknowledged is there");
    assert!(!acknowledged.is_empty() && moments.len() >= usize::from(ROUNDS), "{moments:?}");
    let distinct: BTreeSet<&String> = moments.iter().collect();
    assert_eq!(distinct.len(), moments.len(), "a moment was fired twice: {moments:?}");
}
