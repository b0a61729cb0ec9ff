//! Added jobs that really run.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::pushes::{DECISION, changed, members, push};
use crate::server::Up;

const WORKERS: [&str; 4] = ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux"];

#[test]
fn added_jobs_are_followed_to_green() {
    let up = Up::with(&WORKERS);
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes", "--wait", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let ended = told["ended"].as_array().unwrap();
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|end| end["state"] == "completed"), "{told}");
    let id = members(&up)["lint-c"][0].to_string();
    assert!(ended.iter().all(|end| end["task_id"].is_string()), "as in the report: {told}");
    let log = up.taskgraft(["task", &id, "--log"]);
    assert_eq!(log.code, Some(0), "{}", log.stderr);
    assert!(log.stdout.contains("lint-c"), "{}", log.stdout);
    let task = up.taskgraft(["task", &id, "--follow", "--json"]);
    let task: Value = serde_json::from_str(&task.stdout).unwrap();
    assert_eq!((&task["state"], &task["label"]), (&"completed".into(), &"lint-c".into()));
    assert_eq!(up.taskgraft(["group", DECISION, "--follow"]).code, Some(0));
    let group = up.taskgraft(["group", DECISION, "--json"]);
    let group: Value = serde_json::from_str(&group.stdout).unwrap();
    let listed = group["tasks"].as_array().unwrap().iter().find(|task| task["taskId"] == id.as_str()).unwrap();
    assert_eq!(listed["label"], "lint-c");
}

#[test]
fn a_red_job_is_exit_code_6_and_what_waits_for_it_is_not_waited_for() {
    let up = Up::with(&WORKERS);
    changed(&up, |graph| graph["source-lander"]["task"]["payload"]["command"] = json!([["false"]]));
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes", "--wait"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 of 3 jobs did not become green"), "{}", ran.stderr);
    assert!(ran.stderr.contains("lint-c never starts"), "{}", ran.stderr);
    let id = members(&up)["source-lander"][0].to_string();
    assert_eq!(up.taskgraft(["task", &id, "--follow"]).code, Some(6));
}

#[test]
fn tasks_that_the_queue_half_creates_are_mended_and_run() {
    let up = Up::with(&[&WORKERS[..], &["--break-creates-every", "2"]].concat());
    push(&up);
    let args = ["add", "--direct", "lint-c", "lint-python", "--decision-id", DECISION, "--yes", "--wait"];
    let ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("followed to green: 4 of 4"), "{}", ran.stdout);
}

#[test]
fn the_log_of_a_running_job_is_shown_as_it_comes() {
    let up = Up::with(&WORKERS);
    let end = up.dir().join("end");
    let script = format!("echo begun; while [ ! -e '{}' ]; do sleep 0.05; done; echo ended", end.display());
    changed(&up, |graph| {
        let payload = &mut graph["source-lander"]["task"]["payload"];
        (payload["command"], payload["artifacts"]) = (json!([["sh", "-c", script]]), json!([]));
    });
    up.taskgraft(["add", "--direct", "source-lander", "--decision-id", DECISION, "--yes"]);
    let id = members(&up)["source-lander"][0].to_string();
    let mut follow = up.command(["task", &id, "--log", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "begun"));
    let look = up.taskgraft(["task", &id, "--log"]);
    assert_eq!(look.code, Some(0), "{}", look.stderr);
    assert_eq!(look.stdout.lines().last(), Some("begun"));
    std::fs::write(end, "").unwrap();
    assert!(lines.any(|line| line == "ended"));
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}
