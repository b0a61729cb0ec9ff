//! Mounts: artifacts of other tasks, inline content, caches.

use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, TaskState};

use crate::support::{Deployment, script_with};

/// A finished task with `public/tree.tar.gz` (`tree/a`, `tree/bin/hello`) and `private/secret`.
async fn producer(deployment: &Deployment) -> TaskId {
    let make = "mkdir -p tree/bin && echo mounted > tree/a && printf '#!/bin/sh\\necho hello from the mount\\n' > tree/bin/hello \
                && chmod +x tree/bin/hello && tar -czf tree.tar.gz tree && echo secret > secret";
    let artifacts = json!({"artifacts": [
        {"type": "file", "path": "tree.tar.gz", "name": "public/tree.tar.gz"},
        {"type": "file", "path": "secret", "name": "private/secret"},
    ]});
    let id = deployment.task(script_with(make, artifacts)).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Completed);
    id
}

/// Runs a task with these mounts that depends on `dependency`; its state and its log.
async fn consume(
    deployment: &Deployment,
    script: &str,
    mounts: Value,
    more: Value,
) -> (TaskState, Option<ReasonResolved>, String) {
    let id = deployment.task_with(script_with(script, json!({"mounts": mounts})), more).await;
    let status = deployment.resolved(id).await;
    (status.state, status.runs[0].reason_resolved, deployment.log(id).await)
}

#[tokio::test]
async fn artifacts_of_another_task_are_mounted_as_file_and_directory() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let id = producer(&deployment).await;
    let tree = json!({"taskId": id, "artifact": "public/tree.tar.gz"});
    let mounts = json!([
        {"directory": "deep/er", "content": tree, "format": "tar.gz"},
        {"file": "tree.tar.gz", "content": tree},
        {"file": "secret", "content": {"taskId": id, "artifact": "private/secret"}},
        {"file": "inline", "content": {"raw": "as it is"}},
    ]);
    let check = "set -e; cat deep/er/tree/a; ./deep/er/tree/bin/hello; tar -tzf tree.tar.gz; cat secret inline";
    let more = json!({"dependencies": [id], "scopes": ["queue:get-artifact:private/*"]});
    let (state, _, log) = consume(&deployment, check, mounts, more).await;
    assert_eq!(state, TaskState::Completed, "{log}");
    for text in ["\nmounted\n", "\nhello from the mount\n", "\ntree/bin/hello\n", "\nsecret\nas it is\n"] {
        assert!(log.contains(text), "{text} {log}");
    }
}

#[tokio::test]
async fn what_cannot_be_mounted_is_said() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let id = producer(&deployment).await;
    let file = |artifact: &str| json!([{"file": "f", "content": {"taskId": id, "artifact": artifact}}]);
    let depends = json!({"dependencies": [id]});

    let (state, reason, log) = consume(&deployment, "true", file("public/tree.tar.gz"), json!({})).await;
    assert_eq!((state, reason), (TaskState::Exception, Some(ReasonResolved::MalformedPayload)));
    assert!(
        log.contains(&format!("payload.mounts[0].content.taskId: {id} is not among the task's dependencies")),
        "{log}"
    );

    let (state, _, log) = consume(&deployment, "true", file("public/none"), depends.clone()).await;
    assert_eq!(state, TaskState::Failed);
    assert!(log.contains(&format!("payload.mounts[0]: artifact public/none of task {id}: ")), "{log}");

    let (state, _, log) = consume(&deployment, "true", file("private/secret"), depends.clone()).await;
    assert_eq!(state, TaskState::Failed, "the task has no scope for it: {log}");
    assert!(log.contains("InsufficientScopes"), "{log}");

    let wrong =
        json!([{"file": "f", "content": {"taskId": id, "artifact": "private/secret", "sha256": "0".repeat(64)}}]);
    let more = json!({"dependencies": [id], "scopes": ["queue:get-artifact:private/*"]});
    let (state, _, log) = consume(&deployment, "true", wrong, more).await;
    assert_eq!(state, TaskState::Failed);
    assert!(log.contains("has the SHA-256 "), "{log}");

    let twice = json!([{"file": "f", "content": {"raw": "1"}}, {"file": "f", "content": {"raw": "2"}}]);
    let (state, _, log) = consume(&deployment, "true", twice, json!({})).await;
    assert_eq!(state, TaskState::Failed);
    assert!(log.contains("payload.mounts[1]: something is at f already"), "{log}");
}

#[tokio::test]
async fn an_archive_that_leads_out_fails_the_task() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let make = "mkdir a && echo x > x && cd a && tar -cPf ../evil.tar ../x";
    let artifacts = json!({"artifacts": [{"type": "file", "path": "evil.tar", "name": "public/evil.tar"}]});
    let id = deployment.task(script_with(make, artifacts)).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Completed);
    let content = json!({"taskId": id, "artifact": "public/evil.tar"});
    let mounts = json!([{"directory": "d", "content": content, "format": "tar"}]);
    let (state, _, log) = consume(&deployment, "true", mounts, json!({"dependencies": [id]})).await;
    assert_eq!(state, TaskState::Failed);
    assert!(log.contains("the archive's entry \"../x\" is refused: its path leads out of the archive"), "{log}");
}

#[tokio::test]
async fn caches_outlive_their_task_and_need_a_scope() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let mounts = json!([{"directory": "checkouts", "cacheName": "lander-checkouts"}]);
    let more = json!({"scopes": ["generic-worker:cache:lander-*"]});
    let count = "echo x >> checkouts/runs; wc -l < checkouts/runs";
    for expected in ["\n1\n", "\n2\n"] {
        let (state, _, log) = consume(&deployment, count, mounts.clone(), more.clone()).await;
        assert_eq!(state, TaskState::Completed, "{log}");
        assert!(log.contains(expected), "{expected} {log}");
    }
    let (_, reason, log) = consume(&deployment, count, mounts, json!({})).await;
    assert_eq!(reason, Some(ReasonResolved::MalformedPayload));
    assert!(log.contains("the task lacks the scope generic-worker:cache:lander-checkouts"), "{log}");
}
