//! Push 2 of examples/lander on an embedded Taskcluster: its decision task has run and scheduled nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::{Client, Credentials, Upload};
use taskgraft_core::api::queue::{
    ClaimWorkRequest, CreateArtifactRequest, CreateArtifactResponse, TaskDefinitionAndStatus,
};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;

use crate::server::{Up, wait_for};

/// Its decision task, and so its group.
pub(crate) const DECISION: &str = "TADoGLV5QUWAYivg1ReyTw";
/// Its revision, short.
pub(crate) const REVISION: &str = "lander@a1b2c3d";

/// Its recorded artifacts.
pub(crate) fn recorded() -> PathBuf {
    lander().join("pushes/2")
}

fn lander() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lander").canonicalize().unwrap()
}

/// The two files of a checkout that are read, alone.
pub(crate) fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("taskcluster")).unwrap();
    for file in [".taskcluster.yml", "taskcluster/config.yml"] {
        std::fs::copy(lander().join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// Makes the push.
pub(crate) fn push(up: &Up) {
    changed(up, |_| {});
}

/// Makes the push once more, with another decision task.
pub(crate) fn another(up: &Up, decision: &str) {
    made(up, decision, |_| {}, str::to_owned, |_| {});
}

/// Makes the push once more, with another decision task and other artifacts, by their names without `public/`.
pub(crate) fn another_publishing(up: &Up, decision: &str, files: impl FnOnce(&mut BTreeMap<&str, Vec<u8>>)) {
    made(up, decision, |_| {}, str::to_owned, files);
}

/// Makes the push with other artifacts, by their names without `public/`.
pub(crate) fn publishing(up: &Up, files: impl FnOnce(&mut BTreeMap<&str, Vec<u8>>)) {
    made(up, DECISION, |_| {}, str::to_owned, files);
}

/// Makes the push with another graph.
pub(crate) fn changed(up: &Up, change: impl FnOnce(&mut Value)) {
    altered(up, change, str::to_owned);
}

/// Makes the push with another graph and other parameters.
pub(crate) fn altered(up: &Up, change: impl FnOnce(&mut Value), parameters: impl FnOnce(&str) -> String) {
    made(up, DECISION, change, parameters, |_| {});
}

fn made(
    up: &Up,
    decision: &str,
    change: impl FnOnce(&mut Value),
    parameters: impl FnOnce(&str) -> String,
    others: impl FnOnce(&mut BTreeMap<&str, Vec<u8>>),
) {
    let mut files = BTreeMap::new();
    for name in ["parameters.yml", "actions.json"] {
        files.insert(name, std::fs::read(recorded().join(name)).unwrap());
    }
    let mut graph = serde_json::from_slice(&std::fs::read(recorded().join("full-task-graph.json")).unwrap()).unwrap();
    change(&mut graph);
    files.insert("full-task-graph.json", graph.to_string().into_bytes());
    files.insert("label-to-taskid.json", b"{}".to_vec());
    let text = String::from_utf8(files["parameters.yml"].clone()).unwrap();
    files.insert("parameters.yml", parameters(&text).into_bytes());
    let archive = up.dir().join("source.tar.gz");
    if !archive.exists() {
        let mut pack = Command::new("python3");
        let packed = pack.arg(lander().join("ci/archive.py")).arg("2").arg(&archive).output().unwrap();
        assert!(packed.status.success(), "{packed:?}");
    }
    files.insert("lander-source.tar.gz", std::fs::read(archive).unwrap());
    others(&mut files);
    wait_for(decide(&up.client(), decision, files, |_| {}));
}

/// Makes a pull request from `fork` into the project's repository, of level 1, that publishes these actions.
pub(crate) fn pull_request(up: &Up, fork: &str, actions: impl FnOnce(&str) -> Vec<u8>) {
    let read = |name: &str| std::fs::read(recorded().join(name)).unwrap();
    let parameters = String::from_utf8(read("parameters.yml")).unwrap();
    let told = parameters.lines().map(|line| match line.split_once(": ") {
        Some(("head_repository", _)) => format!("head_repository: {fork}\n"),
        Some(("tasks_for", _)) => "tasks_for: github-pull-request\n".to_owned(),
        Some(("level", _)) => "level: '1'\n".to_owned(),
        _ => format!("{line}\n"),
    });
    let parameters: String = told.collect();
    let graph = String::from_utf8(read("full-task-graph.json")).unwrap();
    let files = BTreeMap::from([
        ("actions.json", actions(&parameters)),
        // What pull requests' jobs tell Treeherder goes elsewhere.
        ("full-task-graph.json", graph.replace("tc-treeherder.v2.lander.", "tc-treeherder.v2.lander-pr.").into_bytes()),
        ("label-to-taskid.json", b"{}".to_vec()),
        ("parameters.yml", parameters.into_bytes()),
    ]);
    let of_a_pull_request = |task: &mut Value| {
        task["scopes"] = json!(["assume:repo:github.com/example/lander:pull-request"]);
        task["schedulerId"] = json!("lander-level-1");
        task["routes"] = json!(["checks"]);
    };
    wait_for(decide(&up.client(), DECISION, files, of_a_pull_request));
}

async fn decide(client: &Client, decision: &str, files: BTreeMap<&str, Vec<u8>>, change: impl FnOnce(&mut Value)) {
    let now = Timestamp::now();
    let day = |days: i64| json!(Millis(now + SignedDuration::from_hours(24 * days)));
    let mut task: Value =
        serde_json::from_slice(&std::fs::read(recorded().join("decision-task.json")).unwrap()).unwrap();
    task.as_object_mut().unwrap().remove("taskId");
    (task["created"], task["deadline"], task["expires"]) = (day(0), day(1), day(28));
    task["taskGroupId"] = json!(decision);
    change(&mut task);
    let id: TaskId = decision.parse().unwrap();
    client.queue().create_task(id, task.to_string().into()).await.unwrap();
    let own = claim(client, "proj-lander/decision").await;
    for (name, bytes) in files {
        let expires = Millis(now + SignedDuration::from_hours(24));
        let request = CreateArtifactRequest::S3 { expires, content_type: "text/plain".into(), content_length: None };
        let answer = own.queue().create_artifact(id, 0, &format!("public/{name}"), &request).await.unwrap();
        let CreateArtifactResponse::S3 { put_url, content_type, .. } = answer else { panic!("no upload") };
        own.upload(&put_url, &content_type, Upload::Bytes(bytes.into())).await.unwrap();
        // Where claims are short and the machine is busy, all of them take longer than one lasts.
        own.queue().reclaim_task(id, 0).await.unwrap();
    }
    own.queue().report_completed(id, 0).await.unwrap();
}

/// Claims the one task of a queue; the client has its credentials.
pub(crate) async fn claim(client: &Client, queue: &str) -> Client {
    let worker = ClaimWorkRequest { worker_group: "test".into(), worker_id: "test".into(), tasks: 1 };
    let claimed = client.queue().claim_work(queue, &worker).await.unwrap().remove(0);
    let credentials = Credentials::new(&claimed.credentials.client_id, &claimed.credentials.access_token);
    client.as_credentials(Some(Credentials { certificate: Some(claimed.credentials.certificate), ..credentials }))
}

/// The name of an action task.
pub(crate) const ACTION: &str = "Action";

/// Makes an action task in a push's group and claims it; the client has the credentials of its run 0.
pub(crate) fn action_task(up: &Up, id: TaskId, decision: &str) -> Client {
    let now = Timestamp::now();
    let at = |hours: i64| json!(Millis(now + SignedDuration::from_hours(hours)));
    let task = json!({
        "taskQueueId": "proj-lander/action", "schedulerId": "lander-level-3", "taskGroupId": decision,
        "created": at(0), "deadline": at(48), "expires": at(24 * 30), "payload": {},
        "scopes": ["assume:repo:github.com/example/lander:action:generic"],
        "metadata": {"name": ACTION, "description": "", "owner": "ann@lander.example", "source": "https://example.com"},
    });
    let client = up.client();
    wait_for(async {
        client.queue().create_task(id, task.to_string().into()).await.unwrap();
        claim(&client, "proj-lander/action").await
    })
}

/// The tasks of the push's group but its decision task, by label: their ids.
pub(crate) fn members(up: &Up) -> BTreeMap<String, Vec<TaskId>> {
    members_of(up, DECISION)
}

/// The same of another push.
pub(crate) fn members_of(up: &Up, decision: &str) -> BTreeMap<String, Vec<TaskId>> {
    let client = up.reader();
    let group: TaskId = decision.parse().unwrap();
    let pages: Vec<_> = wait_for(client.queue().list_task_group(group, 1000).try_collect()).unwrap();
    let mut members: BTreeMap<String, Vec<TaskId>> = BTreeMap::new();
    for TaskDefinitionAndStatus { task, status } in pages.into_iter().flat_map(|page| page.tasks) {
        if status.task_id != group {
            members.entry(task.metadata.name).or_default().push(status.task_id);
        }
    }
    members
}
