//! `taskgraft plan` and `taskgraft labels`.

use serde_json::{Value, json};

use crate::pushes::{DECISION, REVISION, changed, members, push, recorded};
use crate::run::command;
use crate::server::Up;

#[test]
fn a_plan_says_what_and_why_and_changes_nothing() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["plan", "test-asan-1", "--times", "3", "--decision-id", REVISION, "--request-id", "r"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let expected = "\
lander@a1b2c3d4e5f6  \"Soften the landing gear\"  group TADoGLV5QUWAYivg1ReyTw  0 of 42 jobs scheduled

New  5                    why
  test-asan-1             asked for, 3 copies
  build-asan              needed by test-asan-1; not on this push yet
  source-lander           needed by test-asan-1; not on this push yet
  toolchain-asan-runtime  needed by build-asan; not on this push yet
  toolchain-cc            needed by build-asan; not on this push yet

7 tasks to create, 4 of them not asked for. Longest chain: source-lander → build-asan → test-asan-1.
";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("Nothing was created. Create it with: taskgraft add --plan "), "{last}");
    assert!(members(&up).is_empty());
}

#[test]
fn a_plan_as_json_is_plan_json_and_has_the_same_facts() {
    let up = Up::start();
    push(&up);
    let plan = || {
        let ran = up.taskgraft(["plan", "lint-*", "--decision-id", DECISION, "--request-id", "r", "--json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let first = plan();
    assert_eq!(first["request"]["labels"].to_string(), r#"["lint-c","lint-graph","lint-python","lint-shell"]"#);
    assert_eq!(first["request"]["group"], DECISION);
    let new = first["verdicts"].as_array().unwrap().iter().filter(|entry| entry["verdict"] == "new").count();
    assert_eq!(new, first["tasks"].as_array().unwrap().len());
    assert!(first["tasks"][0]["task_id"].as_str().is_some_and(|id| id.len() == 22), "{}", first["tasks"][0]);
    // The same request gets the same ids, at any time.
    assert_eq!(first["tasks"], plan()["tasks"]);
}

#[test]
fn artifacts_from_a_directory_are_planned_offline_and_without_ids() {
    let dir = recorded();
    let home = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = command(["plan", "test-unit-3", "--offline", "--artifacts"]);
        command.arg(&dir).args(more).env("HOME", home.path());
        crate::run::Ran::from(command.output().unwrap())
    };
    let ran = run(&["--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    // Nothing was found, so what the push's own list names is not there either.
    let tasks = plan["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|task| task["label"] == "build-opt"), "{plan}");
    assert!(tasks.iter().all(|task| task["task_id"].is_null()), "{plan}");
    assert_eq!(listed_by(&plan), json!({"case": "push", "source": "decision"}));
    let ran = run(&[]);
    assert!(ran.stdout.ends_with("\nNothing was created.\n"), "{}", ran.stdout);
    let ids = run(&["--json", "--decision-id", DECISION]);
    let plan: Value = serde_json::from_str(&ids.stdout).unwrap();
    assert!(plan["tasks"][0]["task_id"].is_string(), "{plan}");
    assert_eq!(listed_by(&plan), json!({"case": "push", "source": "decision", "of": DECISION}));
}

/// Where the plan knows the earlier build-opt from.
fn listed_by(plan: &Value) -> Value {
    let mut verdicts = plan["verdicts"].as_array().unwrap().iter();
    verdicts.find(|entry| entry["label"] == "build-opt").unwrap()["passed_over"][0]["from"].clone()
}

#[test]
fn a_label_with_a_star_in_it_is_itself() {
    let up = Up::start();
    changed(&up, |graph| {
        let mut odd = graph["lint-c"].clone();
        odd["label"] = "TaskLabel==A-JT3sTNQMSvayONPiHU6A".into();
        graph["TaskLabel==A-JT3sTNQMSvayONPiHU6A"] = odd.clone();
        odd["label"] = "lint-*".into();
        graph["lint-*"] = odd;
    });
    for label in ["TaskLabel==A-JT3sTNQMSvayONPiHU6A", "lint-*"] {
        let ran = up.taskgraft(["plan", label, "--decision-id", DECISION, "--json"]);
        let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(plan["request"]["labels"], json!([label]));
    }
}

#[test]
fn labels_come_with_kind_and_state() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["labels", "lint-?", "--decision-id", DECISION]);
    assert_eq!(ran.stdout, "lint-c  lint  not scheduled\n");
    up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes"]);
    let ran = up.taskgraft(["labels", "lint-c", "--decision-id", DECISION, "--json"]);
    let labels: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&labels[0]["kind"], &labels[0]["state"]), (&"lint".into(), &"unscheduled".into()));
    assert_eq!(labels[0]["taskId"].as_str().map(str::len), Some(22));
}
