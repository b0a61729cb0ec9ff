//! What the service needs, taken away.

use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Config, SystemClock};
use taskgraft_local::Server;
use taskgraft_service::journal::{Journal, Settings};
use taskgraft_service::reach::{Missing, Need, Pace, Reach};
use taskgraft_testkit::LATE;
use tokio::sync::watch;

const PACE: Pace =
    Pace { every: Duration::from_millis(50), within: Duration::from_secs(5), lately: Duration::from_millis(100) };

/// What is missing as soon as it is something else.
async fn until(reach: &Reach, expected: Option<&str>) -> Option<Missing> {
    let changed = async {
        loop {
            let missing = reach.all().await.err();
            if missing.as_ref().map(|missing| missing.name) == expected {
                return missing;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, changed).await.unwrap_or_else(|_| panic!("never {expected:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_can_not_be_written_is_told_and_so_is_a_deployment_that_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let running = Server::start(taskgraft_local::Config::new(dir.path().join("data"))).await.unwrap();
    let client = Client::new(Config::new(running.root_url())).unwrap();
    let file = dir.path().join("journal.sqlite");
    let journal = Journal::open(&file, Settings::default(), Arc::new(SystemClock)).await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    let reach = Reach::watch(Need::all(&journal, &client, &PACE), PACE, stopping.clone());
    assert_eq!(until(&reach, None).await, None);
    // Somebody else writes, and does not end.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    until(&reach, Some("journal")).await;
    other.execute_batch("ROLLBACK").unwrap();
    until(&reach, None).await;
    running.stop().await;
    let auth = until(&reach, Some("auth")).await.unwrap();
    assert!(auth.why.contains("failed to "), "{auth:?}");
    let nobody = Client::new(Config::new("http://127.0.0.1:9")).unwrap();
    let mut queue = Need::all(&journal, &nobody, &PACE);
    queue.swap(0, 2);
    let reach = Reach::watch(queue, PACE, stopping);
    assert!(reach.all().await.unwrap_err().why.starts_with("queue: never there so far: failed to "));
}
