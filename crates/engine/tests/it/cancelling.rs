//! Cancelling requests, alone and beside others.

use std::collections::BTreeMap;

use taskgraft_engine::cancel;

use crate::graph::layered;
use crate::site::Site;

/// Each name's states.
async fn states(site: &Site, group: taskgraft_core::ids::TaskId) -> BTreeMap<String, Vec<&'static str>> {
    let group = site.group(group).await;
    let state = |task: &taskgraft_core::api::queue::TaskDefinitionAndStatus| task.status.state.as_str();
    group.into_iter().map(|(name, tasks)| (name, tasks.iter().map(state).collect())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_and_what_they_needed_stays() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 2), &[]).await;
    let report = site.machine("ann").add(decision, &["test-0-0", "test-0-1"], "R1").await.unwrap();
    let done = cancel(&site.client(), &report, false).await.unwrap();
    assert_eq!((done.cancelled.len(), done.kept.len()), (2, 0));
    let states = states(&site, decision).await;
    assert_eq!((states["test-0-0"][0], states["build-0"][0]), ("exception", "unscheduled"));
    assert_eq!(cancel(&site.client(), &report, false).await.unwrap().cancelled, [], "nothing is left to cancel");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_dependencies_only_what_nobody_else_waits_for_goes_too() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 1), &[]).await;
    let ann = site.machine("ann").add(decision, &["test-0-0", "test-1-0"], "R1").await.unwrap();
    let bob = site.machine("bob").add(decision, &["test-1-0"], "R2").await.unwrap();
    let done = cancel(&site.client(), &ann, true).await.unwrap();
    assert_eq!((done.cancelled.len(), done.kept.len()), (3, 3), "two copies and build-0; build-1 and its toolchains");
    let after = states(&site, decision).await;
    assert_eq!((after["build-0"][0], after["build-1"][0]), ("exception", "unscheduled"));
    assert_eq!(after["toolchain-a"][0], "pending");
    // Once nobody waits any more, everything goes. What Bob needed was made by Ann, so Bob's own copy is all he cancels.
    assert_eq!(cancel(&site.client(), &bob, true).await.unwrap().cancelled.len(), 1);
    assert_eq!(cancel(&site.client(), &ann, true).await.unwrap().cancelled.len(), 3);
    assert!(states(&site, decision).await.values().flatten().all(|state| *state == "exception"));
}
