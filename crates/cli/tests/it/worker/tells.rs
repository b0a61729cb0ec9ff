//! What a worker tells about itself: health, metrics, and a log without secrets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use taskgraft_core::state::TaskState;
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Worker, action_task, add, resolved};
use crate::pushes::{DECISION, push};
use crate::server::Up;
use crate::waiting::until;

/// Status and body of what a worker serves.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A field of a JSON line of the log.
fn field(line: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(line).unwrap()[name].clone()
}

#[test]
fn health_and_metrics_follow_what_happens() {
    let proxy = Proxy::start();
    let up = Up::with(&["--no-worker", "--long-poll-ms", "100", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    push(&up);
    let mut worker = Worker::start(&up, "w", &["--metrics-port", "0", "--log-format", "json"]);
    let address = field(&worker.says("serving /healthz"), "address").as_str().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    until("readiness", || (get(&address, "/readyz").0 == 200).then_some(()));
    for labels in [&["lint-c"], &["lint-python"]] {
        let action = add(&up, DECISION, labels);
        assert_eq!(resolved(&up, action).state, TaskState::Completed);
    }
    let unknown = action_task(&up, DECISION, "make-coffee", &json!({}));
    resolved(&up, unknown);
    let text = until("the last run's count", || {
        Some(get(&address, "/metrics").1).filter(|text| text.contains("run_seconds_count 3\n"))
    });
    for line in [
        "taskgraft_worker_claims_total 3",
        "taskgraft_worker_runs_total{resolution=\"completed\"} 2",
        "taskgraft_worker_runs_total{resolution=\"malformed-payload\"} 1",
        "taskgraft_worker_push_reads_total{from=\"memory\"} 1",
        "taskgraft_worker_push_reads_total{from=\"elsewhere\"} 1",
        "taskgraft_worker_running 0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
    }
    let created = text.lines().find_map(|line| line.strip_prefix("taskgraft_worker_created_tasks_total "));
    assert!(created.unwrap().parse::<u32>().unwrap() >= 2, "{text}");
    // The queue goes away: alive, not ready, and it says why.
    proxy.rule(|_, path| if path.contains("claim-work") { Fault::Status(503) } else { Fault::None });
    let why = until("trouble", || Some(get(&address, "/readyz")).filter(|(status, _)| *status == 503)).1;
    assert!(why.contains("claimWork") && why.contains("503"), "{why}");
    assert_eq!(get(&address, "/healthz").0, 200);
    proxy.heal();
    until("readiness again", || (get(&address, "/readyz").0 == 200).then_some(()));
}

#[test]
fn its_log_has_a_line_for_each_event_with_task_and_run_and_no_secrets() {
    let up = Up::with(&["--no-worker", "--long-poll-ms", "100"]);
    push(&up);
    let action = add(&up, DECISION, &["lint-c"]);
    let mut worker = Worker::start(&up, "w", &["-vvv", "--log-format", "json"]);
    assert_eq!(resolved(&up, action).state, TaskState::Completed);
    let line = worker.says("\"message\":\"ended\"");
    assert_eq!(field(&line, "span"), json!({"name": "run", "task": action, "run": 0}));
    assert_eq!(field(&line, "resolution"), "completed");
    assert!(field(&line, "created").as_u64().unwrap() > 0, "{line}");
    worker.signal("-TERM");
    let (code, log) = worker.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.len() > 10_000, "everything is logged:\n{log}");
    for line in log.lines() {
        assert!(field(line, "timestamp").is_string() && field(line, "level").is_string(), "{line}");
    }
    let token = &up.variables.iter().find(|(name, _)| name == "TASKCLUSTER_ACCESS_TOKEN").unwrap().1;
    // What credentials, certificates, signatures and signed URLs look like on the wire.
    for secret in [token.as_str(), "accessToken", "access_token", "certificate", "seed", "mac=\\\"", "Hawk id", "/blob"]
    {
        assert!(!log.contains(secret), "`{secret}` in\n{}", log.lines().find(|line| line.contains(secret)).unwrap());
    }
    // And what a token of the run's own looks like, which nobody but the worker knows: nothing else is as long and mixed.
    let mixed = |word: &str| {
        let any = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
        any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit)
    };
    let words = log.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    let tokens: Vec<_> = words.filter(|word| word.len() >= 32 && mixed(word)).collect();
    assert!(tokens.is_empty(), "{tokens:?}");
}

#[test]
fn a_push_is_fetched_when_its_decision_task_completes() {
    let up = Up::with(&["--no-worker", "--long-poll-ms", "100"]);
    let path = "lander.v2.lander.latest.taskgraph.decision";
    let args = ["--metrics-port", "0", "--log-format", "json", "--prefetch", path];
    let mut worker = Worker::start(&up, "w", &args);
    worker.says("serving /healthz");
    push(&up);
    let line = worker.says("fetched what a decision task left");
    assert_eq!(field(&line, "decision"), DECISION);
    let action = add(&up, DECISION, &["lint-c"]);
    assert_eq!(resolved(&up, action).state, TaskState::Completed);
    let address = field(&worker.says("serving /healthz"), "address").as_str().unwrap().to_owned();
    let text = get(&address, "/metrics").1;
    assert!(text.contains("taskgraft_worker_push_reads_total{from=\"memory\"} 1\n"), "{text}");
}
