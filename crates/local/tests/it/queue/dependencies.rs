//! What waits for what.

use futures_util::TryStreamExt as _;
use serde_json::json;
use taskgraft_core::api::queue::{TaskDefinition, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState::{Completed, Exception, Pending, Unscheduled};

use super::{Place, message_of, status_of};
use crate::support::fresh_id;

#[tokio::test]
async fn a_task_starts_when_its_last_dependency_completes() {
    let place = Place::new().await;
    let (a, b) = (place.create(json!({})).await, place.create(json!({})).await);
    let c = place.create(json!({"dependencies": [a, b]})).await;
    let d = place.create(json!({"dependencies": [c]})).await;
    assert_eq!(place.status(c).await.state, Unscheduled);
    place.complete(a).await;
    assert_eq!(place.status(c).await.state, Unscheduled);
    // The answer to the report comes after the dependents became pending.
    place.complete(b).await;
    assert_eq!(place.status(c).await.state, Pending);
    assert_eq!(place.status(d).await.state, Unscheduled);
    let dependents = place.client.queue().list_dependent_tasks(a).await.unwrap();
    assert_eq!(dependents.iter().map(|task| task.status.task_id).collect::<Vec<_>>(), [c]);
}

#[tokio::test]
async fn dependencies_that_are_over_already_count_at_once() {
    let place = Place::new().await;
    let (good, bad) = (place.create(json!({})).await, place.create(json!({})).await);
    place.complete(good).await;
    place.fail(bad).await;
    for (dependencies, requires, state) in [
        (vec![good], "all-completed", Pending),
        (vec![bad], "all-completed", Unscheduled),
        (vec![bad, good], "all-completed", Unscheduled),
        (vec![bad, good], "all-resolved", Pending),
    ] {
        let id = place.create(json!({"dependencies": dependencies, "requires": requires})).await;
        assert_eq!(place.status(id).await.state, state, "{requires}");
    }
}

#[tokio::test]
async fn a_failed_dependency_that_is_rerun_to_green_releases_who_waits() {
    let place = Place::new().await;
    let bad = place.create(json!({})).await;
    let waits = place.create(json!({"dependencies": [bad]})).await;
    let indifferent = place.create(json!({"dependencies": [bad], "requires": "all-resolved"})).await;
    place.fail(bad).await;
    assert_eq!(place.status(waits).await.state, Unscheduled);
    assert_eq!(place.status(indifferent).await.state, Pending);
    place.client.queue().rerun_task(bad).await.unwrap();
    place.claim_run(bad, 1).await.unwrap();
    place.client.queue().report_completed(bad, 1).await.unwrap();
    assert_eq!(place.status(waits).await.state, Pending);
    // Completing once more changes nothing.
    place.client.queue().rerun_task(bad).await.unwrap();
    place.claim_run(bad, 2).await.unwrap();
    place.client.queue().report_completed(bad, 2).await.unwrap();
    assert_eq!(place.status(waits).await.runs.len(), 1);
}

#[tokio::test]
async fn a_cancelled_dependency_is_resolved_but_not_completed() {
    let place = Place::new().await;
    let a = place.create(json!({})).await;
    let b = place.create(json!({"dependencies": [a]})).await;
    let c = place.create(json!({"dependencies": [b], "requires": "all-resolved"})).await;
    place.client.queue().cancel_task(a).await.unwrap();
    assert_eq!(place.status(b).await.state, Unscheduled);
    place.client.queue().cancel_task(b).await.unwrap();
    assert_eq!(place.status(b).await.state, Exception);
    assert_eq!(place.status(c).await.state, Pending);
}

#[tokio::test]
async fn scheduling_by_hand_asks_no_dependency() {
    let place = Place::new().await;
    let id = fresh_id();
    let status = place.send(id, &place.definition(json!({"dependencies": [id]}))).await.unwrap();
    assert_eq!(status.state, Unscheduled);
    assert_eq!(place.client.queue().schedule_task(id).await.unwrap().state, Pending);
    place.complete(id).await;
    assert_eq!(place.status(id).await.state, Completed);
}

#[tokio::test]
async fn a_dependency_must_outlive_the_deadline() {
    let place = Place::new().await;
    let short = place.create(json!({})).await;
    let late = json!({"dependencies": [short], "deadline": place.later(90_000), "expires": place.later(200_000)});
    let message = message_of(place.send(fresh_id(), &place.definition(late)).await);
    assert!(message.contains("expires") && message.contains(short.as_str()), "{message}");
}

#[tokio::test]
async fn a_group_is_listed_in_pages_and_many_tasks_in_one_call() {
    let place = Place::new().await;
    let group = place.create(json!({})).await;
    let mut ids = vec![group];
    for _ in 0..6 {
        ids.push(place.create(json!({"taskGroupId": group})).await);
    }
    let pages: Vec<_> = place.client.queue().list_task_group(group, 3).try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.tasks.len()).collect::<Vec<_>>(), [3, 3, 1]);
    let listed: Vec<TaskId> = pages.iter().flat_map(|page| &page.tasks).map(|task| task.status.task_id).collect();
    assert_eq!(listed, ids);
    assert_eq!(status_of(place.client.queue().get_task_group(fresh_id()).await), 404);

    ids.push(fresh_id());
    let statuses = place.client.queue().statuses::<TaskStatus>(&ids).await.unwrap();
    assert_eq!(statuses.len(), 7);
    let tasks = place.client.queue().tasks::<TaskDefinition>(&ids).await.unwrap();
    assert!(ids[..7].iter().all(|id| tasks[id].task_group_id == group));
}
