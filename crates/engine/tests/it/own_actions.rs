//! The actions that the reference doesn't have, on one push.

use serde_json::json;
use taskgraft_core::plan::Policy;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::TaskState;
use taskgraft_engine::action::{self, ActionError, Keep, Terms, With};

use crate::acting::{act, action_task, ask, perform_at_most};
use crate::graph::layered;
use crate::site::{Site, counts, parameters};

#[tokio::test(flavor = "multi_thread")]
async fn only_targets_without_a_task_are_run() {
    let site = Site::start().await;
    let targets = ["build-0", "build-1", "test-0-0"];
    let scheduled = ["toolchain-a", "toolchain-b", "build-0"];
    let (decision, _) = site.push_with(&layered(2, 1), &scheduled, &targets, &parameters("3")).await;
    // Another request needs the second build, and so has made it; no list says so.
    site.machine("ann").add(decision, &["test-1-0"], "R-ann").await.unwrap();
    let before = site.group(decision).await;
    assert_eq!(counts(&before)["build-1"], 1);
    let (_, acted) = act(&site, &ask(decision, "run-missing-jobs", json!({}))).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert!(acted.says("of 3 jobs that this push was meant to run 1 have no task"), "{:#?}", acted.log);
    let group = site.group(decision).await;
    let new: Vec<_> =
        group.iter().filter(|(name, tasks)| before.get(*name).is_none_or(|old| old.len() < tasks.len())).collect();
    assert_eq!(new.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["action", "test-0-0"]);
    // Its action task still runs, so that no list tells of it.
    let (_, again) = act(&site, &ask(decision, "run-missing-jobs", json!({}))).await;
    assert!(again.says("of 3 jobs that this push was meant to run 0 have no task"), "{:#?}", again.log);
    assert_eq!(counts(&site.group(decision).await)["test-0-0"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_missing_is_nothing_to_do() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &["toolchain-a", "toolchain-b", "build-0"]).await;
    let (_, acted) = act(&site, &ask(decision, "run-missing-jobs", json!({}))).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert_eq!(counts(&site.group(decision).await)["build-0"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_jobs_that_match_are_added() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 3), &[]).await;
    let query = json!({"label": "test-*-1", "kind": "job", "tags": {"kind": "job"}, "times": 2});
    let (_, acted) = act(&site, &ask(decision, "add-matching-jobs", query)).await;
    assert_eq!(acted.report().result, Terminal::Done);
    let expected = [
        ("action", 1),
        ("build-0", 1),
        ("build-1", 1),
        ("test-0-1", 2),
        ("test-1-1", 2),
        ("toolchain-a", 1),
        ("toolchain-b", 1),
    ];
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_finds_nothing_or_too_much_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 10), &[]).await;
    let (_, acted) = act(&site, &ask(decision, "add-matching-jobs", json!({"label": "tset-0-1"}))).await;
    assert!(acted.error().contains("no job matches: label `tset-0-1` (there is `test-0-1`"), "{}", acted.error());
    let (_, acted) = act(&site, &ask(decision, "add-matching-jobs", json!({}))).await;
    assert!(acted.error().contains("label"), "a query without a condition: {}", acted.error());
    let (_, acted) = act(&site, &ask(decision, "add-matching-jobs", json!({"labels": "test-*"}))).await;
    assert!(acted.error().contains("labels"), "an unknown key: {}", acted.error());
    let own = action_task(&site, decision).await;
    let ask = ask(decision, "add-matching-jobs", json!({"label": "test-*", "times": 5}));
    let acted = perform_at_most(&site.machine("w"), own, &ask, 99).await;
    assert!(acted.error().contains("asks for 100 new tasks, and one request may create 99"), "{}", acted.error());
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("action", 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_last_is_run_once_more_and_only_once() {
    let site = Site::start().await;
    let jobs = layered(2, 2);
    let labels: Vec<&str> = jobs.iter().map(|job| job.label.as_str()).collect();
    let (decision, ran) = site.push(&jobs, &labels).await;
    for label in ["toolchain-a", "toolchain-b", "build-0", "build-1", "test-0-0"] {
        site.complete(ran[label]).await;
    }
    site.fail(ran["test-0-1"]).await;
    site.client().queue().cancel_task(ran["test-1-0"]).await.unwrap();
    // An action that failed: it is no job.
    let failed = action_task(&site, decision).await;
    site.client().queue().report_failed(failed.task, 0).await.unwrap();
    let request = ask(decision, "retrigger-failed", json!({}));
    let (own, acted) = act(&site, &request).await;
    assert_eq!(acted.report().result, Terminal::Done);
    let made: Vec<_> = acted.report().requests[0].tasks.iter().map(|task| task.label.as_str()).collect();
    assert_eq!(made, ["test-0-1", "test-1-0"]);
    let (_, again) = act(&site, &request).await;
    assert!(again.report().requests[0].tasks.is_empty(), "{again:#?}");
    // The first action ends badly: its copies will never start, and so don't count.
    site.client().queue().report_failed(own.task, 0).await.unwrap();
    let (_, third) = act(&site, &request).await;
    assert_eq!(third.report().requests[0].tasks.len(), 2);
    let group = site.group(decision).await;
    assert_eq!((counts(&group)["test-0-1"], counts(&group)["test-0-0"], counts(&group)["build-0"]), (3, 1, 1));
    assert_eq!(group["test-1-1"][0].status.state, TaskState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_knows_none_of_them() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    for name in ["add-matching-jobs", "backfill", "retrigger-failed", "run-missing-jobs"] {
        let own = action_task(&site, decision).await;
        let terms = Terms::of_task(Policy::Reference, own.task);
        let with = With { terms, keep: Keep::Run(own), out: site.dir.path().join("out") };
        let means = site.machine("w").means;
        let ask = ask(decision, name, json!({}));
        let done = action::perform(&means, &ask, &with, std::future::pending(), |_| ()).await;
        assert!(matches!(done, Err(ActionError::UnknownAction(_))), "{name}: {done:?}");
    }
}
