//! Workers and actions that are told to stop.

use std::io::Read as _;
use std::net::TcpStream;

use serde_json::json;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState, TaskState};
use taskgraft_testkit::LATE;
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Worker, add, artifact, changed_action_task, log, resolved, runs, status};
use crate::pushes::{DECISION, members, push};
use crate::server::{Up, wait_for};
use crate::waiting::{held, until};

const LIVE: [&str; 2] = ["--live-log-address", "127.0.0.1:0"];

/// A Taskcluster whose createTask calls are held, after so many that pass.
struct Site {
    proxy: Proxy,
    up: Up,
}

impl Site {
    fn start() -> Self {
        let proxy = Proxy::start();
        let up = Up::with(&["--no-worker", "--long-poll-ms", "1000", "--root-url", &proxy.url()]);
        proxy.forward_to(up.address());
        push(&up);
        Self { proxy, up }
    }

    fn hold_after(&self, mut passing: usize) {
        self.proxy.rule(move |method, path| {
            if method != "PUT" || !path.starts_with("/api/queue/v1/task/") {
                return Fault::None;
            }
            let Some(left) = passing.checked_sub(1) else { return Fault::Silence };
            passing = left;
            Fault::None
        });
    }

    /// Waits until a line of a running action's log holds `part`.
    fn live(&self, action: TaskId, part: &str) {
        let url = until("an address of the log", || {
            let found = wait_for(self.up.client().queue().artifact(action, None, "public/logs/live.log"));
            found.ok().map(|location| location.url)
        });
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(LATE)).unwrap();
        std::io::Write::write_all(&mut stream, format!("GET /{path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains(part) {
            let length = stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "{part} in\n{text}");
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    }
}

#[test]
fn asked_to_end_it_finishes_what_runs() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c"]);
    site.hold_after(0);
    let mut worker = Worker::start(&site.up, "w", &[]);
    held(&site.proxy);
    worker.signal("-TERM");
    worker.says("asked to stop");
    site.proxy.release();
    let (code, said) = worker.ended();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(status(&site.up, action).state, TaskState::Completed, "{said}");
    // It has stopped claiming, and nothing is lost.
    assert_eq!(runs(&status(&site.up, action)).len(), 1);
}

#[test]
fn asked_to_end_without_grace_it_hands_back_and_another_finishes() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c", "test-unit-3"]);
    site.hold_after(1);
    let mut worker = Worker::start(&site.up, "w", &["--grace", "0", LIVE[0], LIVE[1]]);
    held(&site.proxy);
    worker.signal("-TERM");
    worker.says("asked to stop");
    site.live(action, "interrupted: stopping");
    site.proxy.release();
    let (code, said) = worker.ended();
    assert_eq!(code, Some(0), "{said}");
    let handed_back = (RunState::Exception, Some(ReasonResolved::WorkerShutdown));
    assert_eq!(runs(&status(&site.up, action))[0], handed_back, "{said}");
    let ended = artifact(&site.up, action, Some(0), "public/logs/live_backing.log").unwrap();
    assert!(ended.lines().last().unwrap().contains("Task exception (worker-shutdown)"), "{ended}");
    let _other = Worker::start(&site.up, "other", &[]);
    assert_eq!(resolved(&site.up, action).state, TaskState::Completed, "{}", log(&site.up, action));
    assert!(members(&site.up).values().all(|ids| ids.len() == 1));
}

#[test]
fn what_is_claimed_while_it_stops_is_handed_back() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c"]);
    site.proxy.rule(|_, path| if path.contains("/claim-work/") { Fault::LateAnswer } else { Fault::None });
    let mut worker = Worker::start(&site.up, "w", &[]);
    held(&site.proxy);
    worker.signal("-TERM");
    worker.says("stopping");
    site.proxy.release();
    let (code, said) = worker.ended();
    assert_eq!(code, Some(0), "{said}");
    let status = status(&site.up, action);
    assert_eq!(runs(&status)[0], (RunState::Exception, Some(ReasonResolved::WorkerShutdown)), "{said}");
    assert_eq!(status.state, TaskState::Pending, "for whoever comes next");
}

#[test]
fn asked_to_end_while_it_takes_up_what_it_had_it_hands_that_back() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c"]);
    site.hold_after(0);
    // With no room for another: nothing that is pending is on its way to it when it is killed.
    let killed = Worker::start(&site.up, "w", &["--capacity", "1"]);
    held(&site.proxy);
    drop(killed);
    // The same worker asks for that run again, and gets no answer the first time.
    let mut silent = true;
    site.proxy.rule(move |_, path| {
        let first = path.ends_with("/runs/0/claim") && std::mem::take(&mut silent);
        if first { Fault::Silence } else { Fault::None }
    });
    let again = Worker::start(&site.up, "w", &[]);
    held(&site.proxy);
    again.signal("-TERM");
    let (code, said) = again.ended();
    assert_eq!(code, Some(0), "{said}");
    // Nobody waits for the end of a claim: those last for 20 minutes here.
    let status = status(&site.up, action);
    assert_eq!(runs(&status)[0], (RunState::Exception, Some(ReasonResolved::WorkerShutdown)), "{said}");
    site.proxy.heal();
    let _other = Worker::start(&site.up, "other", &[]);
    assert_eq!(resolved(&site.up, action).state, TaskState::Completed, "{}", log(&site.up, action));
    assert!(members(&site.up).values().all(|ids| ids.len() == 1));
}

#[test]
fn idle_it_ends_at_once() {
    let site = Site::start();
    let mut worker = Worker::start(&site.up, "w", &[]);
    worker.says("claiming");
    worker.signal("-INT");
    assert_eq!(worker.ended().0, Some(0));
}

#[test]
fn a_cancelled_action_creates_nothing_more_and_cancels_its_copies() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c", "lint-python", "test-unit-3", "test-unit-4", "test-asan-1"]);
    site.hold_after(6);
    let _worker = Worker::start(&site.up, "w", &LIVE);
    held(&site.proxy);
    wait_for(site.up.reader().queue().status(action)).unwrap();
    wait_for(site.up.client().queue().cancel_task(action)).unwrap();
    site.live(action, "the request was cancelled: stopping");
    let before = members(&site.up).len();
    site.proxy.release();
    let said = until("its log", || {
        let log = artifact(&site.up, action, Some(0), "public/logs/live_backing.log");
        log.filter(|log| log.contains("Task aborted after"))
    });
    assert!(said.contains("the run was resolved meanwhile: canceled"), "{said}");
    let cancelled = (RunState::Exception, Some(ReasonResolved::Canceled));
    assert_eq!(runs(&status(&site.up, action)), [cancelled]);
    // What was on its way may have arrived; the copies are gone, what they need may stay.
    let members = members(&site.up);
    assert!(members.len() < 20 && members.len() >= before, "{members:?}");
    for label in ["lint-c", "lint-python", "test-unit-3", "test-unit-4", "test-asan-1"] {
        for copy in members.get(label).into_iter().flatten() {
            assert!(status(&site.up, *copy).state.is_resolved(), "{label}");
        }
    }
}

#[test]
fn a_log_that_nobody_serves_is_uploaded_while_the_action_runs() {
    let site = Site::start();
    let action = add(&site.up, DECISION, &["lint-c"]);
    site.hold_after(0);
    let _worker = Worker::start(&site.up, "w", &[]);
    held(&site.proxy);
    let part = until("a part of the log", || artifact(&site.up, action, None, "public/logs/live.log"));
    assert!(part.contains("new      lint-c  asked for") && !part.contains("Task completed"), "{part}");
    site.proxy.release();
    assert_eq!(resolved(&site.up, action).state, TaskState::Completed);
    let whole = log(&site.up, action);
    assert!(whole.starts_with(&part) && whole.contains("Task completed"), "{whole}");
}

#[test]
fn an_action_that_runs_too_long_fails() {
    let site = Site::start();
    let input = json!({"tasks": ["lint-c"]});
    let action = changed_action_task(&site.up, DECISION, "add-new-jobs", &input, |task| {
        task["payload"]["maxRunTime"] = json!(1)
    });
    site.hold_after(0);
    let _worker = Worker::start(&site.up, "w", &LIVE);
    held(&site.proxy);
    site.live(action, "interrupted: stopping");
    site.proxy.release();
    assert_eq!(resolved(&site.up, action).state, TaskState::Failed);
    let said = log(&site.up, action);
    assert!(said.lines().last().unwrap().contains("longer than payload.maxRunTime, 1 s"), "{said}");
}
