//! What goes wrong at the queue ends right, or in a clear failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraft_core::state::{ReasonResolved, RunState, TaskState};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Worker, add, log, resolved, runs};
use crate::pushes::{another, members_of};
use crate::server::Up;
use crate::waiting::until;

const JOBS: [&str; 2] = ["lint-c", "test-unit-3"];

fn is_create(method: &str, path: &str) -> bool {
    method == "PUT" && path.starts_with("/api/queue/v1/task/")
}

/// A Taskcluster behind a proxy, and a worker.
struct Site {
    proxy: Proxy,
    up: Up,
}

impl Site {
    fn start() -> Self {
        let proxy = Proxy::start();
        let args = ["--no-worker", "--claim-seconds", "4", "--long-poll-ms", "100", "--root-url", &proxy.url()];
        let up = Up::with(&args);
        proxy.forward_to(up.address());
        Self { proxy, up }
    }

    /// A push of its own, named by `n`.
    fn push(&self, n: u8) -> String {
        let decision = taskgraft_core::ids::TaskId::from_bytes([n; 16]).to_string();
        another(&self.up, &decision);
        decision
    }

    /// How many tasks of each label a push has.
    fn counts(&self, decision: &str) -> Vec<usize> {
        let mut members = members_of(&self.up, decision);
        members.remove("Action: Add");
        members.values().map(Vec::len).collect()
    }
}

#[test]
fn errors_and_lost_answers_that_pass_are_waited_for() {
    let site = Site::start();
    let _worker = Worker::start(&site.up, "w", &[]);
    for (n, fault) in [Fault::Status(500), Fault::Status(429), Fault::Reset, Fault::LostAnswer, Fault::BadGateway]
        .into_iter()
        .enumerate()
    {
        let decision = site.push(u8::try_from(n).unwrap());
        let mut seen = 0;
        // Every third call of the queue breaks, whoever makes it, but for the claims.
        site.proxy.rule(move |_, path| {
            seen += 1;
            if seen % 3 == 0 && !path.contains("/claim-work/") { fault } else { Fault::None }
        });
        let action = add(&site.up, &decision, &JOBS);
        let status = resolved(&site.up, action);
        site.proxy.heal();
        assert_eq!(status.state, TaskState::Completed, "{fault:?}: {}", log(&site.up, action));
        assert!(site.counts(&decision).iter().all(|count| *count == 1), "{fault:?}");
    }
}

#[test]
fn an_action_that_outlasts_its_claim_keeps_it() {
    let site = Site::start();
    let decision = site.push(1);
    let action = add(&site.up, &decision, &JOBS);
    let reclaimed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reclaimed);
    site.proxy.rule(move |method, path| {
        count.fetch_add(usize::from(path.ends_with("/reclaim")), Ordering::SeqCst);
        if is_create(method, path) { Fault::Silence } else { Fault::None }
    });
    let _worker = Worker::start(&site.up, "w", &[]);
    // Its creations wait until the claim was renewed three times, which takes longer than it lasted at first.
    until("the third renewal", || (reclaimed.load(Ordering::SeqCst) >= 3).then_some(()));
    site.proxy.release();
    let status = resolved(&site.up, action);
    assert_eq!(runs(&status), [(RunState::Completed, Some(ReasonResolved::Completed))], "{}", log(&site.up, action));
    assert!(site.counts(&decision).iter().all(|count| *count == 1));
}

#[test]
fn a_conflict_that_nothing_explains_fails_and_is_said() {
    let site = Site::start();
    let decision = site.push(1);
    let _worker = Worker::start(&site.up, "w", &[]);
    let action = add(&site.up, &decision, &JOBS);
    site.proxy.rule(|method, path| if is_create(method, path) { Fault::Status(409) } else { Fault::None });
    let status = resolved(&site.up, action);
    assert_eq!(status.state, TaskState::Failed, "{}", log(&site.up, action));
    let said = log(&site.up, action);
    assert!(said.lines().last().unwrap().contains("Task failed: failed: the queue refused some tasks"), "{said}");
    assert!(site.counts(&decision).is_empty());
}

#[test]
fn credentials_that_expire_on_the_way_fail_and_say_so() {
    let site = Site::start();
    let decision = site.push(1);
    let _worker = Worker::start(&site.up, "w", &[]);
    let mut created = 0;
    site.proxy.rule(move |method, path| {
        created += usize::from(is_create(method, path));
        if is_create(method, path) && created > 2 { Fault::Status(401) } else { Fault::None }
    });
    // The action task itself is the first.
    let action = add(&site.up, &decision, &JOBS);
    let status = resolved(&site.up, action);
    let said = log(&site.up, action);
    assert_eq!(status.state, TaskState::Failed, "{said}");
    assert!(said.lines().last().unwrap().contains("Task failed: "), "{said}");
    assert!(!site.counts(&decision).is_empty());
}

#[test]
fn a_queue_that_stops_answering_has_the_action_finished_by_the_next_run() {
    let site = Site::start();
    let decision = site.push(1);
    let action = add(&site.up, &decision, &JOBS);
    let mut lost = false;
    // Once it creates, nothing that the first run sends is answered: its claim expires.
    site.proxy.rule(move |method, path| {
        lost |= is_create(method, path);
        if lost && path.contains("/task/") { Fault::Status(503) } else { Fault::None }
    });
    let first = Worker::start(&site.up, "first", &[]);
    until("the first run's end", || Some(super::status(&site.up, action)).filter(|status| status.runs.len() > 1));
    drop(first);
    site.proxy.heal();
    let _second = Worker::start(&site.up, "second", &[]);
    let status = resolved(&site.up, action);
    assert_eq!(status.state, TaskState::Completed, "{}", log(&site.up, action));
    let expired = (RunState::Exception, Some(ReasonResolved::ClaimExpired));
    assert_eq!(runs(&status)[0], expired);
    assert!(site.counts(&decision).iter().all(|count| *count == 1));
}
