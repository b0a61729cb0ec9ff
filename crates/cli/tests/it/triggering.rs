//! `taskgraft trigger`: what is refused before anything is sent, and action tasks that the asker creates.

use serde_json::{Value, json};
use taskgraft_core::api::auth::CreateRoleRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_testkit::proxy::{Fault, Proxy};

use crate::pushes::{DECISION, action_task, members, publishing, push, recorded};
use crate::server::{Up, wait_for};

/// The decision task's own scope, as a role.
const ROLE: &str = "repo:github.com/example/lander:branch:main";
/// The hook of the push's generic actions.
fn hook() -> String {
    let file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    let actions = file["actions"].as_array().unwrap();
    let cancel = actions.iter().find(|action| action["name"] == "cancel-all").unwrap();
    format!("{}/{}", cancel["hookGroupId"].as_str().unwrap(), cancel["hookId"].as_str().unwrap())
}

fn grant(up: &Up, role: &str, scopes: &[&str]) {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let request = CreateRoleRequest { description: String::new(), scopes };
    wait_for(up.client().auth().create_role(role, &request)).unwrap();
}

#[test]
fn what_a_push_offers_is_listed() {
    let up = Up::start();
    push(&up);
    let ran = up.taskgraft(["trigger", "--decision-id", DECISION]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = ran.stdout.lines().find(|line| line.starts_with("add-new-jobs")).unwrap();
    assert!(line.contains("the push") && line.contains("Add new jobs using task labels."), "{line}");
    let ran = up.taskgraft(["trigger", "--decision-id", DECISION, "--json"]);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rerun = listed.as_array().unwrap().iter().find(|action| action["name"] == "rerun").unwrap();
    assert_eq!(rerun["context"], json!([{}]));
}

#[test]
fn a_mistake_is_named_before_anything_is_sent() {
    let up = Up::start();
    push(&up);
    let test = TaskId::from_bytes([9; 16]);
    action_task(&up, test, DECISION);
    let before = members(&up);
    let test = test.to_string();
    let long = up.dir().join("long.json");
    std::fs::write(&long, json!({"tasks": ["x".repeat(1 << 20)]}).to_string()).unwrap();
    let long = format!("@{}", long.display());
    let deep = "[".repeat(10_000);
    let cases: [(&[&str], &str); 13] = [
        (&["add-new-job"], "did you mean   add-new-jobs"),
        (&["rerun"], "--task-id"),
        (&["add-new-jobs", "--task-id", &test], "leave out"),
        (&["add-new-jobs", "--input", "{"], "failed to read --input"),
        (&["add-new-jobs", "--input", &deep], "failed to read --input"),
        (&["add-new-jobs", "--input", "{\"tasks\": [\"\\u0000\"]}"], "failed to read --input"),
        (&["add-new-jobs", "--input", "{\"tasks\": [\"\\ud800\"]}"], "failed to read --input"),
        (&["add-new-jobs", "--input", "@/nonexistent"], "/nonexistent"),
        (&["add-new-jobs", "--input", "{\"tasks\": \"x\", \"times\": 101}"], "`/times` must be at most 100"),
        (&["add-new-jobs", "--input", "[]"], "failed to read the action's input"),
        (&["add-new-jobs", "--input", "{\"taskgraft\": {\"key\": \"mine\"}}"], "the key `taskgraft` is reserved"),
        (&["add-new-jobs", "--input", &long], "bytes are too many"),
        (&["cancel-all", "--input", "{\"x\": 1}"], "it takes none"),
    ];
    for (args, part) in cases {
        let ran = up.taskgraft([&["trigger", "--decision-id", DECISION], args].concat());
        assert_eq!(ran.code, Some(3), "{part}: {}", ran.stderr);
        assert!(ran.stderr.contains(part) && ran.stderr.contains("nothing was created"), "{part}: {}", ran.stderr);
    }
    assert_eq!(members(&up), before);
}

#[test]
fn missing_rights_are_named_with_who_grants_them() {
    let up = Up::start();
    push(&up);
    let hook = hook();
    let args = ["trigger", "cancel-all", "--decision-id", DECISION];
    let ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("lacks in-tree:hook-action:{hook}")), "{}", ran.stderr);
    grant(&up, ROLE, &["in-tree:hook-action:project-lander/in-tree-action-3-*"]);
    grant(&up, "project:lander:developers", &["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"]);
    let ran = up.as_ann(&["queue:get-artifact:*", "auth:list-roles"], &args);
    let expected = format!(
        "\
error: these credentials (client `project/lander/ann`) can't ask for the action `cancel-all`
  missing      hooks:trigger-hook:{hook}
  granted by   project:lander:developers (hooks:trigger-hook:{hook})
nothing was created
"
    );
    assert_eq!((ran.code, ran.stderr), (Some(4), expected));
}

/// An action of kind `task`, as somebody's Python might publish it.
fn task_action(up: &Up) {
    task_action_with(up, &json!(["project:lander:act"]));
}

fn task_action_with(up: &Up, scopes: &Value) {
    let task = json!({
        "taskQueueId": "proj-lander/action", "schedulerId": "lander-level-3", "taskGroupId": {"$eval": "taskGroupId"},
        "created": {"$fromNow": ""}, "deadline": {"$fromNow": "1 day"}, "scopes": scopes,
        "payload": {"env": {"ACTION_INPUT": {"$json": {"$eval": "input"}}, "SELF": {"$eval": "ownTaskId"},
                            "SUBJECT": {"$eval": "task.metadata.name"}, "WHERE": {"$eval": "where"}}},
        "metadata": {"name": "Action", "description": "", "owner": "ann@lander.example", "source": "https://example.com"},
        "extra": {"action": {"name": "poke", "context": {"input": {"$eval": "input"}, "taskId": {"$eval": "taskId"}}}},
    });
    let schema = json!({"type": "object", "properties": {"how": {"type": "string"}, "times": {"default": 1}}});
    let action = json!({"kind": "task", "name": "poke", "title": "Poke", "description": "", "context": [{}],
                        "schema": schema, "task": task});
    let file = json!({"version": 1, "variables": {"where": "here"}, "actions": [action]});
    publishing(up, |files| {
        files.insert("actions.json", file.to_string().into_bytes());
    });
    grant(up, ROLE, &["queue:create-task:*", "queue:scheduler-id:lander-level-3", "project:lander:act"]);
    grant(up, "project:lander:sheriffs", &[&format!("assume:{ROLE}")]);
}

fn actions(up: &Up) -> Vec<TaskId> {
    members(up).remove("Action").unwrap_or_default()
}

#[test]
fn an_action_of_kind_task_is_created_once_whatever_becomes_of_the_answers() {
    let proxy = Proxy::start();
    let up = Up::with(&["--no-worker", "--root-url", &proxy.url()]);
    proxy.forward_to(up.address());
    task_action(&up);
    let faults =
        [Fault::None, Fault::Status(500), Fault::Status(429), Fault::Reset, Fault::LostAnswer, Fault::BadGateway];
    let hostile = "'\"\n$(touch x) `x` {{action}} ${how} {\"$eval\": \"1\"}";
    for (n, fault) in faults.into_iter().enumerate() {
        let mut calls = 0;
        proxy.rule(move |method, path| {
            let creates = method == "PUT" && path.starts_with("/api/queue/v1/task/");
            calls += usize::from(creates);
            if creates && calls == 1 { fault } else { Fault::None }
        });
        let input = json!({"how": hostile}).to_string();
        let key = format!("poke-{n}");
        let args = ["trigger", "poke", "--decision-id", DECISION, "--task-id", DECISION, "--request-id", &key];
        let poke = |input: &str| up.taskgraft([&args[..], &["--input", input, "--json"]].concat());
        let ran = poke(&input);
        assert_eq!(ran.code, Some(0), "{fault:?}: {}", ran.stderr);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(actions(&up).len(), n + 1, "{fault:?}");
        let id: TaskId = told["actionTask"].as_str().unwrap().parse().unwrap();
        let task = wait_for(up.client().queue().task(id)).unwrap();
        let given: Value = serde_json::from_str(task.payload["env"]["ACTION_INPUT"].as_str().unwrap()).unwrap();
        assert_eq!(given, json!({"how": hostile, "times": 1, "taskgraft": {"key": key}}), "data stays data");
        assert_eq!(task.payload["env"]["SELF"], json!(id));
        assert_eq!(
            (&task.payload["env"]["SUBJECT"], &task.payload["env"]["WHERE"]),
            (&json!("Decision Task"), &json!("here"))
        );
        let again: Value = serde_json::from_str(&poke(&input).stdout).unwrap();
        assert_eq!((&again["actionTask"], &again["found"]), (&told["actionTask"], &json!(true)));
        let other = poke("{\"how\": \"otherwise\"}");
        assert_eq!(other.code, Some(3), "{}", other.stderr);
        assert!(other.stderr.contains("asked for something else before"), "{}", other.stderr);
        assert_eq!(actions(&up).len(), n + 1, "{fault:?}");
    }
}

#[test]
fn an_action_task_gets_no_more_than_the_decision_task_and_takes_all_of_that() {
    let up = Up::start();
    task_action(&up);
    let args = ["trigger", "poke", "--decision-id", DECISION, "--task-id", DECISION];
    let ran = up.as_ann(&["queue:*", "project:lander:*", "auth:list-roles"], &args);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("missing      assume:{ROLE}")), "{}", ran.stderr);
    assert!(ran.stderr.contains("granted by   project:lander:sheriffs"), "{}", ran.stderr);
    wait_for(up.client().auth().delete_role(ROLE)).unwrap();
    grant(&up, ROLE, &["queue:create-task:*", "queue:scheduler-id:lander-level-3"]);
    let ran = up.taskgraft(args);
    assert_eq!(ran.code, Some(3), "root may do all of it, the push may not: {}", ran.stderr);
    assert!(ran.stderr.contains("decision task lacks project:lander:act"), "{}", ran.stderr);
    assert!(actions(&up).is_empty());
}

#[test]
fn a_template_that_shows_two_faces_gets_no_more_than_the_decision_task_has() {
    let up = Up::start();
    // Harmless while it is looked at, under an id that no task has.
    let harmless = format!("ownTaskId == '{}'", TaskId::from_bytes([0; 16]));
    let scopes = json!([{"$if": harmless, "then": "project:lander:act", "else": "project:lander:everything"}]);
    task_action_with(&up, &scopes);
    let ran = up.taskgraft(["trigger", "poke", "--decision-id", DECISION, "--task-id", DECISION]);
    assert_eq!(ran.code, Some(4), "root may do all of it: {}", ran.stderr);
    assert!(ran.stderr.contains("project:lander:everything"), "{}", ran.stderr);
    assert!(actions(&up).is_empty());
}

#[test]
fn a_push_of_2016_has_an_action_yml() {
    let up = Up::start();
    let text = "\
taskQueueId: proj-lander/action
schedulerId: lander-level-3
taskGroupId: '{{decision_task_id}}'
created: '2016-10-01T10:00:00.000Z'
deadline: '2016-10-02T10:00:00.000Z'
payload: {command: [sh, -c, \"taskgraph action-task --decision-id='{{decision_task_id}}' --task-labels='{{task_labels}}'\"]}
metadata: {name: Action, description: '', owner: ann@lander.example, source: 'https://example.com'}
";
    publishing(&up, |files| {
        files.remove("actions.json");
        files.insert("action.yml", text.as_bytes().to_vec());
    });
    grant(&up, ROLE, &["queue:create-task:*", "queue:scheduler-id:lander-level-3"]);
    let trigger = |label: &str| {
        let input = json!({"tasks": ["lint-c", label]}).to_string();
        up.taskgraft(["trigger", "add-new-jobs", "--decision-id", DECISION, "--json", "--input", &input])
    };
    let ran = trigger("package-opt");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let task = wait_for(up.client().queue().task(actions(&up)[0])).unwrap();
    let command = format!("taskgraph action-task --decision-id='{DECISION}' --task-labels='lint-c,package-opt'");
    assert_eq!(task.payload["command"][2], json!(command));
    for label in ["$(reboot)", "a'; reboot; '", "{{action_args}}", "a b"] {
        let ran = trigger(label);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains("a shell would read some of its characters"), "{}", ran.stderr);
    }
    assert_eq!(actions(&up).len(), 1);
}

#[test]
fn what_nobody_can_read_alike_is_refused() {
    let up = Up::start();
    let mut file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    file["variables"] = json!({"input": {"tasks": ["all-of-them"]}});
    publishing(&up, |files| {
        files.insert("actions.json", file.to_string().into_bytes());
    });
    for args in [["trigger", "cancel-all"], ["add", "lint-c"]] {
        let ran = up.taskgraft([&args[..], &["--decision-id", DECISION]].concat());
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains("its variable `input` hides Taskcluster's own"), "{}", ran.stderr);
    }
}
