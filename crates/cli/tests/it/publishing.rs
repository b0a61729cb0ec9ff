//! `taskgraft actions`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_core::action::render::{Template, render};
use taskgraft_testkit::python::{python, read_yaml};

use crate::pushes::{DECISION, checkout, push, recorded};
use crate::run::{Ran, command};
use crate::server::Up;

fn parameters() -> PathBuf {
    recorded().join("parameters.yml")
}

fn actions(dir: &Path, args: &[&str]) -> Command {
    let mut command = command(["actions"]);
    command.args(args).current_dir(dir);
    command
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    actions(dir, args).output().unwrap().into()
}

#[test]
fn the_references_actions_are_printed_as_the_reference_prints_them() {
    let dir = checkout();
    let file = parameters();
    let file = file.to_str().unwrap();
    let script = "import sys; from taskgraph.main import main; sys.exit(main(['actions', '-p', sys.argv[1]]))";
    let theirs = python().args(["-c", script, file]).current_dir(dir.path()).output().unwrap();
    assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
    let ours = run(dir.path(), &["-p", file, "--policy", "reference"]);
    assert_eq!((ours.code, ours.stderr.as_str()), (Some(0), ""));
    assert_eq!(ours.stdout, String::from_utf8(theirs.stdout).unwrap());
    let id = run(dir.path(), &["-p", file, "--policy", "reference", "--decision-id", DECISION]);
    assert_eq!(id.stdout.trim_end(), fs::read_to_string(recorded().join("actions.json")).unwrap());
}

#[test]
fn a_decision_task_adds_ours_to_what_it_wrote() {
    let dir = checkout();
    let file = parameters();
    let run = |more: &[&str]| {
        let args = [&["-p", file.to_str().unwrap(), "--out", "artifacts"], more].concat();
        let ran = Ran::from(actions(dir.path(), &args).env("TASK_ID", DECISION).output().unwrap());
        let text = fs::read_to_string(dir.path().join("artifacts/actions.json")).unwrap();
        (ran, text)
    };
    let (ran, fresh) = run(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "13 actions in artifacts/actions.json, and action.yml beside it\n");
    assert_eq!(run(&[]).1, fresh, "once more changes nothing");
    // What its own command left: the reference's, one of them changed, and one that only the project knows.
    let path = dir.path().join("artifacts/actions.json");
    let mut theirs: Value = serde_json::from_slice(&fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    theirs["actions"][3]["title"] = json!("Add");
    theirs["actions"].as_array_mut().unwrap().push(json!({"name": "release", "title": "Release", "kind": "hook"}));
    fs::write(&path, theirs.to_string()).unwrap();
    let (_, text) = run(&["--without", "backfill"]);
    let both: Value = serde_json::from_str(&text).unwrap();
    let titles: Vec<&str> =
        both["actions"].as_array().unwrap().iter().map(|entry| entry["title"].as_str().unwrap()).collect();
    let expected = [
        "Retrigger",
        "Retrigger",
        "Retrigger (disabled)",
        "Add",
        "Add matching jobs",
        "Retrigger failed jobs",
        "Run missing jobs",
        "Rerun",
        "Cancel Task",
        "Cancel All",
        "Rebuild Cached Tasks",
        "Retrigger",
        "Release",
    ];
    assert_eq!(titles, expected);
}

#[test]
fn action_yml_makes_the_action_task_that_the_hook_would_make() {
    let dir = checkout();
    let ran = run(dir.path(), &["-p", parameters().to_str().unwrap(), "--decision-id", DECISION, "--out", "."]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let template = read_yaml(&dir.path().join("action.yml"));
    let labels = ["\"; rm -rf ~ #\n$(id)", "{{x}}", "${taskId}", "test-unit-3"];
    let input = json!({"tasks": labels, "times": 2});
    let own = "AWMGHageQ0eZMgDRbQdoUw";
    let context = json!({"input": input, "taskId": null, "taskGroupId": DECISION, "ownTaskId": own});
    let task = render(&Template::check(&template).unwrap(), &context, Timestamp::UNIX_EPOCH).unwrap();
    let env = &task["payload"]["env"];
    assert_eq!(serde_json::from_str::<Value>(env["ACTION_INPUT"].as_str().unwrap()).unwrap(), input);
    assert_eq!((&env["ACTION_CALLBACK"], &env["ACTION_TASK_ID"]), (&json!("add-new-jobs"), &json!("null")));
    assert_eq!((&env["ACTION_TASK_GROUP_ID"], &task["taskGroupId"]), (&json!(DECISION), &json!(DECISION)));
    assert_eq!(task["scopes"], json!(["assume:repo:github.com/example/lander:action:generic"]));
    assert_eq!(task["schedulerId"], "lander-level-3");
    assert_eq!(task["metadata"]["name"], "Action: Add new jobs");
    assert_eq!((&task["created"], &task["taskId"]), (&json!("1970-01-01T00:00:00.000Z"), &Value::Null));
    assert!(task["routes"][1].as_str().unwrap().ends_with(&format!(".taskgraph.actions.{own}")), "{}", task["routes"]);
    assert_eq!(task["extra"]["action"]["context"]["input"], input);
}

#[test]
fn parameters_come_from_a_decision_task_too() {
    let up = Up::start();
    push(&up);
    let dir = checkout();
    let root = dir.path().join("taskcluster");
    let with = |args: &[&str]| {
        let mut all = vec!["actions", "--root", root.to_str().unwrap(), "--policy", "reference"];
        all.extend(args);
        up.taskgraft(all)
    };
    let recorded = fs::read_to_string(recorded().join("actions.json")).unwrap();
    let specs = [
        vec!["--decision-id", DECISION],
        vec!["--decision-id", "lander@a1b2c3d"],
        vec!["--decision-id", DECISION, "-p", "project=lander"],
    ];
    for args in specs {
        let ran = with(&args);
        assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), recorded.as_str()), "{args:?}: {}", ran.stderr);
    }
    let path =
        format!("index=lander.v2.lander.revision.{}.taskgraph.decision", "a1b2c3d4e5f60718293a4b5c6d7e8f9011223344");
    assert_eq!(with(&["-p", &path]).code, Some(0));
    assert_eq!(with(&["-p", "project=no-such"]).code, Some(3));
}

#[test]
fn what_is_wrong_is_a_mistake_that_names_the_way_out() {
    let dir = checkout();
    let file = parameters();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&[], "neither --parameters nor --decision-id was given"),
        (&["-p", file, "--root", "nowhere"], "failed to read nowhere/config.yml"),
        (&["-p", "no/such.yml"], "failed to read no/such.yml"),
        (&["-p", "https://tc.example.com/p.yml"], "URLs are not followed"),
        (&["-p", file, "--without", "rerum"], "leave out rerum: no such action; there are retrigger-decision"),
        (&["-p", file, "--out", "artifacts"], "TASK_ID is not set"),
        (&["-p", "taskcluster/config.yml"], "failed to publish actions: parameter `level` must be a text"),
        (&["-p", file, "--decision-id", "x"], "push"),
    ];
    for (args, part) in cases {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
    assert!(!dir.path().join("artifacts").exists(), "nothing was written");
    fs::write(dir.path().join("actions.json"), "[]").unwrap();
    let ran = run(dir.path(), &["-p", file, "--out", ".", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(dir.path().join("actions.json")).unwrap(), "[]", "what stands there stays");
    assert!(!dir.path().join("action.yml").exists());
}
