//! Actions on a pull request: its hooks made by `taskgraft up --project`, an action task at level 1, and its jobs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_testkit::LATE;

use crate::hooked::Worker;
use crate::pushes::{DECISION, checkout, members, pull_request};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};

const FORK: &str = "https://github.com/ann/lander";
/// The right to ask for the generic actions of pull requests, and no other.
const TRIGGER: &str = "hooks:trigger-hook:project-lander/in-tree-pr-action-1-generic/*";

/// Makes the project's .taskcluster.yml one that makes tasks for actions on pull requests: at level 1, without routes into
/// the index.
fn with_pull_requests(checkout: &Path) {
    let path = checkout.join(".taskcluster.yml");
    let mut text = fs::read_to_string(&path).unwrap();
    for (of_pushes, of_both) in [
        ("tasks_for == \"action\"", "tasks_for in [\"action\", \"pr-action\"]"),
        ("level: \"3\"", "level: {$if: 'tasks_for == \"pr-action\"', then: \"1\", else: \"3\"}"),
        ("assume:repo:github.com/example/lander:action:${action.action_perm}", "${action.repo_scope}"),
        (
            "- \"index.${trustDomain}.v2.${project}.revision.${push.revision}.taskgraph.actions.${ownTaskId}\"",
            "$if: 'tasks_for == \"pr-action\"'\n                then: []\n                else: [\"index.${trustDomain}.v2.${project}.revision.${push.revision}.taskgraph.actions.${ownTaskId}\"]",
        ),
    ] {
        assert!(text.contains(of_pushes), "{of_pushes}");
        text = text.replace(of_pushes, of_both);
    }
    fs::write(path, text).unwrap();
}

/// What `taskgraft actions` publishes for a push with these parameters.
fn published(checkout: &Path, parameters: &str) -> Vec<u8> {
    let file = checkout.join("parameters.yml");
    fs::write(&file, parameters).unwrap();
    let mut publish = command(["actions", "--decision-id", DECISION, "-p"]);
    let ran = Ran::from(publish.arg(file).arg("--root").arg(checkout.join("taskcluster")).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.into_bytes()
}

/// Waits until a task is resolved.
fn ended(up: &Up, task: TaskId) -> TaskState {
    let began = Instant::now();
    loop {
        let state = wait_for(up.client().queue().status(task)).unwrap().state;
        if state.is_resolved() {
            return state;
        }
        assert!(began.elapsed() < LATE, "the action task is {}", state.as_str());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pull_requests_action_is_asked_for_and_makes_its_jobs_at_level_1() {
    let checkout = checkout();
    with_pull_requests(checkout.path());
    let up = Up::with(&["--no-worker", "--project", checkout.path().to_str().unwrap()]);
    pull_request(&up, FORK, |parameters| published(checkout.path(), parameters));
    let input = json!({"tasks": ["test-python"]}).to_string();
    let args = ["trigger", "add-new-jobs", "--decision-id", DECISION, "--input", &input, "--json"];
    // Who may ask for the actions of pushes may not ask for those of pull requests.
    let refused = up.as_ann(&["hooks:trigger-hook:project-lander/in-tree-action-*"], &args);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("project-lander/in-tree-pr-action-1-generic/"), "{}", refused.stderr);
    assert!(members(&up).is_empty());
    wait_for(up.client().auth().delete_client("project/lander/ann")).unwrap();

    let _worker = Worker::of(&up, "proj-lander/decision");
    let ran = up.as_ann(&[TRIGGER], &args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let action: TaskId = told["actionTask"].as_str().unwrap().parse().unwrap();
    let state = ended(&up, action);
    let log = up.taskgraft(["task", action.as_str(), "--log"]);
    assert_eq!(state, TaskState::Completed, "{}{}", log.stdout, log.stderr);
    let task = |id| wait_for(up.client().queue().task(id)).unwrap();
    let definition = task(action);
    assert_eq!(definition.scopes, ["assume:repo:github.com/example/lander:pr-action:generic"]);
    assert_eq!(definition.extra["tasks_for"], "pr-action");
    let mut made = members(&up);
    made.remove("Action: Add new jobs");
    assert_eq!(made.keys().collect::<Vec<_>>(), ["source-lander", "test-python"]);
    for id in made.into_values().flatten().chain([action]) {
        assert_eq!(task(id).scheduler_id, "lander-level-1");
    }
}
