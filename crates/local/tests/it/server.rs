//! Starting, stopping, and what a data directory is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use rusqlite::Transaction;
use serde_json::{Value, json};
use taskgraft_client::pulse::Broker;
use taskgraft_local::backup::{BackupError, backup};
use taskgraft_local::{Config, LockError, Server, StartError};
use taskgraft_store::StoreError;
use taskgraft_testkit::LATE;
use tokio::net::TcpListener;

use crate::requests::{Creds, Up};
use crate::support::Deployment;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_data_directory_has_one_server() {
    let up = Up::start().await;
    let second = Server::start(Config::new(up.running.data_dir())).await.err().unwrap();
    let StartError::DataDir(LockError::Held { holder: Some(holder), .. }) = &second else { panic!("{second}") };
    assert_eq!(holder.pid, std::process::id());
    assert_eq!(holder.address, Some(up.running.address().to_string()));
    let data_dir = up.running.data_dir().to_owned();
    up.running.stop().await;
    Server::start(Config::new(data_dir)).await.unwrap().stop().await;
}

#[tokio::test]
async fn secrets_are_for_their_owner_only() {
    let up = Up::start().await;
    let data_dir = up.running.data_dir();
    assert_eq!(mode(data_dir), 0o700);
    assert_eq!(mode(&data_dir.join("root-credentials.json")), 0o600);
    assert_eq!(mode(&data_dir.join("taskgraft.db")), 0o600);
    assert!(up.running.address().ip().is_loopback());
}

#[tokio::test]
async fn a_root_url_with_a_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path());
    config.root_url = Some("https://example.com/tc".parse().unwrap());
    assert!(matches!(Server::start(config).await, Err(StartError::RootUrl(_))));
}

#[tokio::test]
async fn stopping_ends_a_long_poll() {
    let up = Up::start().await;
    let target = "/api/queue/v1/claim-work/p%2Fw";
    let body = json!({"workerGroup": "g", "workerId": "w", "tasks": 1});
    let header = up.sign(&up.root(), "POST", target, 0, None);
    let headers = [("Authorization", header.as_str())];
    let claim = up.send("POST", target, &headers, &body);
    let stop = async {
        // Once somebody has begun to listen for tasks.
        while up.running.ctx().queue.bus.listeners() == 0 {
            tokio::task::yield_now().await;
        }
        up.running.begin_stop();
    };
    let (answer, ()) = tokio::join!(claim, stop);
    assert_eq!(answer.json(), json!({"tasks": []}));
}

const TASK: &str = "/api/queue/v1/task/AAAAAAAAQAGAAAAAAAAAAA";

/// A task whose run has left the artifact `public/a` with these bytes.
async fn upload(up: &Up, bytes: &[u8]) {
    let root = up.root();
    let task = json!({
        "taskQueueId": "p/w", "created": up.date(0), "deadline": up.date(3600), "expires": up.date(7200), "payload": {},
        "metadata": {"name": "", "description": "", "owner": "", "source": "https://example.com"},
    });
    assert_eq!(up.call("PUT", TASK, &root, &task).await.status, 200);
    let worker = json!({"workerGroup": "g", "workerId": "w"});
    assert_eq!(up.call("POST", &format!("{TASK}/runs/0/claim"), &root, &worker).await.status, 200);
    let artifact = json!({"storageType": "s3", "expires": up.date(7200), "contentType": "text/plain"});
    let made = up.call("POST", &format!("{TASK}/runs/0/artifacts/public/a"), &root, &artifact).await.json();
    let put = made["putUrl"].as_str().unwrap().strip_prefix(up.running.root_url()).unwrap();
    let answer = up.send_bytes("PUT", put, &[("Content-Type", "text/plain")], bytes).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
}

#[tokio::test]
async fn a_backup_is_a_data_directory() {
    let up = Up::start().await;
    upload(&up, b"what was built").await;
    let body = json!({"description": "kept", "scopes": ["a"]});
    up.call("PUT", "/api/auth/v1/roles/kept", &up.root(), &body).await;
    let file = up.dir.path().join("backup.tar");
    let made = backup(up.running.data_dir(), &[], &file).unwrap();
    assert_eq!((made.artifacts, made.gone, made.bytes), (1, 0, fs::metadata(&file).unwrap().len()));
    assert_eq!(mode(&file), 0o600);
    assert!(matches!(backup(up.running.data_dir(), &[], &file), Err(BackupError::Exists(_))));
    assert!(matches!(backup(up.dir.path(), &[], &file), Err(BackupError::NoData(_))));
    // Written after the backup, so not in it.
    up.call("DELETE", "/api/auth/v1/roles/kept", &up.root(), &Value::Null).await;

    let restored = up.dir.path().join("restored");
    fs::create_dir(&restored).unwrap();
    let status = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&restored).status().unwrap();
    assert!(status.success());
    assert_eq!(mode(&restored.join("root-credentials.json")), 0o600);
    let Creds { access_token, .. } = up.root();
    let Up { clock, dir, running } = up;
    running.stop().await;
    let again = Up { running: Server::start(Config::new(&restored)).await.unwrap(), clock, dir };
    assert_eq!(again.root().access_token, access_token);
    let role = again.anonymous("GET", "/api/auth/v1/roles/kept", &Value::Null).await.json();
    assert_eq!(role["description"], json!("kept"));
    let artifact = again.anonymous("GET", &format!("{TASK}/artifacts/public/a"), &Value::Null).await;
    let url = artifact.json()["url"].as_str().unwrap().to_owned();
    let target = url.strip_prefix(again.running.root_url()).unwrap();
    assert!(again.anonymous("GET", target, &Value::Null).await.body.ends_with(b"what was built"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_says_nothing_does_not_keep_the_server_from_stopping() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("amqp://guest:guest@{}", silent.local_addr().unwrap());
    let broker = Broker::new(url.parse().unwrap(), b"").unwrap();
    let deployment = Deployment::start_with(|config| config.pulse = Some(broker)).await;
    deployment.task(json!({})).await;
    let accepted = tokio::time::timeout(LATE, silent.accept()).await;
    let _connection = accepted.expect("something is to be published").unwrap();
    // Shorter than it waits for a broker.
    let stopped = tokio::time::timeout(Duration::from_secs(15), deployment.server.stop()).await;
    assert!(stopped.is_ok(), "it waits for the broker");
    let waiting = async |config: Config| {
        let server = Server::start(config).await.unwrap();
        let count = |tx: &Transaction<'_>| tx.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0));
        let count = server.ctx().store.read(move |tx| Ok::<_, StoreError>(count(tx)?)).await.unwrap();
        server.stop().await;
        count
    };
    let config = Config::new(deployment.directory.path().join("data"));
    let again = Config { pulse: Some(Broker::new(url.parse().unwrap(), b"").unwrap()), ..config.clone() };
    assert_ne!(waiting(again).await, 0, "kept for the broker");
    assert_eq!(waiting(config).await, 0, "and forgotten where there is none any more");
}
