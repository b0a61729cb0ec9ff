//! `kill -9` at any moment loses nothing that was acknowledged.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use taskgraft_client::{Client, Config as ClientConfig, Credentials, Retry, Upload};
use taskgraft_core::api::queue::{ClaimTaskRequest, CreateArtifactRequest, CreateArtifactResponse, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::{Millis, parse};
use taskgraft_local::{Config, Server};

use crate::support::{definition, fresh_id};

/// Names the data directory to the server process that a test starts.
const DATA: &str = "TASKGRAFT_TEST_DATA_DIR";

/// What the server process says once it answers.
const READY: &str = "server process at ";

/// No test: the process that the test below starts and kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn server_process() {
    let Ok(directory) = std::env::var(DATA) else { return };
    let server = Server::start(Config::new(directory)).await.unwrap();
    let root = server.credentials();
    println!("\n{READY}{} {} {}", server.root_url(), root.client_id, root.access_token);
    std::future::pending::<()>().await;
}

/// A server in a process of its own, and a client for it that asks once only.
fn spawn(directory: &std::path::Path) -> (Child, Client) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "queue::durability::server_process", "--ignored", "--nocapture"])
        .env(DATA, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix(READY)?.to_owned())).unwrap();
    let [url, id, token] = ready.split(' ').collect::<Vec<_>>().try_into().unwrap();
    (child, client(url, Credentials::new(id, token)))
}

fn client(url: &str, credentials: Credentials) -> Client {
    let config = ClientConfig { retry: Retry::never(), ..ClientConfig::new(url).with_credentials(credentials) };
    Client::new(config).unwrap()
}

/// Creates, claims, uploads and resolves until the server dies; answers the tasks whose resolution, and those whose
/// creation, was acknowledged.
async fn work(client: Client, acknowledged: Arc<AtomicUsize>) -> (Vec<TaskId>, Vec<TaskId>) {
    let (mut completed, mut created) = (Vec::new(), Vec::new());
    let worker = ClaimTaskRequest { worker_group: "g".into(), worker_id: "w".into() };
    loop {
        let id = fresh_id();
        let task = definition(json!({}));
        let expires = Millis::from(parse(task["expires"].as_str().unwrap()).unwrap());
        if client.queue().create_task(id, task.to_string().into()).await.is_err() {
            return (completed, created);
        }
        created.push(id);
        acknowledged.fetch_add(1, Ordering::SeqCst);
        let whole = async {
            client.queue().claim_task(id, 0, &worker).await?;
            let content_type = "text/plain".to_owned();
            let request = CreateArtifactRequest::S3 { expires, content_type, content_length: None };
            let answer = client.queue().create_artifact(id, 0, "public/id", &request).await?;
            let CreateArtifactResponse::S3 { put_url, .. } = answer else { panic!("{answer:?}") };
            client.upload(&put_url, "text/plain", Upload::Bytes(id.to_string().into())).await?;
            client.queue().report_completed(id, 0).await
        };
        match whole.await {
            Ok(_) => completed.push(id),
            Err(_) => return (completed, created),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    for round in 1..=3 {
        let (mut child, client) = spawn(&data);
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..8).map(|_| tokio::spawn(work(client.clone(), Arc::clone(&acknowledged)))).collect();
        while acknowledged.load(Ordering::SeqCst) < 60 * round {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut completed, mut created) = (Vec::new(), Vec::new());
        for worker in workers {
            let (done, made) = worker.await.unwrap();
            completed.extend(done);
            created.extend(made);
        }
        check(&data, &completed, &created).await;
    }
}

async fn check(data: &std::path::Path, completed: &[TaskId], created: &[TaskId]) {
    let server = Server::start(Config::new(data)).await.unwrap();
    let root = server.credentials();
    let client = client(server.root_url(), Credentials::new(&root.client_id, &root.access_token));
    let statuses = client.queue().statuses::<TaskStatus>(created).await.unwrap();
    assert_eq!(statuses.len(), created.len());
    assert!(!completed.is_empty());
    let file = data.join("fetched");
    for id in completed {
        assert_eq!(statuses[id].state, TaskState::Completed);
        let location = client.queue().artifact(*id, None, "public/id").await.unwrap();
        client.download(&location.url, &file, 100).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), id.as_str());
    }
    std::fs::remove_file(&file).unwrap();
    server.stop().await;
}
