//! `taskgraft action-task`.

use std::process::Stdio;

use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;

use crate::pushes::{DECISION, action_task, members, push};
use crate::run::Ran;
use crate::server::{Up, wait_for};

fn written(up: &Up, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(up.dir().join("artifacts").join(name)).unwrap()).unwrap()
}

#[test]
fn by_hand_it_creates_and_leaves_what_the_reference_leaves() {
    let up = Up::start();
    push(&up);
    let args = ["action-task", "--decision-id", DECISION, "--task-labels", "lint-c,test-unit-3", "--request-id", "a"];
    let ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("new      lint-c  asked for"), "{}", ran.stdout);
    assert!(ran.stdout.lines().last().unwrap().starts_with("done:"), "{}", ran.stdout);
    let created = members(&up);
    assert_eq!(written(&up, "to-run.json"), json!(["lint-c", "test-unit-3"]));
    let labels = written(&up, "label-to-taskid.json");
    for (label, ids) in &created {
        assert_eq!((ids.len(), &labels[label]), (1, &json!(ids[0])), "{label}");
    }
    assert_eq!(written(&up, "task-graph.json").as_object().unwrap().len(), created.len());
    assert_eq!(written(&up, "plan.json")["request"]["id"], "a");
    assert_eq!(up.taskgraft(args).code, Some(0));
    assert_eq!(members(&up), created, "the same request again");
}

#[test]
fn inside_a_task_its_runs_are_one_request_and_copies_wait_for_it() {
    let up = Up::start();
    push(&up);
    let action = TaskId::from_bytes([9; 16]);
    let client = up.client();
    let run = action_task(&up, action, DECISION);
    let act = |task: TaskId, run: Option<&str>| {
        let mut act = up.command(["action-task", "--decision-id", DECISION, "--task-labels", "lint-c"]);
        act.env("TASK_ID", task.as_str()).env("RUN_ID", run.unwrap_or_default()).stdin(Stdio::null());
        Ran::from(act.output().unwrap())
    };
    let nobody = act(TaskId::from_bytes([7; 16]), None);
    assert_eq!(nobody.code, Some(3), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("unset TASK_ID"), "{}", nobody.stderr);
    let ran = act(action, Some("0"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let members = members(&up);
    assert_eq!(act(action, None).code, Some(0), "the run that is not said is the last one");
    assert_eq!(crate::pushes::members(&up), members, "the same request again");
    let copy = wait_for(client.queue().task(members["lint-c"][0])).unwrap();
    assert!(copy.dependencies.contains(&action), "{:?}", copy.dependencies);
    let needed = wait_for(client.queue().task(members["source-lander"][0])).unwrap();
    assert!(!needed.dependencies.contains(&action), "{:?}", needed.dependencies);
    let plan = wait_for(run.queue().artifact(action, Some(0), "public/taskgraft/plan.json"));
    assert!(plan.is_ok(), "{plan:?}");
}
