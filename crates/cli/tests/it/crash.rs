//! Creation that is killed or interrupted anywhere, and taken up again.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use taskgraft_core::ids::TaskId;

use crate::proxy::Proxy;
use crate::pushes::{DECISION, another, members, members_of, push};
use crate::run::Ran;
use crate::server::Up;

/// Jobs that come to at least thirty tasks with what they need.
const JOBS: [&str; 4] = ["test-*", "lint-*", "landing-*", "package-*"];

fn behind(proxy: &Proxy) -> Up {
    let up = Up::with(&["--no-worker", "--root-url", &proxy.url]);
    proxy.before(up.address());
    push(&up);
    up
}

fn add(up: &Up, request: &str) -> Command {
    add_to(up, DECISION, request)
}

fn add_to(up: &Up, decision: &str, request: &str) -> Command {
    let mut add = up.command(["add", "--decision-id", decision, "--yes", "--request-id", request]);
    add.args(JOBS).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    add
}

/// The ids that a request's tasks shall have.
fn planned(up: &Up, decision: &str, request: &str) -> Vec<String> {
    let mut plan = up.command(["plan", "--decision-id", decision, "--json", "--request-id", request]);
    let ran = Ran::from(plan.args(JOBS).output().unwrap());
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut ids: Vec<String> =
        plan["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn ids(up: &Up, decision: &str) -> Vec<String> {
    let mut ids: Vec<String> = members_of(up, decision).into_values().flatten().map(|id| id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn killed_between_any_two_creations_it_makes_the_same_tasks_none_twice() {
    let proxy = Proxy::start();
    let up = behind(&proxy);
    let mut created = 0;
    loop {
        // A push of its own each time, so that what is needed is to be created as well.
        let decision = TaskId::from_bytes([u8::try_from(created).unwrap(); 16]);
        let decision = decision.as_str();
        another(&up, decision);
        let request = format!("kill-{created}");
        let expected = planned(&up, decision, &request);
        assert!(expected.len() >= 30, "{} tasks", expected.len());
        if created == expected.len() {
            break;
        }
        proxy.pass(i64::try_from(created).unwrap());
        let mut child = add_to(&up, decision, &request).spawn().unwrap();
        proxy.held();
        child.kill().unwrap();
        child.wait().unwrap();
        proxy.pass(i64::MAX);
        let ran = Ran::from(add_to(&up, decision, &request).output().unwrap());
        assert_eq!(ran.code, Some(0), "after {created}: {}", ran.stderr);
        assert_eq!(ids(&up, decision), expected, "after {created}");
        created += 1;
    }
}

#[test]
fn interrupted_it_says_where_things_stand_and_resume_finishes_it() {
    let proxy = Proxy::start();
    let up = behind(&proxy);
    let expected = {
        let mut ids = planned(&up, DECISION, "stop");
        ids.sort();
        ids
    };
    proxy.pass(3);
    let mut child = add(&up, "stop").spawn().unwrap();
    proxy.held();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("stopping")));
    // What is on its way is awaited, and nothing else is sent.
    proxy.release();
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(5), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("  finish    taskgraft resume stop")), "{said:?}");
    assert!(ids(&up, DECISION).len() < expected.len());
    let other = up.taskgraft(["add", "smoke-opt", "--decision-id", DECISION]);
    assert!(other.stderr.contains("request stop for this push stopped half way"), "{}", other.stderr);
    let ran = up.taskgraft(["resume", "stop"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ids(&up, DECISION), expected);
}

#[test]
fn who_stops_waiting_leaves_the_jobs_alone() {
    let up = Up::start();
    push(&up);
    let mut add = up.command(["add", "lint-c", "--decision-id", DECISION, "--yes", "--wait"]);
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
    let mut expected = planned(&up, DECISION, "gone");
    expected.sort();
    proxy.pass(3);
    let child = add(&up, "gone").spawn().unwrap();
    proxy.held();
    assert!(Command::new("kill").args(["-KILL", &up.pid().to_string()]).status().unwrap().success());
    let (_, dir) = up.wait();
    proxy.release();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let begins = "error: the queue stopped answering: ";
    assert!(ran.stderr.lines().any(|line| line.starts_with(begins) && line.contains("tries in")), "{}", ran.stderr);
    assert!(ran.stderr.contains("finish    taskgraft resume gone"), "{}", ran.stderr);
    let up = Up::in_dir(dir, &["--no-worker", "--root-url", &proxy.url]);
    proxy.before(up.address());
    let ran = up.taskgraft(["resume", "gone"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ids(&up, DECISION), expected);
}
