use super::*;
use serde_json::json;
use taskgraft_core::action::render::{Template, render};
use taskgraft_testkit::recorded as testkit;

const GROUP: &str = "TADoGLV5QUWAYivg1ReyTw";
const EXPIRES: &str = "2027-11-22T12:00:01.000Z";

fn status() -> TaskStatus {
    let status = json!({
        "taskId": GROUP, "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "s",
        "projectId": "none", "taskGroupId": GROUP, "priority": "low", "deadline": "2026-11-23T12:00:00.000Z",
        "expires": EXPIRES, "retriesLeft": 5, "state": "running", "runs": [],
    });
    serde_json::from_value(status).unwrap()
}

fn read(payload: &Value) -> Result<ActionPayload, MalformedPayload> {
    ActionPayload::read(payload, &status())
}

fn env() -> Value {
    json!({
        "TASKGRAPH_HEAD_REV": "a1b2c3d", "ACTION_TASK_GROUP_ID": GROUP, "ACTION_TASK_ID": "null",
        "ACTION_INPUT": "{\"tasks\": [\"a\"]}", "ACTION_CALLBACK": "add-new-jobs",
    })
}

/// As .taskcluster.yml files write it for docker-worker.
fn docker() -> Value {
    json!({
        "env": env(), "cache": {"level-3-checkouts": "/builds/worker/checkouts"},
        "features": {"taskclusterProxy": true, "chainOfTrust": true}, "image": "decision:latest",
        "maxRunTime": 1800, "command": ["run-task", "--", "taskgraph", "action-callback"],
        "artifacts": {
            "public": {"type": "directory", "path": "/builds/worker/artifacts", "expires": "2027-11-22T12:00:00.000Z"},
            "public/docker-contexts": {"type": "directory", "path": "/x", "expires": "2026-11-29T12:00:00.000Z"},
        },
    })
}

#[test]
fn a_docker_worker_payload_is_understood_without_its_container() {
    let payload = read(&docker()).unwrap();
    assert_eq!((payload.max_run_time, payload.ask.callback.as_str()), (1800, "add-new-jobs"));
    assert_eq!(payload.ask.group.as_str(), GROUP);
    assert_eq!(payload.ask.input, json!({"tasks": ["a"]}));
    assert_eq!(payload.logs, LogNames::default());
    let kept = |name| payload.expires(name).map(|expires| expires.to_string());
    assert_eq!(kept("public/plan.json").unwrap(), "2027-11-22T12:00:00.000Z");
    assert_eq!(kept("public/docker-contexts/x.tar").unwrap(), "2026-11-29T12:00:00.000Z");
    assert_eq!(kept("publication.json"), None);
    let named = json!({"env": env(), "maxRunTime": 60, "log": "public/log.txt"});
    assert_eq!(read(&named).unwrap().logs.live, "public/log.txt");
}

#[test]
fn a_generic_worker_payload_is_understood_without_its_commands() {
    let payload = json!({
        "env": env(), "maxRunTime": 60, "command": [["git", "clone"], ["taskgraph", "action-callback"]],
        "artifacts": [{"type": "directory", "name": "public", "path": "artifacts", "expires": EXPIRES}],
        "features": {"taskclusterProxy": true}, "mounts": [{"cacheName": "x"}],
        "logs": {"live": "public/a.log", "backing": "public/b.log"},
    });
    let payload = read(&payload).unwrap();
    assert_eq!(payload.expires("public/plan.json").unwrap().to_string(), EXPIRES);
    assert_eq!((payload.logs.live.as_str(), payload.logs.backing.as_str()), ("public/a.log", "public/b.log"));
}

#[test]
fn what_is_no_action_is_named_with_its_place() {
    let with = |key: &str, value: Value| {
        let mut payload = docker();
        payload[key] = value;
        payload
    };
    let late = json!({"public": {"type": "directory", "path": "/x", "expires": "2028-01-01T00:00:00.000Z"}});
    for (payload, part) in [
        (json!([]), "payload: an object"),
        (json!({}), "ACTION_TASK_GROUP_ID is not set"),
        (with("env", json!([])), "payload.env: an object"),
        (with("env", json!({"A": 1})), "payload.env.A: a text"),
        (with("env", json!({"ACTION_TASK_GROUP_ID": "x"})), "ACTION_TASK_GROUP_ID"),
        (with("maxRunTime", json!(0)), "payload.maxRunTime"),
        (with("maxRunTime", json!(432_001)), "payload.maxRunTime"),
        (with("maxRunTime", json!("1800")), "payload.maxRunTime"),
        (with("artifacts", json!("public")), "payload.artifacts"),
        (with("artifacts", late), "payload.artifacts.public.expires"),
        (with("artifacts", json!([{"name": "public", "expires": "soon"}])), "payload.artifacts[0].expires"),
        (with("log", json!("../log")), "payload.log"),
        (with("logs", json!({"live": 7})), "payload.logs.live"),
    ] {
        let error = read(&payload).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// The action task that a .taskcluster.yml makes.
fn rendered(text: &str, tasks_for: &str) -> Value {
    let input = json!({"tasks": ["a \"b\" ${c} {{d}}\n"], "times": 2});
    let context = json!({
        "tasks_for": tasks_for, "ownTaskId": "AWMGHageTNSYfeRM0ntW-g", "taskId": null, "input": input, "clientId": "ann",
        "action": {
            "name": "add-new-jobs", "title": "Add new jobs", "description": "", "taskGroupId": GROUP, "symbol": "add-new",
            "cb_name": "add-new-jobs", "action_perm": "generic", "repo_scope": "assume:repo:github.com/example/x:action:generic",
        },
        "push": {
            "owner": "ann@example.com", "revision": "a1b2", "base_revision": "0000", "branch": "main", "base_branch": "main",
            "pushlog_id": "1",
        },
        "repository": {"url": "https://github.com/example/x", "base_url": "https://github.com/example/x", "project": "x", "level": "3"},
    });
    let file = crate::yaml::parse(text).unwrap();
    let template = Template::check(&file).unwrap();
    let rendered = render(&template, &context, "2026-11-22T12:00:00Z".parse().unwrap()).unwrap();
    rendered["tasks"][0].clone()
}

#[test]
fn what_todays_projects_make_of_an_action_is_understood() {
    let lander = testkit::workspace().join("examples/lander/.taskcluster.yml");
    let mut files = vec![(lander, "action")];
    if let Some(recorded) = testkit::unpacked("decision-real") {
        let of = |name: &str| recorded.join(format!("config-only/{name}/input/.taskcluster.yml"));
        files.extend([
            (of("taskgraph"), "action"),
            (of("taskgraph"), "pr-action"),
            (of("scriptworker-scripts"), "action"),
        ]);
    }
    for (file, tasks_for) in files {
        let task = rendered(&std::fs::read_to_string(&file).unwrap(), tasks_for);
        let payload = read(&task["payload"]).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!((payload.ask.group.as_str(), payload.ask.task), (GROUP, None), "{}", file.display());
        assert_eq!(payload.ask.callback, "add-new-jobs");
        assert_eq!(payload.ask.input, json!({"tasks": ["a \"b\" ${c} {{d}}\n"], "times": 2}));
        assert_eq!(payload.max_run_time, task["payload"]["maxRunTime"].as_u64().unwrap());
        let expires = task["payload"]["artifacts"]["public"]["expires"].as_str();
        assert_eq!(payload.expires("public/plan.json").map(|at| at.to_string()).as_deref(), expires);
    }
}
