//! Jobs with more routes than the queue takes, whose index paths a task of its own inserts.

use serde_json::{Value, json};
use taskgraft_core::plan::Plan;

use crate::hooked;
use crate::pushes::{DECISION, changed, members, publishing};
use crate::server::Up;

/// The push, where `lint-c` is to be found under 70 index paths.
fn many_routes(up: &Up) {
    changed(up, |graph| graph["lint-c"]["task"]["routes"] = routes());
}

/// More than the queue takes.
fn routes() -> Value {
    (0..70).map(|n| format!("index.lander.v2.lander.latest.lint.c-{n}")).collect()
}

/// The configuration of a project that has a worker for such tasks, in a checkout without kinds.
fn checkout(up: &Up, trust_domain: &str) -> String {
    let root = up.dir().join(trust_domain);
    std::fs::create_dir_all(&root).unwrap();
    let misc = json!({"provisioner": "proj-{trust-domain}", "implementation": "docker-worker", "os": "linux", "worker-type": "misc-{level}"});
    let config = json!({"trust-domain": trust_domain, "workers": {"aliases": {"misc": misc}}, "more": "x"});
    std::fs::write(root.join("config.yml"), config.to_string()).unwrap();
    root.to_str().unwrap().to_owned()
}

#[test]
fn a_checkout_says_who_inserts_the_index_paths() {
    let up = Up::start();
    many_routes(&up);
    let add = |more: &[&str]| {
        up.taskgraft([&["add", "lint-c", "--decision-id", DECISION, "--yes", "--direct"], more].concat())
    };
    let without = add(&[]);
    assert_eq!(without.code, Some(3), "{}", without.stderr);
    assert!(without.stderr.contains("70 routes, of which the queue takes 64"), "{}", without.stderr);
    assert!(without.stderr.contains("--root taskcluster"), "{}", without.stderr);
    let other = add(&["--root", &checkout(&up, "other")]);
    assert_eq!(other.code, Some(3));
    assert!(other.stderr.contains("of the trust domain `other`, the push of `lander`"), "{}", other.stderr);
    assert!(members(&up).is_empty());

    let root = checkout(&up, "lander");
    let ran = add(&["--root", &root, "--request-id", "r"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let made = members(&up);
    let (job, index) = (made["lint-c"][0], made["index-task-lint-c"][0]);
    let client = up.client();
    let task = |id| crate::server::wait_for(client.queue().task(id)).unwrap();
    assert_eq!(task(job).routes.len(), 0);
    let inserting = task(index);
    assert_eq!(inserting.dependencies, [job]);
    assert_eq!(
        (inserting.task_queue_id.as_str(), inserting.scheduler_id.as_str()),
        ("proj-lander/misc-3", "lander-level-3")
    );
    let payload: Value = serde_json::to_value(&inserting.payload).unwrap();
    assert_eq!(payload["env"]["TARGET_TASKID"], json!(job));
    assert_eq!(payload["command"].as_array().unwrap().len(), 71);
    // The same request again, without the checkout, is finished from its plan.
    let again = up.taskgraft(["resume", "r"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(members(&up), made);
}

#[test]
fn a_pushs_own_action_needs_a_checkout_of_its_own() {
    let up = Up::start();
    let actions = hooked::ours().0;
    publishing(&up, |files| {
        let mut graph: Value = serde_json::from_slice(&files["full-task-graph.json"]).unwrap();
        graph["lint-c"]["task"]["routes"] = routes();
        files.insert("full-task-graph.json", graph.to_string().into_bytes());
        files.insert("actions.json", actions.to_string().into_bytes());
    });
    hooked::hooks_of(&up, &actions);
    let root = checkout(&up, "lander");
    let add = || up.taskgraft(["add", "lint-c", "--decision-id", DECISION, "--yes", "--root", &root]);
    let without = hooked::Worker::of(&up, "proj-lander/action");
    let ran = add();
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("only where its worker has the project's checkout"), "{}", ran.stderr);
    assert!(ran.stderr.contains("70 routes, of which the queue takes 64"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("moved"), "nothing has: {}", ran.stderr);
    assert_eq!(members(&up).keys().collect::<Vec<_>>(), ["Action"]);
    drop(without);
    let _worker = hooked::Worker::with(&up, "proj-lander/action", &["--root", &root]);
    let ran = add();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let made = members(&up);
    assert_eq!((made["lint-c"].len(), made["index-task-lint-c"].len()), (1, 1));
}

#[test]
fn a_plan_that_was_shown_needs_the_checkout_no_more() {
    let up = Up::start();
    many_routes(&up);
    let root = checkout(&up, "lander");
    let args = ["plan", "lint-c", "--decision-id", DECISION, "--root", &root, "--request-id", "r", "--json"];
    let shown = up.taskgraft(args);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let plan = Plan::read(shown.stdout.as_bytes()).unwrap();
    let kept: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(kept["index_tasks"]["more"], Value::Null, "no more of the configuration than is needed");
    std::fs::remove_dir_all(&root).unwrap();
    let ran = up.taskgraft(["add", "--plan", &plan.hash().to_string(), "--yes", "--direct"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(members(&up).contains_key("index-task-lint-c"));
}

#[test]
fn an_action_task_reads_the_checkout_it_runs_in() {
    let up = Up::start();
    many_routes(&up);
    let root = checkout(&up, "lander");
    let args = ["action-task", "--decision-id", DECISION, "--task-labels", "lint-c", "--root", &root];
    let ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(members(&up).contains_key("index-task-lint-c"));
}

#[test]
fn an_action_callback_makes_index_tasks_as_its_checkout_says() {
    let up = Up::start();
    many_routes(&up);
    let root = checkout(&up, "lander");
    let callback = |root: &[&str]| {
        let mut command = up.command([&["action-callback", "--request-id", "r"], root].concat());
        command.env("ACTION_TASK_GROUP_ID", DECISION).env("ACTION_TASK_ID", "null");
        command.env("ACTION_CALLBACK", "add-new-jobs").env("ACTION_INPUT", r#"{"tasks": ["lint-c"]}"#);
        crate::run::Ran::from(command.output().unwrap())
    };
    let without = callback(&[]);
    assert_eq!(without.code, Some(3), "{}", without.stderr);
    assert!(without.stderr.contains("70 routes"), "{}", without.stderr);
    let ran = callback(&["--root", &root]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(members(&up).contains_key("index-task-lint-c"));
}
