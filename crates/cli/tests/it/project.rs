//! `taskgraft up --project`.

use std::fs;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use taskgraft_client::{Client, Config, Credentials};
use taskgraft_core::action::render::{Template, render};
use taskgraft_core::api::auth::{CreateClientRequest, CreateRoleRequest, Role};
use taskgraft_core::scopes::satisfies;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;
use taskgraft_testkit::LATE;

use crate::pushes::{DECISION, checkout, members, push, recorded};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};

const GROUP: &str = "project-lander";

fn up_with(checkout: &tempfile::TempDir) -> Up {
    Up::with(&["--no-worker", "--project", checkout.path().to_str().unwrap()])
}

/// An action of the push, as it publishes it.
fn published(name: &str) -> Value {
    let file: Value = serde_json::from_slice(&fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    file["actions"].as_array().unwrap().iter().find(|action| action["name"] == name).unwrap().clone()
}

/// Somebody who may trigger the push's generic actions, and do nothing else.
fn ann(up: &Up) -> Client {
    let request = CreateClientRequest {
        expires: Millis(Timestamp::now() + SignedDuration::from_hours(1)),
        description: String::new(),
        scopes: Some(vec![format!("hooks:trigger-hook:{GROUP}/in-tree-action-3-generic/*")]),
        delete_on_expiration: false,
    };
    let made = wait_for(up.client().auth().create_client("ann", &request)).unwrap();
    let credentials = Credentials::new("ann", made.access_token);
    Client::new(Config::new(up.root_url()).with_credentials(credentials)).unwrap()
}

#[test]
fn a_click_on_a_push_becomes_its_action_task() {
    let checkout = checkout();
    let up = up_with(&checkout);
    push(&up);
    let action = published("add-new-jobs");
    let labels = ["test-unit-3", "\"; rm -rf ~ #\n$(id)", "{{x}}", "${taskId}", &"(".repeat(10_000)];
    let input = json!({"tasks": labels, "times": 2});
    let context = json!({"input": input, "taskId": null, "taskGroupId": DECISION});
    let payload = render(&Template::check(&action["hookPayload"]).unwrap(), &context, Timestamp::UNIX_EPOCH).unwrap();
    let (group, id) = (action["hookGroupId"].as_str().unwrap(), action["hookId"].as_str().unwrap());
    let ann = ann(&up);
    let before = Timestamp::now();
    let fired = wait_for(ann.hooks().trigger_hook(group, id, &payload)).unwrap();
    let own = fired.task_id.unwrap();
    let client = up.client();
    let task = wait_for(client.queue().task(own)).unwrap();
    assert_eq!(task.task_group_id.as_str(), DECISION);
    assert_eq!((task.scheduler_id.as_str(), task.task_queue_id.as_str()), ("lander-level-3", "proj-lander/decision"));
    assert_eq!(task.scopes, ["assume:repo:github.com/example/lander:action:generic"]);
    assert_eq!(task.metadata.name, "Action: Add new jobs");
    assert!(task.created.0 >= before - SignedDuration::from_secs(1), "its times are now's");
    let task = serde_json::to_value(&task).unwrap();
    let env = &task["payload"]["env"];
    assert_eq!(serde_json::from_str::<Value>(env["ACTION_INPUT"].as_str().unwrap()).unwrap(), input);
    assert_eq!((&env["ACTION_CALLBACK"], &env["ACTION_TASK_ID"]), (&json!("add-new-jobs"), &json!("null")));
    assert_eq!((&env["ACTION_TASK_GROUP_ID"], &task["extra"]["parent"]), (&json!(DECISION), &json!(DECISION)));
    assert_eq!(task["tags"]["kind"], "action-callback");
    assert_eq!(
        task["extra"]["action"]["context"],
        json!({"taskGroupId": DECISION, "taskId": null, "input": input, "clientId": "ann"})
    );
    let route =
        format!("index.lander.v2.lander.revision.a1b2c3d4e5f60718293a4b5c6d7e8f9011223344.taskgraph.actions.{own}");
    assert_eq!(task["routes"][1], route);

    // The push may offer the hook, and who may trigger one may not trigger another.
    let decision = wait_for(client.queue().task(DECISION.parse().unwrap())).unwrap();
    let scopes = wait_for(client.auth().expand_scopes(decision.scopes)).unwrap();
    assert!(satisfies(&scopes, &format!("in-tree:hook-action:{group}/{id}")));
    let other = published("rebuild-cached-tasks");
    let refused = wait_for(ann.hooks().trigger_hook(group, other["hookId"].as_str().unwrap(), &payload)).unwrap_err();
    assert!(refused.to_string().contains("403") || refused.to_string().contains("InsufficientScopes"), "{refused}");
    // What is no payload of an action makes no task.
    let bad = wait_for(ann.hooks().trigger_hook(group, id, &json!({"decision": {}, "user": {}}))).unwrap_err();
    assert!(bad.to_string().contains("400") || bad.to_string().contains("InputError"), "{bad}");
}

#[test]
fn an_input_of_megabytes_becomes_an_action_task_or_a_clear_refusal() {
    let checkout = checkout();
    let up = up_with(&checkout);
    push(&up);
    let action = published("add-new-jobs");
    let (group, id) = (action["hookGroupId"].as_str().unwrap(), action["hookId"].as_str().unwrap());
    let client = up.client();
    let fire = |bytes: usize| {
        let input = json!({"tasks": ["x".repeat(bytes)]});
        let mut payload = action["hookPayload"].clone();
        payload["user"] = json!({"input": input, "taskId": null, "taskGroupId": DECISION});
        (input, wait_for(client.hooks().trigger_hook(group, id, &payload)))
    };
    let (input, fired) = fire(4 << 20);
    let task = wait_for(client.queue().task(fired.unwrap().task_id.unwrap())).unwrap();
    assert!(task.extra["action"]["context"]["input"] == input);
    assert!(task.payload["env"]["ACTION_INPUT"].as_str() == Some(&input.to_string()));
    // It is in an action task twice, and a queue takes no task of more than 10 MiB.
    let refused = fire(6 << 20).1.unwrap_err();
    assert!(!refused.may_have_happened() && !refused.is_transient(), "{refused}");
    let words = refused.to_string();
    assert!(words.contains("10485760") && words.len() < 2000, "{words:.2000}");
}

#[test]
fn an_action_that_is_not_generic_is_what_its_hook_is_for() {
    let checkout = checkout();
    let up = up_with(&checkout);
    push(&up);
    let action = published("rebuild-cached-tasks");
    let mut payload = action["hookPayload"].clone();
    payload["user"] = json!({"input": null, "taskId": null, "taskGroupId": DECISION});
    payload["decision"]["action"]["cb_name"] = json!("cancel-all");
    let client = up.client();
    let id = action["hookId"].as_str().unwrap();
    let fired = wait_for(client.hooks().trigger_hook(GROUP, id, &payload)).unwrap();
    let task = serde_json::to_value(wait_for(client.queue().task(fired.task_id.unwrap())).unwrap()).unwrap();
    assert_eq!(task["payload"]["env"]["ACTION_CALLBACK"], "rebuild-cached-tasks", "whatever its caller says");
    assert_eq!(task["scopes"], json!(["assume:repo:github.com/example/lander:action:rebuild-cached-tasks"]));
    // A caller who names another repository gets no task with its rights.
    payload["decision"]["repository"]["url"] = json!("https://github.com/example/other");
    let task = wait_for(client.hooks().trigger_hook(GROUP, id, &payload)).unwrap().task_id.unwrap();
    let scopes = wait_for(client.queue().task(task)).unwrap().scopes;
    assert_eq!(scopes, ["assume:repo:github.com/example/lander:action:rebuild-cached-tasks"]);
}

fn roles(client: &Client) -> Vec<Role> {
    wait_for(client.auth().list_roles()).unwrap()
}

fn hooks(client: &Client) -> Vec<String> {
    wait_for(client.hooks().list_hooks(GROUP)).unwrap().into_iter().map(|hook| hook.hook_id).collect()
}

#[test]
fn once_more_changes_nothing_and_what_somebody_added_stays() {
    let checkout = checkout();
    let up = up_with(&checkout);
    let client = up.client();
    let id = "project:lander:tasks";
    let mut tasks = wait_for(client.auth().role(id)).unwrap();
    tasks.scopes.push("secrets:get:project/lander/*".to_owned());
    let request = CreateRoleRequest { description: "Mine.".into(), scopes: tasks.scopes };
    wait_for(client.auth().update_role(id, &request)).unwrap();
    let before = (roles(&client), wait_for(client.hooks().list_hooks(GROUP)).unwrap());
    assert_eq!(before.1.len(), 9);
    kill_process(Pid::from_raw(i32::try_from(up.pid()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let (code, dir) = up.wait();
    assert_eq!(code, Some(0));
    let again = Up::in_dir(dir, &["--no-worker", "--project", checkout.path().to_str().unwrap()]);
    let client = again.client();
    // Their times of change tell that nothing was written.
    assert_eq!((roles(&client), wait_for(client.hooks().list_hooks(GROUP)).unwrap()), before);
    assert!(before.0.iter().any(|role| role.role_id == id && role.description == "Mine."));
}

#[test]
fn a_new_taskcluster_yml_gets_hooks_of_its_own_while_it_runs() {
    let checkout = checkout();
    let up = up_with(&checkout);
    let client = up.client();
    let before = hooks(&client);
    let path = checkout.path().join(".taskcluster.yml");
    let text = fs::read_to_string(&path).unwrap();
    // Half-written files are passed over.
    fs::write(&path, "tasks: [").unwrap();
    fs::write(&path, format!("{text}\n# pr-action\n")).unwrap();
    let until = Instant::now() + LATE;
    let after = loop {
        let found = hooks(&client);
        if found.len() > before.len() + 8 {
            break found;
        }
        assert!(Instant::now() < until, "{found:?}");
    };
    assert!(before.iter().all(|id| after.contains(id)), "earlier pushes name the earlier ones");
    assert_eq!(after.len(), 18, "a comment makes no hooks for pull requests");
}

#[test]
fn the_worker_takes_the_projects_jobs_unless_others_are_named() {
    let project = checkout();
    let project = project.path().to_str().unwrap();
    let up = Up::with(&["--project", project]);
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes", "--wait"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("followed to green: 3 of 3"), "{}", ran.stdout);
    drop(up);

    let up = Up::with(&["--project", project, "--worker", "local/linux"]);
    push(&up);
    let ran = up.taskgraft(["add", "--direct", "lint-c", "--decision-id", DECISION, "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // When a later task has run, the worker has looked for all that it takes.
    let client = up.client();
    let task = json!({
        "taskQueueId": "local/linux", "created": Timestamp::now().to_string(), "schedulerId": "s",
        "deadline": (Timestamp::now() + SignedDuration::from_hours(1)).to_string(),
        "payload": {"command": [["true"]], "maxRunTime": 60},
        "metadata": {"name": "n", "description": "", "owner": "ann@lander.example", "source": "https://example.com"},
    });
    let id = "AWMGHageTsSoYmoMR1_cRw";
    wait_for(client.queue().create_task(id.parse().unwrap(), task.to_string().into())).unwrap();
    assert_eq!(up.taskgraft(["task", id, "--follow"]).code, Some(0));
    let source = members(&up)["source-lander"][0];
    assert_eq!(wait_for(client.queue().status(source)).unwrap().state, TaskState::Pending);
}

#[test]
fn the_projects_own_permissions_have_hooks() {
    let promotes = checkout();
    let config = promotes.path().join("taskcluster/config.yml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\nrelease-promotion:\n  flavors: {{}}\n")).unwrap();
    let project = promotes.path().to_str().unwrap();
    let up = Up::with(&["--no-worker", "--project", project, "--permission", "try-again"]);
    let found = hooks(&up.client());
    assert_eq!(found.len(), 15, "{found:?}");
    for permission in ["release-promotion", "try-again"] {
        assert!(found.iter().any(|id| id.starts_with(&format!("in-tree-action-3-{permission}/"))), "{found:?}");
    }
}

#[test]
fn a_project_that_can_not_be_set_up_is_a_mistake_before_anything_starts() {
    let run = |checkout: &tempfile::TempDir, more: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let mut up = command(["up", "--no-worker", "--data-dir"]);
        up.arg(dir.path().join("tc")).arg("--project").arg(checkout.path()).args(more);
        let ran = Ran::from(up.output().unwrap());
        assert!(!dir.path().join("tc").exists());
        (ran.code, ran.stderr)
    };
    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(run(&nothing, &[]), (Some(3), text) if text.contains("config.yml")));
    let nameless = checkout();
    let config = nameless.path().join("taskcluster/config.yml");
    let text = fs::read_to_string(&config).unwrap().replace("default-repository", "no-repository");
    fs::write(&config, text).unwrap();
    assert!(matches!(run(&nameless, &[]), (Some(3), text) if text.contains("--repository https://")));
    let odd = run(&nameless, &["--repository", "https://x/y", "--permission", "A*"]);
    assert!(matches!(odd, (Some(3), text) if text.contains("`A*`")));
    assert!(matches!(run(&nameless, &["--repository", "git@x:y"]), (Some(3), text) if text.contains("`git@x:y`")));
    let broken = checkout();
    fs::write(broken.path().join(".taskcluster.yml"), "version: 1\n").unwrap();
    assert!(matches!(run(&broken, &[]), (Some(3), text) if text.contains("`tasks`")));
}
