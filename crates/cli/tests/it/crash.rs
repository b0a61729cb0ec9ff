//! Creation that is killed or interrupted anywhere, and taken up again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use taskgraft_core::ids::TaskId;
use taskgraft_testkit::proxy::{Fault, Proxy};

use crate::pushes::{ACTION, DECISION, action_task, another, members, members_of, push};
use crate::run::Ran;
use crate::server::Up;

/// Jobs that come to at least thirty tasks with what they need.
const JOBS: [&str; 4] = ["test-*", "lint-*", "landing-*", "package-*"];

fn behind(proxy: &Proxy) -> Up {
    let up = Up::with(&["--no-worker", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    push(&up);
    up
}

/// From now on `count` createTask calls pass, and the others wait.
fn pass(proxy: &Proxy, mut count: usize) {
    proxy.rule(move |method, path| {
        if method != "PUT" || !path.starts_with("/api/queue/v1/task/") {
            return Fault::None;
        }
        let Some(left) = count.checked_sub(1) else { return Fault::Silence };
        count = left;
        Fault::None
    });
}

fn add(up: &Up, request: &str) -> Command {
    add_to(up, DECISION, request)
}

fn add_to(up: &Up, decision: &str, request: &str) -> Command {
    let mut add = up.command(["add", "--direct", "--decision-id", decision, "--yes", "--request-id", request]);
    add.args(JOBS).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    add
}

/// The labels and ids that a request's tasks shall have.
fn planned(up: &Up, decision: &str, request: &str) -> BTreeMap<String, Vec<TaskId>> {
    let mut plan = up.command(["plan", "--decision-id", decision, "--json", "--request-id", request]);
    let ran = Ran::from(plan.args(JOBS).output().unwrap());
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    let task = |task: &Value| {
        let text = |key: &str| task[key].as_str().unwrap().to_owned();
        (text("label"), vec![text("task_id").parse().unwrap()])
    };
    plan["tasks"].as_array().unwrap().iter().map(task).collect()
}

/// Kills a creation at each request that it makes, on a push of its own each time, and makes the same request again.
/// `door` makes the command from a decision task and a number; `fault` says what becomes of the n-th request.
fn killed_at_every_request(door: fn(&Up, &str, usize) -> Command, fault: fn(usize) -> Fault) {
    let proxy = Proxy::start();
    let up = behind(&proxy);
    let expected: Vec<String> = planned(&up, DECISION, "undisturbed").into_keys().collect();
    assert!(expected.len() >= 30, "{} tasks", expected.len());
    for n in 0.. {
        // What is needed is to be created as well, and nothing is in a cache.
        let decision = TaskId::from_bytes([u8::try_from(n).unwrap(); 16]);
        let decision = decision.as_str();
        another(&up, decision);
        let mut command = door(&up, decision, n);
        proxy.nth(n, fault(n));
        let mut doomed = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let held = proxy.held(|| doomed.try_wait().unwrap().is_some());
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        proxy.heal();
        let ran = Ran::from(command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap());
        assert_eq!(ran.code, Some(0), "killed at request {n}: {}", ran.stderr);
        let mut members = members_of(&up, decision);
        members.remove(ACTION);
        assert!(members.keys().eq(&expected), "killed at request {n}: {members:?}");
        assert!(members.values().all(|ids| ids.len() == 1), "killed at request {n}: {members:?}");
        if !held {
            assert!(n > expected.len(), "{n} requests for {} tasks", expected.len());
            return;
        }
    }
}

/// By hand: the plan is kept on the user's machine.
fn by_hand(up: &Up, decision: &str, n: usize) -> Command {
    add_to(up, decision, &format!("kill-{n}"))
}

/// Within a run of an action task: the plan is one of its artifacts.
fn in_an_action_task(up: &Up, decision: &str, n: usize) -> Command {
    let mut bytes = [u8::try_from(n).unwrap(); 16];
    bytes[15] ^= 1;
    let action = TaskId::from_bytes(bytes);
    let _run = action_task(up, action, decision);
    let mut act = up.command(["action-task", "--decision-id", decision, "--task-labels", &JOBS.join(",")]);
    act.env("TASK_ID", action.as_str()).env("RUN_ID", "0").stdin(Stdio::null());
    act
}

#[test]
fn killed_before_any_request_arrives_it_makes_the_same_tasks_none_twice() {
    killed_at_every_request(by_hand, |_| Fault::Silence);
}

#[test]
fn killed_before_any_answer_arrives_it_makes_the_same_tasks_none_twice() {
    killed_at_every_request(by_hand, |_| Fault::LateAnswer);
}

#[test]
fn an_action_task_killed_anywhere_makes_the_same_tasks_none_twice() {
    killed_at_every_request(in_an_action_task, |n| if n % 2 == 0 { Fault::Silence } else { Fault::LateAnswer });
}

#[test]
fn interrupted_it_says_where_things_stand_and_resume_finishes_it() {
    let proxy = Proxy::start();
    let up = behind(&proxy);
    let expected = planned(&up, DECISION, "stop");
    pass(&proxy, 3);
    let mut child = add(&up, "stop").spawn().unwrap();
    assert!(proxy.held(|| child.try_wait().unwrap().is_some()));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("stopping")));
    // What is on its way is awaited, and nothing else is sent.
    proxy.release();
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(5), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("  finish    taskgraft resume stop")), "{said:?}");
    assert!(members(&up).len() < expected.len());
    let other = up.taskgraft(["add", "--direct", "smoke-opt", "--decision-id", DECISION]);
    assert!(other.stderr.contains("request stop for this push stopped half way"), "{}", other.stderr);
    let ran = up.taskgraft(["resume", "stop"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(members(&up), expected);
}

#[test]
fn who_stops_waiting_leaves_the_jobs_alone() {
    let up = Up::start();
    push(&up);
    let mut add = up.command(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes", "--wait"]);
    let mut child = add.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("3 tasks created")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("no longer following"), "{}", ran.stderr);
    assert_eq!(members(&up).len(), 3);
}

#[test]
fn a_queue_that_goes_away_leaves_a_request_that_can_be_finished() {
    let proxy = Proxy::start();
    let up = behind(&proxy);
    let expected = planned(&up, DECISION, "gone");
    pass(&proxy, 3);
    let mut child = add(&up, "gone").spawn().unwrap();
    assert!(proxy.held(|| child.try_wait().unwrap().is_some()));
    assert!(Command::new("kill").args(["-KILL", &up.pid().to_string()]).status().unwrap().success());
    let (_, dir) = up.wait();
    proxy.release();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let begins = "error: the queue stopped answering: ";
    assert!(ran.stderr.lines().any(|line| line.starts_with(begins) && line.contains("tries in")), "{}", ran.stderr);
    assert!(ran.stderr.contains("finish    taskgraft resume gone"), "{}", ran.stderr);
    let up = Up::in_dir(dir, &["--no-worker", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    let ran = up.taskgraft(["resume", "gone"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(members(&up), expected);
}
