//! The life of a task.

use serde_json::json;
use taskgraft_core::api::queue::Priority;
use taskgraft_core::state::{ExceptionReason, ReasonCreated, ReasonResolved, TaskState};

use super::{Place, status_of};

#[tokio::test]
async fn a_task_runs_to_green() {
    let place = Place::new().await;
    let id = place.create(json!({"scopes": ["test:a"]})).await;
    let definition = place.client.queue().task(id).await.unwrap();
    assert_eq!((definition.task_group_id, definition.retries, definition.priority), (id, 5, Priority::Lowest));
    assert_eq!((definition.provisioner_id.as_str(), definition.worker_type.as_str()), ("proj-lander", "b-linux"));
    assert_eq!(place.status(id).await.state, TaskState::Pending);

    let claimed = place.claim(1).await.pop().unwrap();
    assert_eq!((claimed.status.task_id, claimed.run_id, claimed.status.state), (id, 0, TaskState::Running));
    assert_eq!(claimed.taken_until.to_string(), place.later(1200));
    assert!(claimed.credentials.client_id.starts_with(&format!("task-client/{id}/0/on/g/w/until/")));

    let run = place.as_run(&claimed.credentials);
    let mut scopes = run.auth().current_scopes().await.unwrap();
    scopes.retain(|scope| scope.contains(id.as_str()) || scope.starts_with("test:"));
    scopes.sort();
    let own = ["create-artifact", "reclaim-task", "resolve-task"].map(|verb| format!("queue:{verb}:{id}/0"));
    assert_eq!(scopes, [&own[..], &["test:a".to_owned()]].concat());

    place.pass(600).await;
    let kept = run.queue().reclaim_task(id, 0).await.unwrap();
    assert_eq!(kept.taken_until.to_string(), place.later(1200));
    place.pass(900).await;
    let run = place.as_run(&kept.credentials);
    let done = run.queue().report_completed(id, 0).await.unwrap();
    assert_eq!(done.state, TaskState::Completed);
    assert_eq!(run.queue().report_completed(id, 0).await.unwrap(), done);
    assert_eq!(status_of(run.queue().report_failed(id, 0).await), 409);
    assert_eq!(place.status(id).await, done);
}

#[tokio::test]
async fn a_run_speaks_for_itself_only() {
    let place = Place::new().await;
    let (one, other) = (place.create(json!({})).await, place.create(json!({})).await);
    let claimed = place.claim_run(one, 0).await.unwrap();
    place.claim_run(other, 0).await.unwrap();
    let run = place.as_run(&claimed.credentials);
    assert_eq!(status_of(run.queue().report_completed(other, 0).await), 403);
    assert_eq!(status_of(run.queue().cancel_task(other).await), 403);
    assert_eq!(place.status(other).await.state, TaskState::Running);
}

#[tokio::test]
async fn a_task_can_be_run_again_and_cancelled() {
    let place = Place::new().await;
    let id = place.create(json!({"retries": 2})).await;
    place.fail(id).await;
    let again = place.client.queue().rerun_task(id).await.unwrap();
    assert_eq!((again.state, again.retries_left, again.runs.len()), (TaskState::Pending, 2, 2));
    assert_eq!(again.runs[1].reason_created, ReasonCreated::Rerun);
    assert_eq!(place.client.queue().rerun_task(id).await.unwrap(), again);
    assert_eq!(place.client.queue().schedule_task(id).await.unwrap(), again);
    let over = place.client.queue().cancel_task(id).await.unwrap();
    assert_eq!(over.runs[1].reason_resolved, Some(ReasonResolved::Canceled));
    assert_eq!(place.client.queue().cancel_task(id).await.unwrap(), over);
    assert_eq!(status_of(place.claim_run(id, 1).await), 409);
}

#[tokio::test]
async fn a_worker_that_goes_away_costs_a_retry_and_a_bad_payload_none() {
    let place = Place::new().await;
    let id = place.create(json!({"retries": 1})).await;
    place.claim_run(id, 0).await.unwrap();
    let retried = place.client.queue().report_exception(id, 0, ExceptionReason::WorkerShutdown).await.unwrap();
    assert_eq!((retried.state, retried.retries_left), (TaskState::Pending, 0));
    assert_eq!(retried.runs[1].reason_created, ReasonCreated::Retry);
    place.claim_run(id, 1).await.unwrap();
    let over = place.client.queue().report_exception(id, 1, ExceptionReason::MalformedPayload).await.unwrap();
    assert_eq!((over.state, over.runs.len()), (TaskState::Exception, 2));
}

#[tokio::test]
async fn nothing_outlives_its_deadline() {
    let place = Place::new().await;
    let pending = place.create(json!({})).await;
    let running = place.create(json!({})).await;
    let waiting = place.create(json!({"dependencies": [pending]})).await;
    let indifferent = json!({"dependencies": [running], "requires": "all-resolved", "deadline": place.later(7200)});
    let indifferent = place.create(indifferent).await;
    place.pass(3000).await;
    place.claim_run(running, 0).await.unwrap();
    place.pass(601).await;
    for (id, created) in
        [(pending, ReasonCreated::Scheduled), (running, ReasonCreated::Scheduled), (waiting, ReasonCreated::Exception)]
    {
        let status = place.status(id).await;
        let run = status.runs.last().unwrap();
        assert_eq!((run.reason_created, run.reason_resolved), (created, Some(ReasonResolved::DeadlineExceeded)));
    }
    assert_eq!(place.status(indifferent).await.state, TaskState::Pending);
    assert_eq!(status_of(place.client.queue().rerun_task(pending).await), 409);
    assert_eq!(status_of(place.client.queue().cancel_task(waiting).await), 409);
}

#[tokio::test]
async fn what_has_expired_is_forgotten() {
    let place = Place::new().await;
    let ctx = place.deployment.server.ctx();
    let (short, long) = (place.create(json!({})).await, place.create(json!({"expires": place.later(900_000)})).await);
    place.pass(86_401).await;
    taskgraft_local::queue::jobs::purge(ctx).await.unwrap();
    assert_eq!(status_of(place.client.queue().status(short).await), 404);
    assert_eq!(place.status(long).await.state, TaskState::Exception);
    // A group is kept an hour longer than its tasks.
    assert!(place.client.queue().get_task_group(short).await.is_ok());
    place.pass(3600).await;
    taskgraft_local::queue::jobs::purge(ctx).await.unwrap();
    assert_eq!(status_of(place.client.queue().get_task_group(short).await), 404);
    assert!(place.client.queue().get_task_group(long).await.is_ok());
}
