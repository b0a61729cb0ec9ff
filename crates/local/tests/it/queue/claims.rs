//! Who gets what to do, and for how long.

use serde_json::json;
use taskgraft_core::state::{ReasonCreated, ReasonResolved, TaskState};
use taskgraft_local::queue::Settings;

use super::{Place, status_of};
use crate::support::QUEUE;

#[tokio::test]
async fn the_most_urgent_task_comes_first_and_then_the_one_that_waits_longest() {
    let place = Place::new().await;
    let mut ids = Vec::new();
    for priority in ["low", "highest", "lowest", "low"] {
        ids.push(place.create(json!({"priority": priority})).await);
        place.pass(1).await;
    }
    assert_eq!(place.client.queue().pending_tasks(QUEUE).await.unwrap().pending_tasks, 4);
    let mut order = Vec::new();
    for claimed in [place.claim(3).await, place.claim(3).await].concat() {
        order.push(claimed.status.task_id);
    }
    assert_eq!(order, [ids[1], ids[0], ids[3], ids[2]]);
    let counts = place.client.queue().task_queue_counts(QUEUE).await.unwrap();
    assert_eq!((counts.pending.pending_tasks, counts.claimed_tasks), (0, 4));
}

#[tokio::test]
async fn a_worker_that_waits_is_woken_by_the_task_it_waits_for() {
    let place = Place::new().await;
    let first = place.create(json!({"taskQueueId": "proj-lander/other"})).await;
    let after = json!({"dependencies": [first]});
    let id = place.create(after).await;
    let (claimed, ()) = tokio::join!(place.claim(1), async {
        place.create(json!({"taskQueueId": "proj-lander/other"})).await;
        place.complete(first).await;
    });
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].status.task_id, id);
}

#[tokio::test]
async fn a_worker_that_waits_in_vain_is_told_so() {
    let place = Place::with(Settings { long_poll: std::time::Duration::from_millis(10), ..Settings::default() }).await;
    assert!(place.claim(1).await.is_empty());
}

#[tokio::test]
async fn a_run_has_one_worker() {
    let place = Place::new().await;
    let id = place.create(json!({})).await;
    let claimed = place.claim_run(id, 0).await.unwrap();
    let again = place.claim_run(id, 0).await.unwrap();
    assert_eq!(again.status, claimed.status);
    let other = taskgraft_core::api::queue::ClaimTaskRequest { worker_group: "g".into(), worker_id: "x".into() };
    assert_eq!(status_of(place.client.queue().claim_task(id, 0, &other).await), 409);
    assert_eq!(status_of(place.claim_run(id, 1).await), 404);
}

#[tokio::test]
async fn many_workers_share_the_work_without_doing_any_of_it_twice() {
    let place = Place::with(Settings { long_poll: std::time::Duration::from_millis(10), ..Settings::default() }).await;
    let mut created = Vec::new();
    for _ in 0..40 {
        created.push(place.create(json!({})).await);
    }
    let all = futures_util::future::join_all((0..16).map(|_| place.claim(5))).await;
    let mut claimed: Vec<_> = all.into_iter().flatten().map(|claimed| claimed.status.task_id).collect();
    claimed.sort();
    created.sort();
    assert_eq!(claimed, created);
}

#[tokio::test]
async fn an_expired_claim_is_retried_until_no_retry_is_left() {
    let place = Place::new().await;
    let id = place.create(json!({"retries": 1, "deadline": place.later(7200)})).await;
    let lost = place.claim_run(id, 0).await.unwrap();
    place.pass(1199).await;
    assert_eq!(place.status(id).await.state, TaskState::Running);
    place.pass(1).await;
    let status = place.status(id).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::ClaimExpired));
    assert_eq!(status.runs[1].reason_created, ReasonCreated::Retry);
    assert_eq!((status.state, status.retries_left), (TaskState::Pending, 0));
    // Its credentials have the slack that clocks need, but the run is over.
    let run = place.as_run(&lost.credentials);
    assert_eq!(status_of(run.queue().report_completed(id, 0).await), 409);
    place.claim_run(id, 1).await.unwrap();
    place.pass(1200).await;
    let status = place.status(id).await;
    assert_eq!((status.state, status.runs.len()), (TaskState::Exception, 2));
}
