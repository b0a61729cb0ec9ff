//! Somebody at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command};

use jiff::{SignedDuration, Timestamp};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::time::Millis;

use crate::pushes::{DECISION, members, push, recorded};
use crate::server::{Up, wait_for};

/// A command whose questions are answered.
struct Session {
    terminal: File,
    child: Child,
}

impl Session {
    fn start(mut command: Command) -> Self {
        let terminal: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.to_bytes()).to_owned();
        let end = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { terminal: terminal.into(), child }
    }

    /// What is said up to the next question.
    fn question(&mut self) -> String {
        let mut said = String::new();
        let mut buffer = [0; 4096];
        while !said.ends_with("[y/N] ") {
            let length = self.terminal.read(&mut buffer).unwrap();
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        said
    }

    fn answer(&mut self, text: &str) {
        writeln!(self.terminal, "{text}").unwrap();
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn add(up: &Up, more: &[&str]) -> Session {
    let mut add = up.command(["add", "--direct", "lint-c", "--decision-id", DECISION]);
    add.args(more).env("NO_COLOR", "1");
    Session::start(add)
}

/// Has somebody index the toolchain that lint-c needs: the decision task will do, being completed.
fn index_toolchain(up: &Up) {
    let graph: Value =
        serde_json::from_slice(&std::fs::read(recorded().join("full-task-graph.json")).unwrap()).unwrap();
    let path = graph["toolchain-lint"]["optimization"]["index-search"][0].as_str().unwrap().to_owned();
    let expires = Millis(Timestamp::now() + SignedDuration::from_hours(240));
    let request = InsertTaskRequest { task_id: DECISION.parse().unwrap(), rank: 0, data: json!({}), expires };
    wait_for(up.client().index().insert_task(&path, &request)).unwrap();
}

#[test]
fn no_is_no() {
    let up = Up::start();
    push(&up);
    let mut session = add(&up, &[]);
    assert!(session.question().ends_with("Create 3 tasks? [y/N] "));
    session.answer("");
    assert_eq!(session.end(), Some(1));
    assert!(members(&up).is_empty());
}

#[test]
fn a_plan_that_changes_before_the_answer_is_shown_again() {
    let up = Up::start();
    push(&up);
    let mut session = add(&up, &[]);
    assert!(session.question().contains("toolchain-lint  needed by lint-c"));
    index_toolchain(&up);
    session.answer("y");
    let again = session.question();
    assert!(again.contains("meanwhile the plan has become another one"), "{again}");
    assert!(again.contains("in the index as"), "{again}");
    assert!(again.ends_with("Create 2 tasks? [y/N] "), "{again}");
    assert!(members(&up).is_empty());
    session.answer("y");
    assert_eq!(session.end(), Some(0));
    assert_eq!(members(&up).into_keys().collect::<Vec<_>>(), ["lint-c", "source-lander"]);
}

#[test]
fn an_unfinished_request_is_offered() {
    let up = Up::start();
    push(&up);
    // As a crash right after the plan was stored leaves it.
    let ran =
        up.taskgraft(["add", "--direct", "lint-python", "--decision-id", DECISION, "--yes", "--request-id", "left"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = up.dir().join("home/.local/state/taskgraft/plans/left.report.json");
    let mut told: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    told["result"] = json!("unfinished");
    std::fs::write(&report, told.to_string()).unwrap();
    let mut session = add(&up, &[]);
    let asked = session.question();
    assert!(asked.contains("request left for this push stopped half way: lint-python"), "{asked}");
    session.answer("y");
    assert_eq!(session.end(), Some(0));
    assert!(!members(&up).contains_key("lint-c"), "the other one was finished instead");
}
