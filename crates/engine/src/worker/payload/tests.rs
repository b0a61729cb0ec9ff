use super::*;
use serde_json::json;

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
