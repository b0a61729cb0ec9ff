//! `taskgraft trigger` and `add` through the hooks of a push, and lost answers.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use taskgraft_core::api::auth::CreateRoleRequest;
use taskgraft_core::api::hooks::{HookMetadata, HookRequest};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;
use taskgraft_testkit::proxy::{Fault, Proxy};
use taskgraft_testkit::recorded::workspace;

use crate::pushes::{DECISION, members, publishing, recorded};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};
use crate::waiting::held;

/// What `taskgraft actions` publishes for the push: actions.json and action.yml.
pub(crate) fn ours() -> (Value, Vec<u8>) {
    let out = tempfile::tempdir().unwrap();
    let (parameters, root) = (recorded().join("parameters.yml"), workspace().join("examples/lander/taskcluster"));
    let mut publish = command(["actions", "--decision-id", DECISION]);
    publish.arg("-p").arg(parameters).arg("--root").arg(root).arg("--out").arg(out.path());
    let ran = Ran::from(publish.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = |name: &str| std::fs::read(out.path().join(name)).unwrap();
    (serde_json::from_slice(&read("actions.json")).unwrap(), read("action.yml"))
}

/// Makes the push with these actions, the hook of its generic ones, and the roles that go with it.
pub(crate) fn hooked(up: &Up, actions: &Value) {
    let context = json!({"taskId": {"$eval": "payload.user.taskId"}, "input": {"$eval": "payload.user.input"},
                         "clientId": "${clientId}"});
    hooked_telling(up, actions, &context);
}

/// The same with a hook that tells this in the action task's `extra.action.context`.
fn hooked_telling(up: &Up, actions: &Value, context: &Value) {
    publishing(up, |files| {
        files.insert("actions.json", actions.to_string().into_bytes());
    });
    offered(up, actions, context);
}

/// The same, where the push has been made already.
pub(crate) fn hooks_of(up: &Up, actions: &Value) {
    offered(
        up,
        actions,
        &json!({"taskId": {"$eval": "payload.user.taskId"}, "input": {"$eval": "payload.user.input"}}),
    );
}

fn offered(up: &Up, actions: &Value, context: &Value) {
    let add = actions["actions"].as_array().unwrap().iter().find(|action| action["name"] == "add-new-jobs").unwrap();
    let (group, id) = (add["hookGroupId"].as_str().unwrap(), add["hookId"].as_str().unwrap());
    let task = json!({
        "taskQueueId": "proj-lander/action", "schedulerId": "lander-level-3", "priority": "low",
        "taskGroupId": "${payload.decision.action.taskGroupId}",
        "created": {"$fromNow": ""}, "deadline": {"$fromNow": "1 day"}, "expires": {"$fromNow": "1 month"},
        "scopes": ["assume:repo:github.com/example/lander:action:generic"],
        "payload": {"maxRunTime": 600, "env": {
            "ACTION_TASK_GROUP_ID": "${payload.decision.action.taskGroupId}",
            "ACTION_TASK_ID": {"$json": {"$eval": "payload.user.taskId"}},
            "ACTION_INPUT": {"$json": {"$eval": "payload.user.input"}},
            "ACTION_CALLBACK": "${payload.decision.action.cb_name}",
        }},
        "metadata": {"name": "Action", "description": "", "owner": "ann@lander.example", "source": "https://example.com"},
        "extra": {"parent": "${payload.decision.action.taskGroupId}", "action": {
            "name": "${payload.decision.action.name}", "context": context,
        }},
    });
    let request = HookRequest {
        metadata: HookMetadata {
            name: "actions".into(),
            description: String::new(),
            owner: "ann@lander.example".into(),
            email_on_error: false,
        },
        bindings: None,
        schedule: Vec::new(),
        task,
        trigger_schema: json!({"type": "object"}),
    };
    let create =
        ["queue:create-task:*", "queue:scheduler-id:lander-level-3", "queue:route:*", "index:insert-task:lander.*"];
    let act = "assume:repo:github.com/example/lander:action:generic";
    let roles: [(&str, &[&str]); 3] = [
        ("repo:github.com/example/lander:branch:main", &["in-tree:hook-action:project-lander/in-tree-action-3-*"]),
        ("repo:github.com/example/lander:action:generic", &create),
        (&format!("hook-id:{group}/{id}"), &[create[0], create[1], act]),
    ];
    wait_for(up.client().hooks().create_hook(group, id, &request)).unwrap();
    for (role, scopes) in roles {
        grant(up, role, scopes);
    }
}

pub(crate) fn grant(up: &Up, role: &str, scopes: &[&str]) {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let request = CreateRoleRequest { description: String::new(), scopes };
    wait_for(up.client().auth().create_role(role, &request)).unwrap();
}

fn actions(up: &Up) -> Vec<TaskId> {
    members(up).remove("Action").unwrap_or_default()
}

pub(crate) fn is_trigger(method: &str, path: &str) -> bool {
    method == "POST" && path.starts_with("/api/hooks/v1/hooks/") && path.ends_with("/trigger")
}

fn behind(proxy: &Proxy, actions: &Value) -> Up {
    let up = Up::with(&["--no-worker", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    hooked(&up, actions);
    up
}

#[test]
fn a_lost_answer_triggers_nothing_twice() {
    let proxy = Proxy::start();
    let up = behind(&proxy, &ours().0);
    let faults =
        [Fault::None, Fault::Status(429), Fault::Status(500), Fault::Reset, Fault::LostAnswer, Fault::BadGateway];
    for (n, fault) in faults.into_iter().enumerate() {
        let mut triggers = 0;
        proxy.rule(move |method, path| {
            triggers += usize::from(is_trigger(method, path));
            if is_trigger(method, path) && triggers == 1 { fault } else { Fault::None }
        });
        let key = format!("cancel-{n}");
        let cancel =
            || up.taskgraft(["trigger", "cancel-all", "--decision-id", DECISION, "--request-id", &key, "--json"]);
        let ran = cancel();
        assert_eq!(ran.code, Some(0), "{fault:?}: {}", ran.stderr);
        assert_eq!(actions(&up).len(), n + 1, "{fault:?}: {}", ran.stderr);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let task = wait_for(up.client().queue().task(told["actionTask"].as_str().unwrap().parse().unwrap())).unwrap();
        assert_eq!(task.extra["action"]["context"]["input"]["taskgraft"]["key"], json!(key));
        let again: Value = serde_json::from_str(&cancel().stdout).unwrap();
        assert_eq!((&again["actionTask"], &again["found"]), (&told["actionTask"], &json!(true)), "{fault:?}");
        assert_eq!(actions(&up).len(), n + 1, "{fault:?}: the same name again");
    }
    // Whoever has another name for it wants it once more, and so does somebody else with the same name.
    let other = up.taskgraft(["trigger", "cancel-all", "--decision-id", DECISION, "--request-id", "another"]);
    assert_eq!((other.code, actions(&up).len()), (Some(0), 7), "{}", other.stderr);
    let args = ["trigger", "cancel-all", "--decision-id", DECISION, "--request-id", "cancel-0"];
    let ann = up.as_ann(&["queue:*", "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"], &args);
    assert_eq!((ann.code, actions(&up).len()), (Some(0), 8), "{}", ann.stderr);
}

#[test]
fn a_lost_answer_that_nothing_settles_is_reported_and_nothing_is_sent_again() {
    let proxy = Proxy::start();
    // Somebody else's actions, whose schema leaves no room for a name.
    let mut file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    for action in file["actions"].as_array_mut().unwrap() {
        if action["name"] == "add-new-jobs" {
            action["schema"]["additionalProperties"] = json!(false);
        }
    }
    let up = behind(&proxy, &file);
    for (made, fault) in [(0, Fault::Reset), (1, Fault::LostAnswer), (2, Fault::BadGateway)] {
        proxy.rule(move |method, path| if is_trigger(method, path) { fault } else { Fault::None });
        let input = json!({"tasks": ["lint-c"]}).to_string();
        let ran = up.taskgraft(["trigger", "add-new-jobs", "--decision-id", DECISION, "--input", &input]);
        assert_eq!(ran.code, Some(5), "{fault:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("it may exist"), "{}", ran.stderr);
        proxy.heal();
        assert_eq!(actions(&up).len(), made, "{fault:?}");
    }
    let task = wait_for(up.client().queue().task(actions(&up)[0])).unwrap();
    assert_eq!(task.extra["action"]["context"]["input"], json!({"tasks": ["lint-c"], "times": 1}), "no name in it");
}

#[test]
fn what_somebody_elses_action_may_have_begun_is_not_asked_for_again() {
    let file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    let input = json!({"tasks": ["lint-c"]}).to_string();
    let with_input = json!({"input": {"$eval": "payload.user.input"}});
    let cases = [
        // Nothing came of it, and nobody can know.
        (&with_input, Fault::Reset, 5, 0),
        // Found by its name.
        (&with_input, Fault::LostAnswer, 0, 1),
        // A template that drops the input, and the name with it.
        (&json!({}), Fault::LostAnswer, 5, 1),
        (&json!({}), Fault::Reset, 5, 0),
    ];
    for (context, fault, code, made) in cases {
        let proxy = Proxy::start();
        let up = Up::with(&["--no-worker", "--root-url", &proxy.url()]);
        proxy.forward_to(up.address());
        hooked_telling(&up, &file, context);
        let mut triggers = 0;
        proxy.rule(move |method, path| {
            triggers += usize::from(is_trigger(method, path));
            if is_trigger(method, path) && triggers == 1 { fault } else { Fault::None }
        });
        let ran = up.taskgraft(["trigger", "add-new-jobs", "--decision-id", DECISION, "--input", &input]);
        assert_eq!((ran.code, actions(&up).len()), (Some(code), made), "{fault:?}: {}", ran.stderr);
        if code == 5 {
            let look = format!("taskgraft group {DECISION}");
            assert!(ran.stderr.contains("it may exist") && ran.stderr.contains(&look), "{}", ran.stderr);
            assert!(ran.stderr.contains("if it exists, that does it twice"), "{}", ran.stderr);
            assert!(!ran.stderr.contains("does it once"), "{}", ran.stderr);
        }
    }
}

#[test]
fn before_somebody_elses_action_the_preview_is_called_an_estimate() {
    let file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    let proxy = Proxy::start();
    let up = Up::with(&["--no-worker", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    hooked_telling(&up, &file, &json!({}));
    proxy.rule(|method, path| if is_trigger(method, path) { Fault::Status(403) } else { Fault::None });
    let ran = add(&up, &["lint-c"]);
    assert_ne!(ran.code, Some(0), "nothing can be triggered");
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("this is an estimate"), "{}", ran.stderr);
}

/// An action worker, ended with the test.
pub(crate) struct Worker(Child);

impl Worker {
    fn start(up: &Up) -> Self {
        Self::of(up, "proj-lander/action")
    }

    pub(crate) fn of(up: &Up, queue: &str) -> Self {
        Self::with(up, queue, &[])
    }

    pub(crate) fn with(up: &Up, queue: &str, args: &[&str]) -> Self {
        let mut worker = up.command([&["worker", "--task-queue-id", queue], args].concat());
        Self(worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn add(up: &Up, more: &[&str]) -> Ran {
    up.taskgraft([&["add", "--decision-id", DECISION, "--yes"], more].concat())
}

#[test]
fn jobs_are_added_by_the_pushs_own_action_once_for_one_name() {
    let up = Up::start();
    hooked(&up, &ours().0);
    let _worker = Worker::start(&up);
    let ran = add(&up, &["test-unit-3", "--times", "2", "--request-id", "mine", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("estimate"), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["found"], &told["report"]["result"]), (&json!(false), &json!("done")), "{told}");
    let before = members(&up);
    assert_eq!((before["test-unit-3"].len(), before["build-opt"].len(), before["Action"].len()), (2, 1, 1));
    let again = add(&up, &["test-unit-3", "--times", "2", "--request-id", "mine", "--json"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["actionTask"], &again["found"]), (&told["actionTask"], &json!(true)));
    let other = add(&up, &["test-unit-4", "--request-id", "mine"]);
    assert_eq!(other.code, Some(3), "{}", other.stderr);
    assert!(other.stderr.contains("asked for something else before"), "{}", other.stderr);
    assert_eq!(members(&up), before);
    // What the action made is known here afterwards.
    let request = told["report"]["requests"][0]["request"].as_str().unwrap();
    let cancelled = up.taskgraft(["cancel", request]);
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    assert!(cancelled.stdout.contains("cancelled: test-unit-3 ×2"), "{}", cancelled.stdout);
}

#[test]
fn the_right_to_trigger_is_enough_and_the_jobs_are_followed_to_green() {
    let up = Up::with(&["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux"]);
    hooked(&up, &ours().0);
    let _worker = Worker::start(&up);
    let args = ["add", "lint-c", "--decision-id", DECISION, "--yes", "--wait"];
    let ran = up.as_ann(&["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"], &args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("3 tasks created: request "), "{}", ran.stdout);
    assert!(ran.stdout.contains("followed to green: 3 of 3"), "{}", ran.stdout);
}

#[test]
fn what_an_action_could_not_do_is_done_by_another_under_the_same_name() {
    let up = Up::start();
    hooked(&up, &ours().0);
    let _worker = Worker::start(&up);
    assert_eq!(add(&up, &["lint-c", "--direct"]).code, Some(0));
    let lint = members(&up)["lint-c"][0];
    let cancel = || {
        let args = ["trigger", "cancel", "--decision-id", DECISION, "--task-id", lint.as_str()];
        up.taskgraft([&args[..], &["--wait", "--request-id", "cancel-it"]].concat())
    };
    // The action's role may not do this.
    let refused = cancel();
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert!(refused.stderr.contains("scopes are missing: queue:cancel-task:"), "{}", refused.stderr);
    assert!(refused.stderr.contains("the same command with --request-id cancel-it"), "{}", refused.stderr);
    let scopes = vec!["queue:cancel-task:lander-level-3/*".to_owned()];
    let request = CreateRoleRequest { description: String::new(), scopes };
    wait_for(up.client().auth().update_role("repo:github.com/example/lander:action:generic", &request)).unwrap();
    let cancelled = cancel();
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    assert!(cancelled.stdout.contains("cancelled: "), "{}", cancelled.stdout);
    assert_eq!(actions(&up).len(), 2);
    let again = cancel();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("was asked for before"), "{}", again.stderr);
    assert_eq!(actions(&up).len(), 2);
    let failed = up.taskgraft(["trigger", "rerun", "--decision-id", DECISION, "--task-id", DECISION, "--wait"]);
    assert_eq!(failed.code, Some(6), "the decision task has not failed: {}", failed.stderr);
    assert!(failed.stderr.contains("its log"), "{}", failed.stderr);
}

#[test]
fn two_action_tasks_with_one_name_do_the_work_once() {
    let up = Up::start();
    let (file, _) = ours();
    hooked(&up, &file);
    let add = file["actions"].as_array().unwrap().iter().find(|action| action["name"] == "add-new-jobs").unwrap();
    let mut payload = add["hookPayload"].clone();
    let input = json!({"tasks": ["test-unit-3"], "taskgraft": {"key": "delivered-twice"}});
    payload["user"] = json!({"input": input, "taskId": null, "taskGroupId": DECISION});
    let (group, id) = (add["hookGroupId"].as_str().unwrap(), add["hookId"].as_str().unwrap());
    for _ in 0..2 {
        wait_for(up.client().hooks().trigger_hook(group, id, &payload)).unwrap();
    }
    let _worker = Worker::start(&up);
    assert_eq!(up.taskgraft(["task", actions(&up)[0].as_str(), "--follow"]).code, Some(0));
    assert_eq!(up.taskgraft(["task", actions(&up)[1].as_str(), "--follow"]).code, Some(0));
    let members = members(&up);
    assert_eq!((members["Action"].len(), members["test-unit-3"].len(), members["build-opt"].len()), (2, 1, 1));
}

/// Makes the push with our action.yml and without actions.json, and the roles that go with it.
pub(crate) fn templated(up: &Up) {
    templated_by(up, ours().1);
}

/// The same with somebody's action.yml.
pub(crate) fn templated_by(up: &Up, template: Vec<u8>) {
    publishing(up, |files| {
        files.remove("actions.json");
        files.insert("action.yml", template);
    });
    let act = "assume:repo:github.com/example/lander:action:generic";
    let create = ["queue:create-task:*", "queue:scheduler-id:lander-level-3", "queue:route:*"];
    grant(up, "repo:github.com/example/lander:branch:main", &[&create[..], &[act]].concat());
    grant(up, "repo:github.com/example/lander:action:generic", &create);
}

#[test]
fn a_push_with_only_our_action_yml_has_the_asker_create_the_action_task() {
    let up = Up::start();
    templated(&up);
    let _worker = Worker::of(&up, "proj-lander/decision");
    let ran = add(&up, &["lint-c", "--json", "--request-id", "by-hand"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("estimate"), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["report"]["result"], json!("done"), "{told}");
    assert_eq!(members(&up)["lint-c"].len(), 1);
}

#[test]
fn what_tries_to_break_out_changes_nothing_but_its_own_value() {
    let up = Up::start();
    hooked(&up, &ours().0);
    let parentheses = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    let operators = json!({"tasks": ["x"], "times": 1}).to_string();
    for label in
        ["'\"\\ \n\r\t", "$(touch x)`x`", "{{action}} ${input} ${payload.user}", "$eval", &operators, &parentheses]
    {
        let file = up.dir().join("input.json");
        std::fs::write(&file, json!({"tasks": [label]}).to_string()).unwrap();
        let input = format!("@{}", file.display());
        let ran = up.taskgraft(["trigger", "add-new-jobs", "--decision-id", DECISION, "--input", &input, "--json"]);
        assert_eq!(ran.code, Some(0), "{label:.40}: {}", ran.stderr);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let id: TaskId = told["actionTask"].as_str().unwrap().parse().unwrap();
        let task = wait_for(up.client().queue().task(id)).unwrap();
        let expected = json!({"tasks": [label], "times": 1, "taskgraft": {"key": told["key"]}});
        assert_eq!(task.extra["action"]["context"]["input"], expected, "{label:.40}");
        let env: Value = serde_json::from_str(task.payload["env"]["ACTION_INPUT"].as_str().unwrap()).unwrap();
        assert_eq!(env, expected, "{label:.40}");
        assert_eq!((task.metadata.name.as_str(), task.scopes.len()), ("Action", 1));
    }
}

#[test]
fn long_inputs_change_nothing_but_their_own_value() {
    let up = Up::start();
    hooked(&up, &ours().0);
    let _worker = Worker::start(&up);
    let long = json!(["lint-cc", "z".repeat(1 << 20)]);
    let many: Value = (0..1000).map(|n| format!("z{n:0999}")).chain(["lint-cc".to_owned()]).collect();
    for (n, labels) in [long, many].into_iter().enumerate() {
        let file = up.dir().join("long.json");
        std::fs::write(&file, json!({"tasks": labels}).to_string()).unwrap();
        let input = format!("@{}", file.display());
        let ran = up.taskgraft(["trigger", "add-new-jobs", "--decision-id", DECISION, "--input", &input, "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let id = told["actionTask"].as_str().unwrap();
        let task = wait_for(up.client().queue().task(id.parse().unwrap())).unwrap();
        let expected = json!({"tasks": labels, "times": 1, "taskgraft": {"key": told["key"]}});
        assert!(task.extra["action"]["context"]["input"] == expected, "the input is as it was");
        let env: Value = serde_json::from_str(task.payload["env"]["ACTION_INPUT"].as_str().unwrap()).unwrap();
        assert!(env == expected, "and so it is where the worker reads it");
        assert_eq!((task.metadata.name.as_str(), task.scopes.len()), ("Action", 1));
        // The worker understands it, and says in few words that there are no such jobs.
        let followed = up.taskgraft(["task", id, "--log", "--follow"]);
        assert_eq!(followed.code, Some(6), "{:.2000}", followed.stderr);
        let log = followed.stdout + &followed.stderr;
        assert!(log.contains("`lint-cc` (nearest: lint-c"), "{log:.4000}");
        assert!(log.len() < 16 << 10, "{} bytes of log: {log:.4000}", log.len());
        assert_eq!(
            members(&up).into_iter().map(|(label, ids)| (label, ids.len())).collect::<Vec<_>>(),
            [("Action".to_owned(), n + 1)]
        );
    }
}

#[test]
fn what_was_shown_is_made_or_nothing() {
    let proxy = Proxy::start();
    let up = behind(&proxy, &ours().0);
    // Between the look and the action, somebody indexes a toolchain: the decision task will do, being completed.
    let graph: Value =
        serde_json::from_slice(&std::fs::read(recorded().join("full-task-graph.json")).unwrap()).unwrap();
    let path = graph["toolchain-lint"]["optimization"]["index-search"][0].as_str().unwrap().to_owned();
    let expires = Millis(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(240));
    let request = InsertTaskRequest { task_id: DECISION.parse().unwrap(), rank: 0, data: json!({}), expires };
    proxy.rule(|method, path| if is_trigger(method, path) { Fault::Silence } else { Fault::None });
    let mut adding = up.command(["add", "lint-c", "--decision-id", DECISION, "--yes"]);
    let child = adding.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    held(&proxy);
    wait_for(up.client().index().insert_task(&path, &request)).unwrap();
    let _worker = Worker::start(&up);
    proxy.release();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("toolchain-lint: was task "), "{}", ran.stderr);
    assert!(members(&up).keys().all(|label| label == "Action"), "{:?}", members(&up));
}

#[test]
fn what_an_action_has_no_words_for_takes_direct() {
    let up = Up::start();
    hooked(&up, &ours().0);
    for more in [&["--partial"][..], &["--rerun-failed"], &["--policy", "reference"]] {
        let ran = add(&up, &[&["lint-c"], more].concat());
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains(more[0]) && ran.stderr.contains("say   --direct"), "{}", ran.stderr);
    }
    assert!(members(&up).is_empty());
}
