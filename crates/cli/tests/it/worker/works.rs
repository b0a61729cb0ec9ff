//! What an action task gets from a worker.

use std::process::Command;

use serde_json::{Value, json};
use taskgraft_core::state::{ReasonResolved, RunState, TaskState};

use super::{QUEUE, Worker, action_task, add, artifact, changed_action_task, log, resolved, runs};
use crate::pushes::{DECISION, members, push};
use crate::server::{Up, wait_for};
use crate::waiting::until;

#[test]
fn an_action_is_performed_and_leaves_what_the_reference_leaves() {
    let up = Up::start();
    push(&up);
    let action = add(&up, DECISION, &["lint-c", "test-unit-3"]);
    let _worker = Worker::start(&up, "w", &[]);
    let status = resolved(&up, action);
    let said = log(&up, action);
    assert_eq!(status.state, TaskState::Completed, "{said}");
    let mut members = members(&up);
    members.remove("Action: Add");
    let read = |name: &str| -> Value { serde_json::from_str(&artifact(&up, action, None, name).unwrap()).unwrap() };
    assert_eq!(read("public/to-run.json"), json!(["lint-c", "test-unit-3"]));
    let labels = read("public/label-to-taskid.json");
    for (label, ids) in &members {
        assert_eq!((ids.len(), &labels[label]), (1, &json!(ids[0])), "{label}");
    }
    assert_eq!(read("public/task-graph.json").as_object().unwrap().len(), members.len());
    assert_eq!(read("public/report.json")["result"], "done");
    assert_eq!(read("public/plan.json")["request"]["group"], DECISION);
    assert_eq!(read("public/plan.json"), read("public/taskgraft/plan.json"));
    // The artifacts live as long as the payload says, the log as long as the task.
    let kept = wait_for(up.reader().queue().list_artifacts(action, None)).unwrap();
    let task = wait_for(up.reader().queue().task(action)).unwrap();
    let until = &task.payload["artifacts"]["public"]["expires"];
    for artifact in &kept {
        let expires = json!(artifact.expires);
        match artifact.name.as_str() {
            "public/logs/live.log" | "public/logs/live_backing.log" | "public/taskgraft/plan.json" => {
                assert_eq!(expires, json!(status.expires), "{}", artifact.name);
            }
            name => assert_eq!(&expires, until, "{name}"),
        }
    }
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(&format!("Task {action} run 0: Action: Add")), "{said}");
    assert!(lines.iter().any(|line| line.starts_with("new      lint-c  asked for")), "{said}");
    assert!(lines[lines.len() - 1].contains("Task completed after"), "{said}");
    assert!(lines[lines.len() - 2].starts_with("done: "), "{said}");
    assert_eq!(artifact(&up, action, None, "public/logs/live_backing.log").unwrap(), said);
}

#[test]
fn a_generic_worker_payload_is_as_good() {
    let up = Up::start();
    push(&up);
    let input = json!({"tasks": ["lint-c"]});
    let action = changed_action_task(&up, DECISION, "add-new-jobs", &input, |task| {
        let payload = task["payload"].as_object_mut().unwrap();
        payload.remove("image");
        payload.insert("command".into(), json!([["taskgraph", "action-callback"]]));
        let expires = payload["artifacts"]["public"]["expires"].clone();
        let public = json!([{"type": "directory", "name": "public", "path": "artifacts", "expires": expires}]);
        payload.insert("artifacts".into(), public);
        payload.insert("logs".into(), json!({"live": "public/a.log", "backing": "public/b.log"}));
    });
    let _worker = Worker::start(&up, "w", &[]);
    assert_eq!(resolved(&up, action).state, TaskState::Completed);
    assert!(artifact(&up, action, None, "public/a.log").unwrap().contains("Task completed after"));
    assert!(members(&up).contains_key("lint-c"));
}

#[test]
fn what_the_worker_does_not_know_is_malformed_and_said_at_the_logs_end() {
    let up = Up::start();
    push(&up);
    let _worker = Worker::start(&up, "w", &[]);
    let malformed = [(RunState::Exception, Some(ReasonResolved::MalformedPayload))];
    let unknown = action_task(&up, DECISION, "make-coffee", &json!({}));
    let no_action = changed_action_task(&up, DECISION, "x", &json!({}), |task| {
        task["payload"] = json!({"command": [["sh", "-c", "true"]], "maxRunTime": 60});
    });
    let no_time = changed_action_task(&up, DECISION, "add-new-jobs", &json!({}), |task| {
        task["payload"]["maxRunTime"] = json!("long");
    });
    for (task, part) in [
        (unknown, "make-coffee"),
        (no_action, "payload.env: ACTION_TASK_GROUP_ID is not set"),
        (no_time, "payload.maxRunTime: between 1 and 432000 seconds are needed"),
    ] {
        assert_eq!(runs(&resolved(&up, task)), malformed, "{part}");
        let said = log(&up, task);
        let end: Vec<&str> = said.lines().rev().take(2).collect();
        assert!(end[0].contains("Task exception (malformed-payload)") && end[0].contains(part), "{said}");
        assert!(end[1].starts_with("[taskcluster:error]") && end[1].contains(part), "{said}");
    }
    assert!(members(&up).keys().all(|name| name == "Action: Add"));
}

#[test]
fn an_action_with_too_few_scopes_creates_nothing_and_names_them_last() {
    let up = Up::start();
    push(&up);
    let input = json!({"tasks": ["lint-c"]});
    let action = changed_action_task(&up, DECISION, "add-new-jobs", &input, |task| {
        task["scopes"] = json!([
            "assume:repo:github.com/example/lander:action:generic",
            "queue:create-task:*",
            "queue:scheduler-id:*",
            "queue:route:checks",
            "queue:route:tc-treeherder.v2.lander.*",
            "queue:route:index.lander.v2.*",
        ]);
    });
    let _worker = Worker::start(&up, "w", &[]);
    assert_eq!(resolved(&up, action).state, TaskState::Failed);
    let said = log(&up, action);
    for line in said.lines().rev().take(2) {
        // What the tool needs that lint-c needs, alone of three.
        let missing = "create 1 of the tasks: scopes are missing: queue:route:index.lander.cache.level-3.toolchains";
        assert!(line.contains(missing), "{said}");
    }
    assert_eq!(members(&up).into_keys().collect::<Vec<_>>(), ["Action: Add"]);
}

#[test]
fn ten_at_once_make_each_copy_once_and_what_they_need_once_in_all() {
    let up = Up::start();
    push(&up);
    let asked = ["lint-c", "test-asan-1"];
    let actions: Vec<_> = (0..10).map(|_| add(&up, DECISION, &asked)).collect();
    let _workers = ["w1", "w2"].map(|name| Worker::start(&up, name, &["--capacity", "5"]));
    for action in actions {
        assert_eq!(resolved(&up, action).state, TaskState::Completed, "{}", log(&up, action));
    }
    let mut members = members(&up);
    assert_eq!(members.remove("Action: Add").unwrap().len(), 10);
    assert!(members.len() > 4, "{members:?}");
    for (label, ids) in members {
        let wanted = if asked.contains(&label.as_str()) { 10 } else { 1 };
        assert_eq!(ids.len(), wanted, "{label}");
    }
}

#[test]
fn a_worker_that_may_only_claim_is_enough() {
    let up = Up::start();
    push(&up);
    let scopes = ["queue:claim-work:proj-lander/action", "queue:worker-id:taskgraft/*"];
    let request = json!({"expires": "2099-01-01T00:00:00.000Z", "description": "", "scopes": scopes});
    let request = serde_json::from_value(request).unwrap();
    let made = wait_for(up.client().auth().create_client("worker", &request)).unwrap();
    let action = add(&up, DECISION, &["lint-c"]);
    let mut worker = up.command(["worker", "--task-queue-id", QUEUE, "--worker-id", "w", "--work-dir", "w"]);
    worker.env("TASKCLUSTER_CLIENT_ID", "worker").env("TASKCLUSTER_ACCESS_TOKEN", &made.access_token);
    let _worker = Worker::of(&up, "w", &mut worker);
    assert_eq!(resolved(&up, action).state, TaskState::Completed, "{}", log(&up, action));
    assert!(members(&up).contains_key("lint-c"));
}

#[test]
fn credentials_that_may_not_claim_are_said_at_once() {
    let up = Up::start();
    let run = |change: fn(&mut Command) -> &mut Command| {
        let mut worker = up.command(["worker", "--task-queue-id", QUEUE, "--worker-id", "w", "--work-dir", "w"]);
        change(&mut worker);
        crate::run::Ran::from(worker.output().unwrap())
    };
    let wrong = run(|worker| worker.env("TASKCLUSTER_ACCESS_TOKEN", "wrong"));
    assert_eq!(wrong.code, Some(4), "{}", wrong.stderr);
    let none = run(|worker| worker.env_remove("TASKCLUSTER_CLIENT_ID"));
    assert_eq!(none.code, Some(4), "{}", none.stderr);
    // Made by the server itself, and good for nothing.
    let client = up.client();
    let request =
        json!({"expires": "2099-01-01T00:00:00.000Z", "description": "", "scopes": ["queue:worker-id:taskgraft/w"]});
    let request = serde_json::from_value(request).unwrap();
    let made = wait_for(client.auth().create_client("poor", &request)).unwrap();
    let mut worker = up.command(["worker", "--task-queue-id", QUEUE, "--worker-id", "w", "--work-dir", "w"]);
    worker.env("TASKCLUSTER_CLIENT_ID", "poor").env("TASKCLUSTER_ACCESS_TOKEN", &made.access_token);
    let poor = crate::run::Ran::from(worker.output().unwrap());
    assert_eq!(poor.code, Some(4), "{}", poor.stderr);
    assert!(poor.stderr.contains("missing   queue:claim-work:proj-lander/action\n"), "{}", poor.stderr);
}

#[test]
fn an_embedded_taskcluster_has_one_when_asked() {
    let up = Up::with(&["--no-worker", "--action-worker", QUEUE]);
    push(&up);
    let action = add(&up, DECISION, &["lint-c"]);
    assert_eq!(resolved(&up, action).state, TaskState::Completed, "{}", log(&up, action));
    assert!(members(&up).contains_key("lint-c"));
    assert!(Command::new("kill").args(["-TERM", &up.pid().to_string()]).status().unwrap().success());
    assert_eq!(up.wait().0, Some(0));
    let both = ["up", "--data-dir", "/nonexistent", "--worker", QUEUE, "--action-worker", QUEUE];
    let ran = crate::run::taskgraft(both);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

#[test]
fn two_workers_do_not_share_a_directory() {
    let up = Up::start();
    let mut first = Worker::start(&up, "w", &["--metrics-port", "0"]);
    first.says("claiming");
    until("its lock", || up.dir().join("w/lock").exists().then_some(()));
    let mut second = up.command(["worker", "--task-queue-id", QUEUE, "--work-dir", "w"]);
    let ran = crate::run::Ran::from(second.output().unwrap());
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("another one uses"), "{}", ran.stderr);
}
