//! Treeherder's numbers, asked over HTTP.

use std::time::Duration;

use taskgraft_client::{Config, Retry};
use taskgraft_service::pulse::{HasNone, KnownJob, Treeherder, TreeherderError};
use taskgraft_testkit::treeherder::{Age, Treeherder as Server};

const REVISION: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9011223344";
const GUID: &str = "bfcfef92-9000-4121-ac73-d634028e5705/0";
const TASK: &str = "v8_vkpAAQSGsc9Y0Ao5XBQ";

fn client(server: &Server) -> Treeherder {
    let retry = Retry { tries: 3, base: Duration::ZERO, ..Retry::default() };
    Treeherder::new(Config { retry, ..Config::new(server.url()) }).unwrap()
}

#[tokio::test]
async fn a_push_is_found_as_it_was_then_and_as_it_is_now() {
    for (age, paths) in [
        (Age::Now, &["/api/project/try/push/87376/"][..]),
        (Age::Then, &["/api/project/try/push/87376/", "/api/project/try/resultset/87376/"]),
    ] {
        let server = Server::start(age);
        server.push("try", 87376, REVISION);
        let treeherder = client(&server);
        assert_eq!(treeherder.revision("try", 87376).await.unwrap(), REVISION);
        assert_eq!(treeherder.revision("try", 87376).await.unwrap(), REVISION);
        assert_eq!(server.asked(), paths, "asked once, remembered from then on");
    }
}

#[tokio::test]
async fn a_job_tells_its_push_and_its_task() {
    for age in [Age::Now, Age::Then] {
        let server = Server::start(age);
        server.job("try", 9, 7, "taskcluster", GUID);
        server.job("try", 10, 7, "buildbot", "c6ae49505944c574e9247bcce81e8d2cb99b0721");
        let treeherder = client(&server);
        let known = |task: Option<&str>, system: &str| KnownJob {
            push: 7,
            task: task.map(|task| task.parse().unwrap()),
            system: Some(system.to_owned()),
        };
        for _ in 0..2 {
            assert_eq!(treeherder.job("try", 9).await.unwrap(), known(Some(TASK), "taskcluster"));
            assert_eq!(treeherder.job("try", 10).await.unwrap(), known(None, "buildbot"));
        }
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn what_is_unknown_is_asked_again_the_next_time() {
    let server = Server::start(Age::Now);
    server.push("try", 7, REVISION);
    let treeherder = client(&server);
    let error = treeherder.revision("autoland", 7).await.unwrap_err();
    assert!(matches!(error, TreeherderError::Unknown { what: HasNone::Push, .. }), "{error}");
    assert_eq!(error.to_string(), "find push 7 of autoland: Treeherder has none");
    assert!(!error.is_transient());
    server.push("autoland", 7, REVISION);
    assert!(treeherder.revision("autoland", 7).await.is_ok(), "it may have been told too early");
}

#[tokio::test]
async fn trouble_is_tried_again_and_passes() {
    let server = Server::start(Age::Now);
    server.push("try", 7, REVISION);
    let treeherder = client(&server);
    server.fail(2);
    assert!(treeherder.revision("try", 7).await.is_ok());
    server.fail(100);
    let error = treeherder.job("try", 9).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    server.fail(0);
    assert!(!treeherder.job("try", 9).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_answer_about_something_else_is_not_believed() {
    let server = Server::start(Age::Now);
    let answer = serde_json::json!({"id": 8, "revision": REVISION});
    server.knows("/api/project/try/push/7/".to_owned(), answer);
    let error = client(&server).revision("try", 7).await.unwrap_err();
    assert_eq!(error.to_string(), "find push 7 of try on Treeherder: its answer is about another push");
}
