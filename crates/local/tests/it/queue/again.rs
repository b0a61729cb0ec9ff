//! Creating a task twice, and creating half a task.

use serde_json::{Value, json};
use taskgraft_core::state::TaskState;
use taskgraft_local::queue::Settings;

use super::{Place, message_of, status_of};
use crate::support::{QUEUE, fresh_id};

#[tokio::test]
async fn the_same_definition_again_answers_the_current_status() {
    let place = Place::new().await;
    let (id, definition) = (fresh_id(), place.definition(json!({"payload": {"n": 2, "m": [1.5]}})));
    let created = place.send(id, &definition).await.unwrap();
    assert_eq!(place.send(id, &definition).await.unwrap(), created);
    for respelled in [
        json!({"taskQueueId": null, "provisionerId": "proj-lander", "workerType": "b-linux"}),
        json!({"priority": "lowest", "retries": 5, "requires": "all-completed", "projectId": "none", "extra": {}}),
        json!({"created": place.later(0).replace('Z', "+00:00"), "payload": {"m": [1.5], "n": 2.0}}),
    ] {
        let mut other = definition.clone();
        for (key, value) in respelled.as_object().unwrap() {
            if value.is_null() {
                other.as_object_mut().unwrap().remove(key);
            } else {
                other[key] = value.clone();
            }
        }
        assert_eq!(place.send(id, &other).await.unwrap(), created, "{respelled}");
    }
    place.claim_run(id, 0).await.unwrap();
    assert_eq!(place.send(id, &definition).await.unwrap().state, TaskState::Running);
    place.client.queue().report_completed(id, 0).await.unwrap();
    assert_eq!(place.send(id, &definition).await.unwrap().state, TaskState::Completed);
}

#[tokio::test]
async fn another_definition_is_a_conflict_and_changes_nothing() {
    let place = Place::new().await;
    let (a, b) = (place.create(json!({})).await, place.create(json!({})).await);
    let (id, definition) = (fresh_id(), place.definition(json!({"dependencies": [a, b], "scopes": ["x", "y"]})));
    place.send(id, &definition).await.unwrap();
    let stored = place.client.queue().task(id).await.unwrap();
    for changes in [
        json!({"payload": {"a": 2}}),
        json!({"priority": "low"}),
        json!({"created": place.later(1)}),
        json!({"scopes": ["y", "x"]}),
        json!({"dependencies": [b, a]}),
    ] {
        let mut other = definition.clone();
        other.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let message = message_of(place.send(id, &other).await);
        assert!(message.contains("already used by another task"), "{changes}: {message}");
    }
    assert_eq!(place.client.queue().task(id).await.unwrap(), stored);
}

#[tokio::test]
async fn a_definition_grows_too_old_to_be_sent_again() {
    let place = Place::new().await;
    let (id, definition) = (fresh_id(), place.definition(json!({})));
    place.send(id, &definition).await.unwrap();
    place.pass(15 * 60).await;
    place.send(id, &definition).await.unwrap();
    place.pass(1).await;
    assert_eq!(status_of(place.send(id, &definition).await), 400);
}

#[tokio::test]
async fn a_group_has_one_scheduler_and_can_be_sealed() {
    let place = Place::new().await;
    let group = place.create(json!({})).await;
    let other = place.definition(json!({"taskGroupId": group, "schedulerId": "other"}));
    assert!(message_of(place.send(fresh_id(), &other).await).contains("schedulerId other"));
    assert_eq!(status_of(place.client.queue().cancel_task_group(group).await), 409);
    let member = place.create(json!({"taskGroupId": group})).await;
    let sealed = place.client.queue().seal_task_group(group).await.unwrap();
    place.pass(5).await;
    assert_eq!(place.client.queue().seal_task_group(group).await.unwrap(), sealed);
    let (id, late) = (fresh_id(), place.definition(json!({"taskGroupId": group})));
    assert!(message_of(place.send(id, &late).await).contains("is sealed"));
    assert_eq!(status_of(place.client.queue().status(id).await), 404);
    let cancelled = place.client.queue().cancel_task_group(group).await.unwrap();
    assert_eq!((cancelled.task_group_size, cancelled.cancelled_count), (2, 2));
    assert_eq!(cancelled.task_ids, [group, member]);
    assert_eq!(place.client.queue().cancel_task_group(group).await.unwrap().cancelled_count, 0);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let place = Place::new().await;
    let (id, missing) = (fresh_id(), fresh_id());
    let message = message_of(place.send(id, &place.definition(json!({"dependencies": [missing]}))).await);
    assert!(message.contains(missing.as_str()), "{message}");
    assert_eq!(status_of(place.client.queue().status(id).await), 404);
    assert_eq!(status_of(place.client.queue().get_task_group(id).await), 404);
    place.send(id, &place.definition(json!({}))).await.unwrap();
}

#[tokio::test]
async fn half_a_task_waits_for_good_until_it_is_sent_again() {
    let place = Place::with(Settings { break_creates_every: 1, ..Settings::default() }).await;
    let done = place.create(json!({})).await;
    place.complete(done).await;
    let (id, definition) = (fresh_id(), place.definition(json!({"dependencies": [done]})));
    assert_eq!(status_of(place.send(id, &definition).await), 500);
    place.pass(60).await;
    assert_eq!(place.status(id).await.state, TaskState::Unscheduled);
    let stored: Value = place.client.queue().task_as(id).await.unwrap();
    assert_eq!(place.send(id, &stored).await.unwrap().state, TaskState::Pending);
    assert_eq!(place.client.queue().pending_tasks(QUEUE).await.unwrap().pending_tasks, 1);
}
