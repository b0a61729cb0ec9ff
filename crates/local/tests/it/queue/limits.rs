//! Bad input, and too much of it.

use serde_json::json;
use taskgraft_store::StoreError;

use super::{Place, message_of, status_of};
use crate::support::fresh_id;

#[tokio::test]
async fn a_body_over_ten_mebibytes_is_refused() {
    let place = Place::new().await;
    let id = fresh_id();
    let most = place.definition(json!({"payload": {"x": "y".repeat(10 * 1024 * 1024)}}));
    assert_eq!(status_of(place.send(id, &most).await), 413);
    assert_eq!(status_of(place.client.queue().status(id).await), 404);
    let enough = place.definition(json!({"payload": {"x": "y".repeat(10 * 1024 * 1024 - 1024)}}));
    place.send(id, &enough).await.unwrap();
}

#[tokio::test]
async fn a_nul_is_refused_with_its_place_rather_than_looking_transient() {
    let place = Place::new().await;
    let bad = place.definition(json!({"payload": {"env": {"A": "x\0y"}}}));
    let message = message_of(place.send(fresh_id(), &bad).await);
    assert!(message.contains("payload/env/A"), "{message}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_was_there() {
    let place = Place::new().await;
    let before = place.create(json!({})).await;
    let store = &place.deployment.server.ctx().store;
    let limit = |pages: &'static str| {
        store.write(move |tx| {
            Ok::<_, StoreError>(tx.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        })
    };
    // SQLite never goes below what the file has.
    limit("1").await.unwrap();
    let (id, large) = (fresh_id(), place.definition(json!({"payload": {"x": "y".repeat(1024 * 1024)}})));
    assert_eq!(status_of(place.send(id, &large).await), 507);
    assert_eq!(status_of(place.client.queue().status(id).await), 404);
    assert_eq!(place.status(before).await.task_id, before);
    limit("1000000").await.unwrap();
    place.send(id, &large).await.unwrap();
}
