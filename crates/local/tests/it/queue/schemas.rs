//! What is answered matches the schemas that Taskcluster publishes for its answers.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_local::queue::{EXCHANGES, PREFIX};

use crate::published::Published;
use crate::requests::Up;
use crate::support::fresh_id;

fn definition(up: &Up, dependencies: &Value) -> Value {
    json!({
        "taskQueueId": "p/w", "schedulerId": "s", "created": up.date(0), "deadline": up.date(3600),
        "dependencies": dependencies, "payload": {}, "tags": {"kind": "build"}, "routes": ["index.lander.n", "x"],
        "metadata": {"name": "n", "description": "", "owner": "a@example.org", "source": "https://example.org"},
    })
}

/// Name, method, path and body of a request.
type Request = (&'static str, &'static str, String, Value);

/// Every endpoint at least once, in an order in which each has something to say.
fn requests(up: &Up) -> Vec<Request> {
    let ids = [fresh_id(), fresh_id(), fresh_id()];
    [begin(up, ids), artifacts(up, ids[0]), end(ids), queues(up)].concat()
}

/// Three tasks are made, two are claimed.
fn begin(up: &Up, [a, b, c]: [TaskId; 3]) -> Vec<Request> {
    let worker = json!({"workerGroup": "g", "workerId": "w"});
    let ids = json!({"taskIds": [a, b, c]});
    vec![
        ("createTask", "PUT", format!("/task/{a}"), definition(up, &json!([]))),
        ("createTask", "PUT", format!("/task/{b}"), definition(up, &json!([a]))),
        ("createTask", "PUT", format!("/task/{c}"), definition(up, &json!([]))),
        ("task", "GET", format!("/task/{a}"), Value::Null),
        ("tasks", "POST", "/tasks".into(), ids.clone()),
        ("statuses", "POST", "/tasks/status?limit=2".into(), ids),
        ("listPendingTasks", "GET", "/task-queues/p%2Fw/pending".into(), Value::Null),
        ("claimTask", "POST", format!("/task/{a}/runs/0/claim"), worker.clone()),
        ("claimWork", "POST", "/claim-work/p%2Fw".into(), worker),
        ("listClaimedTasks", "GET", "/task-queues/p%2Fw/claimed".into(), Value::Null),
        ("reclaimTask", "POST", format!("/task/{a}/runs/0/reclaim"), json!({})),
    ]
}

fn artifacts(up: &Up, a: TaskId) -> Vec<Request> {
    let artifact = |storage: &str, more: Value| {
        let mut body = json!({"storageType": storage, "expires": up.date(7200)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let artifacts = format!("/task/{a}/runs/0/artifacts");
    let content = format!("/task/{a}/artifact-content");
    let typed = json!({"contentType": "text/plain"});
    let reference = json!({"contentType": "text/html", "url": "https://example.org"});
    let error = json!({"reason": "file-missing-on-worker", "message": "no"});
    vec![
        ("createArtifact", "POST", format!("{artifacts}/public/s3"), artifact("s3", typed.clone())),
        ("createArtifact", "POST", format!("{artifacts}/public/object"), artifact("object", typed)),
        ("createArtifact", "POST", format!("{artifacts}/public/reference"), artifact("reference", reference)),
        ("createArtifact", "POST", format!("{artifacts}/public/error"), artifact("error", error)),
        ("createArtifact", "POST", format!("{artifacts}/public/link"), artifact("link", json!({"artifact": "x"}))),
        ("listArtifacts", "GET", format!("{artifacts}?limit=2"), Value::Null),
        ("listLatestArtifacts", "GET", format!("/task/{a}/artifacts"), Value::Null),
        ("artifactInfo", "GET", format!("/task/{a}/runs/0/artifact-info/public/s3"), Value::Null),
        ("latestArtifactInfo", "GET", format!("/task/{a}/artifact-info/public/error"), Value::Null),
        ("getArtifact", "GET", format!("{artifacts}/public/s3"), Value::Null),
        ("getLatestArtifact", "GET", format!("/task/{a}/artifacts/public/reference"), Value::Null),
        ("artifact", "GET", format!("/task/{a}/runs/0/artifact-content/public/s3"), Value::Null),
        ("latestArtifact", "GET", format!("{content}/public/reference"), Value::Null),
        ("latestArtifact", "GET", format!("{content}/public/error"), Value::Null),
    ]
}

/// The tasks come to their ends, in all ways.
fn end([a, b, c]: [TaskId; 3]) -> Vec<Request> {
    vec![
        ("reportCompleted", "POST", format!("/task/{a}/runs/0/completed"), json!({})),
        ("reportException", "POST", format!("/task/{c}/runs/0/exception"), json!({"reason": "worker-shutdown"})),
        ("status", "GET", format!("/task/{c}/status"), Value::Null),
        ("claimTask", "POST", format!("/task/{c}/runs/1/claim"), json!({"workerGroup": "g", "workerId": "w"})),
        ("reportFailed", "POST", format!("/task/{c}/runs/1/failed"), json!({})),
        ("listDependentTasks", "GET", format!("/task/{a}/dependents"), Value::Null),
        ("changeTaskPriority", "POST", format!("/task/{b}/priority"), json!({"newPriority": "high"})),
        ("changeTaskGroupPriority", "POST", format!("/task-group/{b}/priority"), json!({"newPriority": "low"})),
        ("rerunTask", "POST", format!("/task/{a}/rerun"), json!({})),
        ("scheduleTask", "POST", format!("/task/{b}/schedule"), json!({})),
        ("cancelTask", "POST", format!("/task/{a}/cancel"), json!({})),
        ("getTaskGroup", "GET", format!("/task-group/{b}"), Value::Null),
        ("listTaskGroup", "GET", format!("/task-group/{b}/list"), Value::Null),
        ("sealTaskGroup", "POST", format!("/task-group/{b}/seal"), json!({})),
        ("listTaskGroup", "GET", format!("/task-group/{b}/list"), Value::Null),
        ("cancelTaskGroup", "POST", format!("/task-group/{b}/cancel"), json!({})),
    ]
}

fn queues(up: &Up) -> Vec<Request> {
    let pool = "/provisioners/p/worker-types";
    let quarantine = json!({"quarantineUntil": up.date(60), "quarantineInfo": "why"});
    vec![
        ("pendingTasks", "GET", "/pending/p/w".into(), Value::Null),
        ("taskQueueCounts", "GET", "/task-queues/p%2Fw/counts".into(), Value::Null),
        ("listTaskQueues", "GET", "/task-queues".into(), Value::Null),
        ("getTaskQueue", "GET", "/task-queues/p%2Fw".into(), Value::Null),
        ("listProvisioners", "GET", "/provisioners".into(), Value::Null),
        ("getProvisioner", "GET", "/provisioners/p".into(), Value::Null),
        ("listWorkerTypes", "GET", pool.into(), Value::Null),
        ("getWorkerType", "GET", format!("{pool}/w"), Value::Null),
        ("quarantineWorker", "PUT", format!("{pool}/w/workers/g/w"), quarantine),
        ("listWorkers", "GET", format!("{pool}/w/workers?quarantined=true"), Value::Null),
        ("getWorker", "GET", format!("{pool}/w/workers/g/w"), Value::Null),
    ]
}

#[tokio::test]
async fn answers_match_the_published_schemas() {
    let Some(published) = Published::read() else { return };
    let up = Up::with(|config| config.queue.long_poll = Duration::from_millis(1)).await;
    let root = up.root();
    let mut messages = up.running.ctx().queue.bus.messages();
    for (name, method, path, body) in requests(&up) {
        let answer = up.call(method, &format!("/api/queue/v1{path}"), &root, &body).await;
        published.check("queue", name, &answer);
    }
    let mut said = BTreeSet::new();
    while let Ok(message) = messages.try_recv() {
        published.check_message("queue", &format!("{PREFIX}{}", message.exchange), &message.routing_key, &message.body);
        let of_task = message.body.get("status").is_some();
        assert_eq!(message.routes, if of_task { vec!["route.index.lander.n", "route.x"] } else { vec![] });
        said.insert(message.exchange);
    }
    assert_eq!(said, EXCHANGES.into(), "each exchange says something");
}
