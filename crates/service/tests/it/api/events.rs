//! Server-sent events: resumed by number, told as they happen, bounded.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_service::http::Settings;
use taskgraft_service::journal::Change;
use taskgraft_service::{Asked, Asker, Authority, Door, Event, NewRequest, PushName};
use taskgraft_testkit::LATE;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use super::site::{BASE, Site};

/// A stream of events, read as it comes.
struct Stream(Lines<BufReader<TcpStream>>);

#[derive(Debug, Default, PartialEq)]
struct Told {
    name: String,
    id: Option<i64>,
    data: Value,
}

impl Stream {
    async fn open(site: &Site, query: &str, last: Option<i64>) -> Self {
        let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).await.unwrap();
        let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
        let head = format!("GET {BASE}/events{query} HTTP/1.0\r\nhost: x\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.next_line().await.unwrap().unwrap().contains(" 200 "));
        while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        Self(lines)
    }

    /// The next event, heartbeats passed over.
    async fn next(&mut self, site: &Site) -> Told {
        tokio::time::timeout(LATE, self.read(site)).await.expect("an event in time")
    }

    async fn read(&mut self, site: &Site) -> Told {
        let mut told = Told::default();
        loop {
            let line = self.0.next_line().await.unwrap().unwrap();
            if let Some(name) = line.strip_prefix("event: ") {
                told.name = name.to_owned();
            } else if let Some(id) = line.strip_prefix("id: ") {
                told.id = Some(id.parse().unwrap());
            } else if let Some(data) = line.strip_prefix("data: ") {
                told.data = serde_json::from_str(data).unwrap();
            } else if line.is_empty() && !told.name.is_empty() {
                let schema = match told.name.as_str() {
                    "request" => "Step",
                    "task" => "TaskEvent",
                    _ => "GroupEvent",
                };
                site.fits(&json!({"$ref": format!("#/components/schemas/{schema}")}), &told.data);
                return told;
            } else if line.is_empty() {
                told = Told::default();
            }
        }
    }
}

async fn receive(site: &Site, key: &str) -> RequestId {
    let asked = Asked {
        project: None,
        push: PushName::Decision(TaskId::from_bytes([1; 16])),
        resultset: None,
        action: "add-new-jobs".into(),
        subject: None,
        input: Value::Null,
    };
    let asker = Asker { name: "ann".into(), authority: Authority::Nobody("a test".into()) };
    let new = NewRequest { key: key.to_owned(), door: Door::Http, asker, asked };
    site.journal.receive(new).await.unwrap().request().id.clone()
}

fn running(task: TaskId, group: TaskId) -> Vec<u8> {
    let at = "2026-11-22T12:00:00.000Z";
    json!({"status": {
        "taskId": task, "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "s",
        "projectId": "none", "taskGroupId": group, "priority": "low", "deadline": at, "expires": at, "retriesLeft": 5,
        "state": "running", "runs": [{"runId": 0, "state": "running", "reasonCreated": "scheduled", "scheduled": at}],
    }})
    .to_string()
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_no_step() {
    let site = Site::start().await;
    let before = receive(&site, "before").await;
    let mut stream = Stream::open(&site, "", None).await;
    let first = receive(&site, "first").await;
    let told = stream.next(&site).await;
    assert_eq!(
        (told.name.as_str(), &told.data["request"], &told.data["what"]),
        ("request", &json!(first), &json!("received"))
    );
    assert_eq!(told.id, told.data["seq"].as_i64());
    drop(stream);
    site.journal.apply(&first, Event::Allowed, Change::default()).await.unwrap();
    let second = receive(&site, "second").await;
    let mut stream = Stream::open(&site, "", told.id).await;
    let (allowed, received) = (stream.next(&site).await, stream.next(&site).await);
    assert_eq!((&allowed.data["request"], &allowed.data["state"]), (&json!(first), &json!("ready")));
    assert_eq!((&received.data["request"], &received.data["state"]), (&json!(second), &json!("received")));
    assert!(allowed.id > told.id && received.id > allowed.id);
    site.journal.apply(&first, Event::Refused, Change::default()).await.unwrap();
    assert_eq!(stream.next(&site).await.data["state"], "refused", "and it goes on");
    // From the beginning, and of one request only.
    let mut own = Stream::open(&site, &format!("?after=0&request={first}"), None).await;
    for state in ["received", "ready", "refused"] {
        let told = own.next(&site).await;
        assert_eq!((&told.data["request"], &told.data["state"]), (&json!(first), &json!(state)));
    }
    let mut all = Stream::open(&site, "?after=0", None).await;
    assert_eq!(all.next(&site).await.data["request"], json!(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_followed_is_refused_as_the_document_says() {
    let site = Site::start().await;
    let last = |id: &[u8]| ("last-event-id".parse().unwrap(), HeaderValue::from_bytes(id).unwrap());
    for (query, last, place) in [
        ("?after=x", None, "after"),
        ("?after=-1", None, "after"),
        ("?after=9223372036854775808", None, "after"),
        ("?after=1&after=1", None, "after"),
        ("", Some(last(b"x")), "Last-Event-ID"),
        ("", Some(last(b"-1")), "Last-Event-ID"),
        ("", Some(last(b"")), "Last-Event-ID"),
        ("", Some(last(b"\xff")), "Last-Event-ID"),
        ("?after=1", Some(last(b"x")), "Last-Event-ID"),
        ("?group=g", None, "group"),
        ("?request=a%20b", None, "request"),
        ("?other=1", None, "other"),
    ] {
        let headers = last.into_iter().collect();
        // Holds the answer against the document.
        let answer = site.call(Method::GET, &format!("{BASE}/events{query}"), headers, None).await;
        let told = (answer.status, &answer.body["type"], &answer.body["place"]);
        assert_eq!(told, (400, &json!("urn:taskgraft:problem:bad-parameter"), &json!(place)), "{query}");
    }
    let posted = site.post(&format!("{BASE}/events"), &json!({})).await;
    assert_eq!((posted.status, &posted.body["type"]), (405, &json!("urn:taskgraft:problem:wrong-method")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_as_the_document_says_and_only_so_many_follow() {
    // One address has a quarter.
    let site = Site::with(Settings { subscribers: 4, ..Settings::default() }).await;
    // Nobody has to sign to read, and a browser's page can't.
    let (begun, stream) = site.begin(&format!("{BASE}/events?after=0")).await;
    assert_eq!((begun.status, &begun.headers["content-type"]), (200, &HeaderValue::from_static("text/event-stream")));
    assert!(begun.body.as_str().unwrap().starts_with("retry: "), "{}", begun.body);
    let full = site.get(&format!("{BASE}/events")).await;
    assert_eq!((full.status, &full.body["type"]), (503, &json!("urn:taskgraft:problem:overloaded")));
    let after: u64 = full.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(after > 0, "{after}");
    drop(stream);
    let again = async {
        while site.begin(&format!("{BASE}/events")).await.0.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, again).await.expect("its place in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_too_often_is_told_when_to_come_again() {
    let site = Site::with(Settings { per_minute: 1, ..Settings::default() }).await;
    let path = format!("{BASE}/events?after=x");
    assert_eq!(site.get(&path).await.status, 400);
    let refused = site.get(&path).await;
    assert_eq!((refused.status, &refused.body["type"]), (429, &json!("urn:taskgraft:problem:too-many")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_and_its_tasks_are_told_as_they_change_and_others_are_not() {
    let site = Site::start().await;
    let (group, task, other) = (TaskId::from_bytes([2; 16]), TaskId::from_bytes([3; 16]), TaskId::from_bytes([9; 16]));
    let mut stream = Stream::open(&site, &format!("?group={group}"), None).await;
    site.live.tell("exchange/taskcluster-queue/v1/task-running", &running(task, other));
    site.live.tell("exchange/taskcluster-queue/v1/task-running", &running(task, group));
    let told = stream.next(&site).await;
    let data = json!({"taskId": task, "taskGroupId": group, "state": "running", "runId": 0});
    assert_eq!(told, Told { name: "task".into(), id: None, data });
    for group in [other, group] {
        let message = json!({"version": 1, "taskGroupId": group, "schedulerId": "s"}).to_string();
        site.live.tell("exchange/taskcluster-queue/v1/task-group-resolved", message.as_bytes());
    }
    let data = json!({"taskGroupId": group, "state": "resolved"});
    assert_eq!(stream.next(&site).await, Told { name: "group".into(), id: None, data });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_says_how_far_the_journal_has_come() {
    let site = Site::with(Settings { heartbeat: Duration::from_millis(20), ..Settings::default() }).await;
    receive(&site, "one").await;
    let Stream(mut lines) = Stream::open(&site, &format!("?request={}", TaskId::from_bytes([7; 16])), None).await;
    while lines.next_line().await.unwrap().unwrap() != ": alive" {}
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "id: 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut() {
    let settings = Settings { heartbeat: Duration::from_millis(50), event_buffer: 1, ..Settings::default() };
    let site = Site::with(settings).await;
    let group = TaskId::from_bytes([2; 16]);
    let Stream(lines) = Stream::open(&site, &format!("?group={group}"), None).await;
    let message = running(group, group);
    let cut = tokio::time::timeout(LATE, async {
        loop {
            for _ in 0..1000 {
                site.live.tell("exchange/taskcluster-queue/v1/task-running", &message);
            }
            let metrics = site.get("/metrics").await.body;
            if metrics.as_str().unwrap().lines().any(|line| line == "taskgraft_http_subscribers_cut_total 1") {
                break;
            }
        }
    });
    cut.await.unwrap();
    // What was sent before is there, and then the end.
    let mut rest = Vec::new();
    lines.into_inner().read_to_end(&mut rest).await.unwrap();
}
