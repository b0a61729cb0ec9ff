//! The process worker against the embedded queue.

use std::time::Duration;

use serde_json::json;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, TaskState};
use taskgraft_local::worker::{Config, Running, StartError, Worker};

use crate::support::{Deployment, QUEUE, line_in, process_gone, script, script_with};

fn reason(status: &taskgraft_core::api::queue::TaskStatus) -> ReasonResolved {
    status.runs.last().unwrap().reason_resolved.unwrap()
}

#[tokio::test]
async fn a_green_task_leaves_its_log_and_its_artifacts() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let make = "mkdir -p out/sub && echo one > out/1.txt && echo two > out/sub/2.json && echo hello > single && \
                env | sort && pwd";
    let id = deployment
        .task(script_with(
            make,
            json!({
                "env": {"GREETING": "good day", "TASK_ID": "not this"},
                "artifacts": [
                    {"type": "directory", "path": "out", "name": "public/build"},
                    {"type": "file", "path": "single", "name": "public/single", "contentType": "text/x-greeting"},
                    {"type": "file", "path": "perhaps", "name": "public/perhaps", "optional": true},
                ],
            }),
        ))
        .await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Completed);
    assert_eq!(deployment.artifact(id, "public/build/1.txt").await.unwrap(), "one\n");
    assert_eq!(deployment.artifact(id, "public/build/sub/2.json").await.unwrap(), "two\n");
    let artifacts = deployment.client.queue().list_artifacts(id, None).await.unwrap();
    let listed: Vec<_> = artifacts.iter().map(|artifact| (&*artifact.name, &*artifact.content_type)).collect();
    let text = "text/plain; charset=utf-8";
    assert_eq!(
        listed,
        [
            ("public/build/1.txt", text),
            ("public/build/sub/2.json", "application/json"),
            ("public/logs/live.log", text),
            ("public/logs/live_backing.log", text),
            ("public/single", "text/x-greeting"),
        ]
    );

    let log = deployment.artifact(id, "public/logs/live.log").await.unwrap();
    assert_eq!(log, deployment.artifact(id, "public/logs/live_backing.log").await.unwrap());
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("[taskcluster ") && lines[0].contains(&format!("Task {id} run 0: t")), "{log}");
    assert!(lines.last().unwrap().contains("] Task completed after "), "{log}");
    assert!(lines.contains(&"GREETING=good day") && lines.contains(&&*format!("TASK_ID={id}")), "{log}");
    assert!(lines.contains(&"RUN_ID=0"), "{log}");
    assert!(!log.contains("CARGO") && !log.contains("ACCESS_TOKEN"), "the worker's environment leaks: {log}");
    assert!(!log.contains("TASKCLUSTER_PROXY_URL"), "no proxy was asked for: {log}");
}

#[tokio::test]
async fn the_first_command_that_fails_ends_the_task_and_artifacts_are_kept() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let id = deployment
        .task(json!({
            "command": [["sh", "-c", "echo partial > report"], ["sh", "-c", "exit 7"], ["sh", "-c", "echo never"]],
            "maxRunTime": 60,
            "artifacts": [{"type": "file", "path": "report", "name": "public/report"}],
        }))
        .await;
    let status = deployment.resolved(id).await;
    assert_eq!((status.state, reason(&status)), (TaskState::Failed, ReasonResolved::Failed));
    assert_eq!(deployment.artifact(id, "public/report").await.unwrap(), "partial\n");
    let log = deployment.log(id).await;
    assert!(log.contains("Task failed: exit code 7 after") && !log.contains("\nnever"), "{log}");
}

#[tokio::test]
async fn a_missing_artifact_fails_the_task_and_says_which() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let artifacts = json!({"artifacts": [
        {"type": "file", "path": "out/firefly.tar", "name": "public/firefly.tar"},
        {"type": "file", "path": "link", "name": "public/link"},
    ]});
    let id = deployment.task(script_with("ln -s /etc/passwd link", artifacts)).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Failed);
    let log = deployment.log(id).await;
    assert!(log.contains("artifact public/firefly.tar: there is nothing at out/firefly.tar"), "{log}");
    assert!(log.contains("artifact public/link: link leads out of the task's directory"), "{log}");
    let error = deployment.artifact(id, "public/firefly.tar").await.unwrap_err();
    assert!(matches!(error, taskgraft_client::Error::Rejected { status: 424, .. }), "{error}");
}

#[tokio::test]
async fn the_log_can_be_read_while_the_task_runs() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let gate = deployment.directory.path().join("gate");
    let wait = format!("echo before; while ! test -e '{}'; do sleep 0.02; done; echo after", gate.display());
    let id = deployment.task(script(&wait)).await;
    deployment.wait(id, |status| status.state == TaskState::Running).await;
    let location = loop {
        match deployment.client.queue().artifact(id, None, "public/logs/live.log").await {
            Ok(location) => break location,
            Err(error) => assert!(error.is_not_found(), "{error}"),
        }
    };
    let mut response = reqwest::get(&location.url).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("\nbefore\n") {
        seen.push_str(std::str::from_utf8(&response.chunk().await.unwrap().expect("the log ended early")).unwrap());
    }
    assert!(!seen.contains("\nafter\n"));
    assert_eq!(deployment.client.queue().status(id).await.unwrap().state, TaskState::Running);
    std::fs::write(&gate, "").unwrap();
    while let Some(chunk) = response.chunk().await.unwrap() {
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(seen.contains("\nafter\n") && seen.contains("Task completed"), "{seen}");
    deployment.resolved(id).await;
    assert_eq!(deployment.artifact(id, "public/logs/live.log").await.unwrap(), seen);
}

#[tokio::test]
async fn cancelling_kills_every_process_of_the_task() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let file = |name: &str| deployment.directory.path().join(name);
    let (child, daemon) = (file("child"), file("daemon"));
    // One in the group that ignores signals, one that left the group.
    let text = format!(
        "trap '' TERM INT HUP; setsid sh -c 'echo $$ > {}; exec sleep 1000' & sleep 1000 & echo $! > {}; wait",
        daemon.display(),
        child.display()
    );
    let id = deployment.task(script(&text)).await;
    let pids = [line_in(&child).await, line_in(&daemon).await];
    deployment.client.queue().cancel_task(id).await.unwrap();
    for pid in &pids {
        process_gone(pid).await;
    }
    let status = deployment.resolved(id).await;
    assert_eq!((status.state, reason(&status)), (TaskState::Exception, ReasonResolved::Canceled));
    let log = deployment.log(id).await;
    assert!(log.contains("Task aborted: the run was resolved meanwhile: canceled"), "{log}");
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_killed_and_fails() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let id = deployment.task(script_with("echo up; sleep 1000", json!({"maxRunTime": 1}))).await;
    let status = deployment.resolved(id).await;
    assert_eq!((status.state, reason(&status)), (TaskState::Failed, ReasonResolved::Failed));
    let log = deployment.log(id).await;
    assert!(log.contains("\nup\n") && log.contains("it ran longer than payload.maxRunTime, 1 s"), "{log}");
}

#[tokio::test]
async fn an_exit_code_that_asks_for_it_is_retried() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let retry = json!({"onExitStatus": {"retry": [9]}});
    let id = deployment.task(script_with("test \"$RUN_ID\" = 1 || exit 9", retry)).await;
    let status = deployment.wait(id, |status| status.state == TaskState::Completed).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::IntermittentTask));
    assert_eq!(status.runs.len(), 2);
}

#[tokio::test]
async fn malformed_payloads_are_exceptions_that_name_the_place() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    for (payload, message) in [
        (json!({"command": ["ls"], "maxRunTime": 60}), "payload.command[0]: invalid type: string \"ls\""),
        (json!({"command": [["ls"]]}), "payload: missing field `maxRunTime`"),
        (
            script_with("true", json!({"artifacts": [{"type": "file", "path": "../../secret", "name": "public/s"}]})),
            "payload.artifacts[0].path: \"../../secret\" is not a path inside the task's directory",
        ),
        (
            script_with(
                "true",
                json!({"artifacts": [
                    {"type": "file", "path": "x", "name": "public/x", "expires": "2999-01-01T00:00:00Z"},
                ]}),
            ),
            "payload.artifacts[0].expires: 2999-01-01T00:00:00.000Z is after the task expires",
        ),
    ] {
        let id = deployment.task(payload).await;
        let status = deployment.resolved(id).await;
        assert_eq!((status.state, reason(&status)), (TaskState::Exception, ReasonResolved::MalformedPayload));
        let log = deployment.log(id).await;
        assert!(log.contains(&format!("Task exception (malformed-payload): {message}")), "{log}");
    }
}

#[tokio::test]
async fn two_tasks_run_at_once_where_there_is_room_for_two() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker_with(|config| config.capacity = 2).await;
    let place = deployment.directory.path().display().to_string();
    // Each waits for the other: neither ends unless both run.
    let meet = |mine: &str, other: &str| {
        script(&format!("touch '{place}/{mine}'; while ! test -e '{place}/{other}'; do sleep 0.02; done"))
    };
    let (a, b) = (deployment.task(meet("a", "b")).await, deployment.task(meet("b", "a")).await);
    assert_eq!(deployment.resolved(a).await.state, TaskState::Completed);
    assert_eq!(deployment.resolved(b).await.state, TaskState::Completed);
}

#[tokio::test]
async fn no_more_run_than_there_is_room_for_whatever_their_queues() {
    let deployment = Deployment::start().await;
    let queues = [QUEUE, "proj-lander/t-linux", "proj-lander/images"].map(str::to_owned);
    let _worker = deployment.worker_with(|config| config.task_queue_ids = queues.to_vec()).await;
    let lock = deployment.directory.path().join("lock").display().to_string();
    let mut ids = Vec::new();
    for n in 0..6 {
        let alone = script(&format!("mkdir '{lock}' || exit 9; sleep 0.1; rmdir '{lock}'"));
        ids.push(deployment.task_with(alone, json!({"taskQueueId": queues[n % 3]})).await);
    }
    for id in ids {
        assert_eq!(deployment.resolved(id).await.state, TaskState::Completed, "two ran at once");
    }
}

#[tokio::test]
async fn long_tasks_keep_their_claim() {
    let deployment =
        Deployment::start_with(|config| config.queue.claim_lasts = jiff::SignedDuration::from_secs(4)).await;
    let _worker = deployment.worker().await;
    let id = deployment.task(script("sleep 6")).await;
    let status = deployment.resolved(id).await;
    assert_eq!((status.state, status.runs.len()), (TaskState::Completed, 1), "{status:?}");
}

/// A worker in the directory of one that was dropped: it is free once that one is gone.
async fn next_worker(deployment: &Deployment) -> Running {
    loop {
        let work_dir = deployment.directory.path().join("work");
        let config = Config::new(deployment.client.clone(), vec![QUEUE.to_owned()], work_dir);
        match Worker::start(config).await {
            Ok(worker) => return worker,
            Err(StartError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A task that runs, and its process; `then` is what its script goes on to do.
async fn begun(deployment: &Deployment, then: &str) -> (TaskId, String) {
    let pid = deployment.directory.path().join("pid");
    let id = deployment.task(script(&format!("echo $$ > {}; {then}", pid.display()))).await;
    (id, line_in(&pid).await)
}

#[tokio::test]
async fn a_worker_that_was_killed_hands_its_runs_back_when_it_starts_again() {
    // Claims hold for twenty minutes: without that nothing would happen for as long.
    let deployment = Deployment::start().await;
    let first = deployment.worker().await;
    let (id, process) = begun(&deployment, "test $RUN_ID != 0 || sleep 1000").await;
    drop(first);
    process_gone(&process).await;
    let _second = next_worker(&deployment).await;
    let status = deployment.wait(id, |status| status.state == TaskState::Completed).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::WorkerShutdown));
}

#[tokio::test]
async fn a_run_whose_worker_died_is_run_again() {
    let deployment =
        Deployment::start_with(|config| config.queue.claim_lasts = jiff::SignedDuration::from_secs(2)).await;
    let first = deployment.worker().await;
    let (id, process) = begun(&deployment, "test $RUN_ID != 0 || sleep 1000").await;
    drop(first);
    process_gone(&process).await;
    deployment.wait(id, |status| status.runs.len() == 2).await;
    let _second = next_worker(&deployment).await;
    let status = deployment.wait(id, |status| status.state == TaskState::Completed).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::ClaimExpired));
}

#[tokio::test]
async fn a_worker_that_shuts_down_hands_its_tasks_back() {
    let deployment = Deployment::start().await;
    let worker = deployment.worker().await;
    let (id, process) = begun(&deployment, "sleep 1000").await;
    worker.shutdown(Duration::ZERO).await;
    process_gone(&process).await;
    let status = deployment.client.queue().status(id).await.unwrap();
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::WorkerShutdown));
    assert_eq!((status.state, status.runs.len()), (TaskState::Pending, 2));
}

#[tokio::test]
async fn what_a_killed_worker_left_is_cleared_by_the_next() {
    let deployment = Deployment::start().await;
    let left = deployment.directory.path().canonicalize().unwrap().join("work/tasks/some-task-0");
    std::fs::create_dir_all(left.join("task")).unwrap();
    let mut orphan =
        std::process::Command::new("sleep").arg("1000").env("TASK_WORKDIR", left.join("task")).spawn().unwrap();
    let _worker = deployment.worker().await;
    assert!(!orphan.wait().unwrap().success());
    assert!(!left.exists());
}

#[tokio::test]
async fn built_in_queues_resolve_their_tasks() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let task = async |queue: &str, payload| {
        let id = deployment.task_with(payload, json!({"taskQueueId": queue})).await;
        deployment.resolved(id).await.state
    };
    assert_eq!(task("built-in/succeed", json!({})).await, TaskState::Completed);
    assert_eq!(task("built-in/fail", json!({})).await, TaskState::Failed);
    assert_eq!(task("built-in/succeed", json!({"command": []})).await, TaskState::Exception);
}

#[tokio::test]
async fn the_proxy_signs_with_the_tasks_scopes_and_no_others() {
    let deployment = Deployment::start().await;
    let _worker = deployment.worker().await;
    let ask = "import json, os, urllib.request, urllib.error\n\
               def call(path, body=None):\n    \
                   data = None if body is None else json.dumps(body).encode()\n    \
                   try:\n        \
                       return urllib.request.urlopen(urllib.request.Request(os.environ['TASKCLUSTER_PROXY_URL'] + path, data, {'Content-Type': 'application/json'}, method='POST' if data else 'GET')).read().decode()\n    \
                   except urllib.error.HTTPError as error:\n        \
                       return str(error.code)\n\
               print('scopes', call('/api/auth/v1/scopes/current'))\n\
               print('claim', call('/api/queue/v1/claim-work/a/b', {'workerGroup': 'g', 'workerId': 'w'}))\n\
               print('anonymous', urllib.request.urlopen(os.environ['TASKCLUSTER_ROOT_URL'] + '/api/auth/v1/scopes/current').read().decode())\n";
    let payload = json!({
        "command": [["python3", "-c", ask]], "maxRunTime": 60, "features": {"taskclusterProxy": true},
    });
    let id = deployment.task_with(payload, json!({"scopes": ["secrets:get:lander/*"]})).await;
    let state = deployment.resolved(id).await.state;
    let log = deployment.log(id).await;
    assert_eq!(state, TaskState::Completed, "{log}");
    let line = |start: &str| log.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    assert!(line("scopes").contains("secrets:get:lander/*"), "{log}");
    assert!(line("scopes").contains(&format!("queue:resolve-task:{id}/0")), "{log}");
    assert_eq!(line("claim"), "claim 403", "{log}");
    assert!(!line("anonymous").contains("secrets:get"), "{log}");
}
