//! Bounds: of bodies, of time, of rates, of work.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use taskgraft_service::Event;
use taskgraft_service::http::Settings;
use taskgraft_service::journal::{Audited, Change};
use taskgraft_testkit::LATE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::site::{ASKS, BASE, Site, header};

fn settings() -> Settings {
    Settings { fresh: Duration::ZERO, ..Settings::default() }
}

/// What is answered to bytes that are sent as they are.
async fn raw(site: &Site, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let site = Site::with(Settings { body_bytes: 1000, ..settings() }).await;
    let ann = site.somebody("project/lander/ann", &["*"], 3600).await;
    let large = json!({"push": "lander@aaaaaaaa", "action": "x", "input": "x".repeat(2000)});
    let answer = site.signed(&ann, &format!("{BASE}/requests"), Some("k"), &large).await;
    assert_eq!((answer.status, &answer.body["type"]), (413, &json!("urn:taskgraft:problem:large-body")));
    assert_eq!((site.requests().await, site.refusals().await.len()), (0, 1));
    let chunks = format!("{:x}\r\n{}\r\n", 600, " ".repeat(600)).repeat(2);
    let head = format!(
        "POST {BASE}/plan HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{chunks}"
    );
    assert!(raw(&site, head.as_bytes()).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_not_waited_for() {
    let site = Site::with(Settings { read_within: Duration::from_millis(200), ..settings() }).await;
    let body = format!(
        "POST {BASE}/requests HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{"
    );
    let answer = raw(&site, body.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("urn:taskgraft:problem:slow-body"), "{answer}");
    assert!(site.refusals().await[0].entry.why.starts_with("slow-body"));
    assert_eq!(site.requests().await, 0);
    // Half of the headers: the connection ends, at the latest with a plain 408.
    let answer = raw(&site, b"GET /live HTTP/1.1\r\nhost: x\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_refused() {
    let site = Site::start().await;
    let plan = |content_type: &str| header("content-type", content_type);
    let call = |headers: HeaderMap, body: &str| {
        site.call(Method::POST, "/api/taskgraft/v1/plan", headers, Some(body.to_owned()))
    };
    let headers = plan("text/plain");
    let url = format!("{}{BASE}/plan", site.url);
    let text =
        reqwest::Client::builder().no_proxy().build().unwrap().post(url).headers(headers).body("{}").send().await;
    assert_eq!(text.unwrap().status(), 415);
    for body in ["{", "", "{} {}", "[1]", "nul"] {
        let answer = call(HeaderMap::new(), body).await;
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (400, &json!("urn:taskgraft:problem:malformed-body")),
            "{body}"
        );
    }
    let deep = call(HeaderMap::new(), &"[".repeat(100_000)).await;
    assert_eq!(deep.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let site = Site::with(Settings { per_minute: 12, ..settings() }).await;
    let path = format!("{BASE}/requests");
    for _ in 0..2 {
        assert_eq!(site.get(&path).await.status, 200);
    }
    let refused = site.get(&path).await;
    assert_eq!((refused.status, &refused.body["type"]), (429, &json!("urn:taskgraft:problem:too-many")));
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&after), "{after}");
    assert_eq!(site.get("/live").await.status, 200, "whoever watches over it is not counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_each_caller_has_a_rate_of_its_own() {
    let site = Site::with(Settings { per_minute: 6, forwarded: true, ..settings() }).await;
    let from = |address: &str| header("x-forwarded-for", &format!("203.0.113.9, {address}"));
    let path = format!("{BASE}/requests");
    for n in 1..=3u8 {
        let address = IpAddr::from([198, 51, 100, n]).to_string();
        assert_eq!(site.call(Method::GET, &path, from(&address), None).await.status, 200);
        assert_eq!(site.call(Method::GET, &path, from(&address), None).await.status, 429);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_has_one_rate_wherever_it_calls_from() {
    let site = Site::with(Settings { per_minute: 6, forwarded: true, ..settings() }).await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let path = format!("{BASE}/requests");
    let mut statuses = Vec::new();
    for n in 1..=2u8 {
        let body = json!({"push": "lander@aaaaaaaa", "action": "x", "key": format!("k{n}")}).to_string();
        let mut headers = header("x-forwarded-for", &IpAddr::from([198, 51, 100, n]).to_string());
        let signature = site.sign(&ann, Method::POST, &path, &body, std::time::SystemTime::now());
        headers.insert("authorization", signature.parse().unwrap());
        statuses.push(site.call(Method::POST, &path, headers, Some(body)).await.status);
    }
    assert_eq!(statuses, [202, 429]);
    let (refused, calls) = site.stopped(1).await.remove(0);
    assert_eq!((refused.entry.who.as_str(), calls), ("project/lander/ann", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_above_a_rate_is_in_the_audit_log_as_one_entry_for_each_address() {
    let hour = Duration::from_secs(3600);
    let site = Site::with(Settings { per_minute: 1, forwarded: true, count_for: hour, ..settings() }).await;
    let (ask, cancel) = (format!("{BASE}/requests"), format!("{BASE}/requests/x/cancel"));
    let from = |n: u8| {
        let mut headers = header("x-forwarded-for", &IpAddr::from([198, 51, 100, n]).to_string());
        headers.insert("authorization", "Hawk id=\"project/lander/ann\", mac=\"x\"".parse().unwrap());
        headers
    };
    for n in 1..=2 {
        for (path, status) in [(&ask, 401), (&ask, 429), (&cancel, 429), (&ask, 429)] {
            let answer = site.call(Method::POST, path, from(n), Some("{}".to_owned())).await;
            assert_eq!(answer.status, status, "{path}");
        }
    }
    // Reading asks for nothing to be done.
    assert_eq!(site.call(Method::GET, &ask, from(1), None).await.status, 429);
    assert_eq!(site.refusals().await.len(), 2, "one by one those within their rate, and no write for another");
    let counted = site.stopped(4).await;
    assert_eq!((counted.len(), site.refusals().await.len(), site.requests().await), (2, 4, 0));
    for ((Audited { entry, .. }, _), n) in counted.iter().rev().zip(1..) {
        assert_eq!(entry.who, format!("somebody at 198.51.100.{n} who claims to be project/lander/ann"));
        assert_eq!(entry.what, "ask 2 times, cancel once");
        assert!(entry.why.starts_with("too-many 3 times; within "), "{}", entry.why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_entered_while_it_is_served() {
    let window = Duration::from_millis(10);
    let site = Site::with(Settings { per_minute: 1, count_for: window, ..settings() }).await;
    let path = format!("{BASE}/requests");
    for status in [401, 429, 429, 429] {
        assert_eq!(site.post(&path, &json!({})).await.status, status);
    }
    assert_eq!(site.counted(3).await.iter().map(|(_, n)| n).sum::<u64>(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_can_be_worked_on_is_sent_away() {
    let site = Site::with(Settings { in_flight: 0, ..settings() }).await;
    let refused = site.get(&format!("{BASE}/requests")).await;
    assert_eq!((refused.status, &refused.body["type"]), (503, &json!("urn:taskgraft:problem:overloaded")));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(site.get("/ready").await.status, 200);
    let site = Site::with(Settings { subscribers: 0, ..settings() }).await;
    assert_eq!(site.get(&format!("{BASE}/events")).await.status, 503);
}

/// Waits until the metrics say so.
async fn until(site: &Site, says: &str) {
    let said = async {
        while !site.get("/metrics").await.body.as_str().unwrap().lines().any(|line| line == says) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, said).await.unwrap_or_else(|_| panic!("never {says}"));
}

/// Calls until that is the answer.
async fn until_status(site: &Site, path: &str, body: Option<&Value>, status: u16) {
    let answered = async {
        loop {
            let answer = match body {
                Some(body) => site.post(path, body).await,
                None => site.get(path).await,
            };
            if answer.status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, answered).await.unwrap_or_else(|_| panic!("never {status}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_result_keeps_nobody_from_working_and_only_so_many_wait() {
    let site = Site::with(Settings { in_flight: 1, waiting: 1, ..settings() }).await;
    let ann = site.somebody("project/lander/ann", &["hooks:trigger-hook:*"], 3600).await;
    let path = format!("{BASE}/requests");
    let body = json!({"push": "lander@aaaaaaaa", "action": "x"});
    let waiting = format!("{path}?wait=60");
    let (waited, ()) = tokio::join!(site.signed(&ann, &waiting, Some("a"), &body), async {
        until(&site, "taskgraft_http_waiting 1").await;
        // The only place is free as soon as it is written down, for anybody and for the same client.
        until_status(&site, &path, None, 200).await;
        assert_eq!(site.signed(&ann, &path, Some("b"), &body).await.status, 202);
        // Another one does not wait, and so asks for nothing.
        let refused = site.signed(&ann, &waiting, Some("c"), &body).await;
        assert_eq!((refused.status, &refused.body["type"]), (503, &json!("urn:taskgraft:problem:overloaded")));
        assert!(refused.headers.contains_key("retry-after"));
        assert_eq!(site.requests().await, 2);
        let id = site.signed(&ann, &path, Some("a"), &body).await.body["id"].as_str().unwrap().to_owned();
        assert_eq!(site.get(&format!("{path}/{id}?wait=60")).await.status, 503);
        assert_eq!(site.get(&format!("{path}/{id}?wait=0")).await.status, 200);
        site.journal.apply(&id.parse().unwrap(), Event::Refused, Change::default()).await.unwrap();
    });
    assert_eq!((waited.status, &waited.body["state"]), (200, &json!("refused")));
    until(&site, "taskgraft_http_waiting 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_is_in_the_audit_log_and_waits_no_longer() {
    let site = Site::with(Settings { read_within: LATE, longest_wait: 2 * LATE, ..settings() }).await;
    let (ann, path) = (site.somebody("project/lander/ann", ASKS, 3600).await, format!("{BASE}/requests?wait=480"));
    let body = json!({"push": "lander@aaaaaaaa", "action": "x", "key": "k"}).to_string();
    let sign = || site.sign(&ann, Method::POST, &path, &body, std::time::SystemTime::now());
    let call = |signature: &str, sent: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {signature}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{sent}",
            site.url.strip_prefix("http://").unwrap()
        )
    };
    let send = async |call: String| {
        let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(call.as_bytes()).await.unwrap();
        stream
    };
    let left = send(call("Hawk id=\"project/lander/ann\", mac=\"x\"", "{")).await;
    until(&site, "taskgraft_http_in_flight 2").await;
    drop(left);
    let entered = async {
        while site.refusals().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LATE, entered).await.expect("an entry in time");
    let entry = site.refusals().await.remove(0).entry;
    assert_eq!(entry.who, "somebody at 127.0.0.1 who claims to be project/lander/ann");
    // Long before the time that it wanted to wait is over.
    let left = send(call(&sign(), &body)).await;
    until(&site, "taskgraft_http_waiting 1").await;
    drop(left);
    until(&site, "taskgraft_http_waiting 0").await;
    assert_eq!((site.requests().await, site.refusals().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_to_say_what_they_want_keeps_nobody_from_working() {
    let site = Site::with(Settings { in_flight: 1, read_within: LATE, ..settings() }).await;
    for endpoint in ["plan", "requests"] {
        let mut slow = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST {BASE}/{endpoint} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{"
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        until(&site, "taskgraft_http_in_flight 2").await;
        assert_eq!(site.get(&format!("{BASE}/requests")).await.status, 200, "{endpoint}");
        drop(slow);
        until(&site, "taskgraft_http_in_flight 1").await;
    }
}

/// A preview that is large.
fn large() -> Value {
    json!({"push": "x".repeat(150_000), "labels": ["a"]})
}

/// Sends most of 160,000 bytes, and has the room for them until this is dropped: nothing else that is large is taken.
async fn all_the_room(site: &Site) -> TcpStream {
    let plan = format!("{BASE}/plan");
    let head = format!(
        "POST {plan} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 160000\r\n\r\n{}",
        " ".repeat(150_000)
    );
    let had = async {
        loop {
            let mut slow = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).await.unwrap();
            slow.write_all(head.as_bytes()).await.unwrap();
            // It is answered where one of these had the room when it came.
            while slow.try_read(&mut [0]).is_err() {
                if site.post(&plan, &large()).await.status == 503 {
                    return slow;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(LATE, had).await.expect("the room in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_the_room_that_there_is_and_small_ones_need_none() {
    let site = Site::with(Settings { room_bytes: 100_000, read_within: LATE, ..settings() }).await;
    let plan = format!("{BASE}/plan");
    assert_eq!(site.post(&plan, &large()).await.status, 400);
    let slow = all_the_room(&site).await;
    assert_eq!(site.post(&plan, &json!({"push": "x", "labels": ["a"]})).await.status, 400, "small ones are read");
    drop(slow);
    until_status(&site, &plan, Some(&large()), 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_not_refused_though_there_is_no_room_to_show_it() {
    let site = Site::with(Settings { room_bytes: 100_000, read_within: LATE, ..settings() }).await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let (path, wanted) = (format!("{BASE}/requests"), json!({"push": "lander@aaaaaaaa", "action": "x"}));
    let first = site.signed(&ann, &path, Some("k"), &wanted).await;
    let id = first.body["id"].as_str().unwrap();
    let report = Change { report: Some("x".repeat(40_000).into()), ..Change::default() };
    site.journal.facts(&id.parse().unwrap(), report).await.unwrap();
    let slow = all_the_room(&site).await;
    let taken = site.signed(&ann, &path, Some("k"), &wanted).await;
    assert_eq!((taken.status, &taken.body), (202, &json!({"id": id, "state": "received"})));
    let place = format!("{path}/{id}");
    assert_eq!(taken.headers["location"].to_str().unwrap(), place);
    assert_eq!(site.get(&place).await.status, 503);
    let cancelled = site.signed(&ann, &format!("{place}/cancel"), None, &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.body), (202, &json!({"id": id, "state": "cancelling"})));
    assert!(site.refusals().await.is_empty(), "nothing was refused");
    drop(slow);
    until_status(&site, &place, None, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_of_what_could_be_asked_for_at_most() {
    let site = Site::start().await;
    site.push("aaaaaaaa", &[]).await;
    let preview = async |jobs: usize| {
        let unknown = (1..jobs).map(|n| format!("unknown-{n}"));
        let labels: Vec<String> = std::iter::once("test-0-0".to_owned()).chain(unknown).collect();
        let body = json!({"push": "lander@aaaaaaaa", "labels": labels, "times": 100, "partial": true});
        site.post(&format!("{BASE}/plan"), &body).await
    };
    let most = preview(100).await;
    assert_eq!((most.status, most.body["tasks"].as_array().unwrap().len()), (200, 101), "with the build");
    let more = preview(101).await;
    assert_eq!((more.status, &more.body["type"]), (422, &json!("urn:taskgraft:problem:no-plan")));
    assert_eq!(more.body["detail"], "10100 tasks would be created, and one request creates 10000 at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_previews_share_the_room_and_small_ones_need_none() {
    let site = Site::with(Settings { room_bytes: 100_000, read_within: LATE, ..settings() }).await;
    site.push("aaaaaaaa", &[]).await;
    let plan = format!("{BASE}/plan");
    let preview = |labels: &str, times| json!({"push": "lander@aaaaaaaa", "labels": [labels], "times": times});
    let whole = preview("*", 20);
    assert_eq!(site.post(&plan, &whole).await.body["tasks"].as_array().unwrap().len(), 400);
    let slow = all_the_room(&site).await;
    until_status(&site, &plan, Some(&whole), 503).await;
    let refused = site.post(&plan, &whole).await;
    assert_eq!(refused.body["type"], "urn:taskgraft:problem:overloaded");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(site.post(&plan, &preview("build-0", 1)).await.status, 200, "a small one");
    drop(slow);
    until_status(&site, &plan, Some(&whole), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_may_be_unfinished_are_not_taken() {
    let site = Site::with(Settings { backlog: 1, ..settings() }).await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let (path, body) = (format!("{BASE}/requests"), json!({"push": "lander@aaaaaaaa", "action": "x"}));
    let mut answers = Vec::new();
    for key in ["first", "second", "first"] {
        answers.push(site.signed(&ann, &path, Some(key), &body).await);
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [202, 503, 202], "what was taken before is told again");
    assert_eq!(answers[1].body["type"], "urn:taskgraft:problem:overloaded");
    assert!(answers[1].headers.contains_key("retry-after"));
    assert_eq!(site.requests().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_allowed_origins_may_call() {
    let origins = vec!["https://treeherder.example.com".to_owned()];
    let site = Site::with(Settings { origins, ..settings() }).await;
    let from = |origin: &str| header("origin", origin);
    let allowed = site.call(Method::GET, "/live", from("https://treeherder.example.com"), None).await;
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://treeherder.example.com");
    let other = site.call(Method::GET, "/live", from("https://evil.example.com"), None).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |origin: &str| {
        let url = format!("{}{BASE}/requests", site.url);
        http.request(Method::OPTIONS, url).headers(from(origin)).header("access-control-request-method", "POST").send()
    };
    let preflight = ask("https://treeherder.example.com").await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert_eq!(ask("https://evil.example.com").await.unwrap().status(), 405);
}
