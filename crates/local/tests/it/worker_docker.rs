//! docker-worker payloads, with an engine that is a script, and with none.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use taskgraft_core::state::{ReasonResolved, TaskState};

use crate::support::Deployment;

fn payload(changes: Value) -> Value {
    let mut payload = json!({"image": "debian:12", "command": ["make", "all"], "maxRunTime": 60});
    for (key, value) in changes.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

#[tokio::test]
async fn without_an_engine_the_task_fails_and_says_so() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker_with(|config| config.container_engines = vec!["no-such-engine".into()]).await;
    let id = deployment.task(payload(json!({}))).await;
    let status = deployment.resolved(id).await;
    assert_eq!((status.state, status.runs[0].reason_resolved), (TaskState::Failed, Some(ReasonResolved::Failed)));
    let log = deployment.log(id).await;
    assert!(log.contains("neither docker nor podman works on this machine"), "{log}");
}

#[tokio::test]
async fn root_on_this_machine_needs_a_scope_even_in_a_container() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker_with(|config| config.container_engines = vec!["true".into()]).await;
    for (changes, scope) in [
        (json!({"capabilities": {"privileged": true}}), "docker-worker:capability:privileged"),
        (json!({"cache": {"lander": "/builds"}}), "docker-worker:cache:lander"),
    ] {
        let id = deployment.task(payload(changes.clone())).await;
        let status = deployment.resolved(id).await;
        assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::MalformedPayload));
        let log = deployment.log(id).await;
        assert!(log.contains(&format!("the task lacks the scope {scope}")), "{log}");
        let id = deployment.task_with(payload(changes), json!({"scopes": [scope]})).await;
        assert_eq!(deployment.resolved(id).await.state, TaskState::Completed);
    }
}

/// An engine that prints how it was called, and has the file `/out/a` in every container.
const ENGINE: &str = r#"#!/bin/sh
case "$1" in
info) exit 0 ;;
run) shift; for word; do echo "arg $word"; case "$word" in --env=CODE=*) exit "${word#--env=CODE=}" ;; esac; done ;;
cp) case "$2" in */out/a) echo made > "$3" ;; *) echo "no such path" >&2; exit 1 ;; esac ;;
rm) echo "$3" >> "$(dirname "$0")/removed" ;;
*) exit 1 ;;
esac
"#;

#[tokio::test]
async fn an_engine_runs_the_command_and_gives_up_its_artifacts() {
    let deployment = Deployment::start().await;
    let engine = deployment.directory.path().join("engine");
    std::fs::write(&engine, ENGINE).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _worker = deployment.worker_with(|config| config.container_engines = vec![engine]).await;

    let artifacts = json!({"public/a.txt": {"type": "file", "path": "/out/a"}});
    let id = deployment.task(payload(json!({"artifacts": artifacts, "env": {"A": "b c"}}))).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Completed);
    assert_eq!(deployment.artifact(id, "public/a.txt").await.unwrap(), "made\n");
    let log = deployment.log(id).await;
    let arguments: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("arg ")).collect();
    assert!(arguments.contains(&"--env=A=b c") && arguments.contains(&&*format!("--env=TASK_ID={id}")), "{log}");
    assert_eq!(arguments[arguments.len() - 3..], ["debian:12", "make", "all"]);
    let removed = crate::support::line_in(&deployment.directory.path().join("removed")).await;
    assert_eq!(removed, format!("taskgraft-{id}-0"));

    let missing = json!({"public/b": {"type": "file", "path": "/out/b"}});
    let id = deployment.task(payload(json!({"artifacts": missing}))).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Failed);
    let log = deployment.log(id).await;
    assert!(log.contains("artifact public/b: there is nothing to be had at /out/b"), "{log}");

    let id = deployment.task(payload(json!({"env": {"CODE": "4"}, "onExitStatus": {"retry": [4]}}))).await;
    let status = deployment.wait(id, |status| status.runs[0].reason_resolved.is_some()).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::IntermittentTask));
}
