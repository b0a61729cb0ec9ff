//! Cancelling requests, alone and beside others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraft_client::{Client, Config};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{MAX_NEW, Policy, Request};
use taskgraft_core::report::Terminal;
use taskgraft_engine::action::{self, Action, Keep};
use taskgraft_engine::{Cancelled, REPORT_ARTIFACT, cancel, cancel_action};

use crate::acting::action_task;
use crate::graph::layered;
use crate::proxy::Fault;
use crate::site::{SCHEDULER, Site, definition, request};

/// Each name's states.
async fn states(site: &Site, group: TaskId) -> BTreeMap<String, Vec<&'static str>> {
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

/// Carries `labels` out as a run of an action task, which ends without a report where `creates` is less than it takes.
async fn through_an_action(site: &Site, decision: TaskId, labels: &[&str], creates: usize) -> TaskId {
    let own = action_task(site, decision).await;
    let made = AtomicUsize::new(0);
    site.proxy.rule(move |method, path| {
        let create = method == "PUT" && path.starts_with("/api/queue/v1/task/");
        if create && made.fetch_add(1, Ordering::SeqCst) >= creates { Fault::Status(503) } else { Fault::None }
    });
    let machine = site.machine("worker");
    let push = machine.load(decision).await;
    let request = Request { action_task: Some(own.task), ..request(&push, labels, own.task.as_str()) };
    let out = tempfile::tempdir().unwrap();
    let (policy, max_new) = (Policy::Graft, MAX_NEW);
    let action = Action { request, policy, keep: Keep::Run(own), out: out.path().to_owned(), max_new };
    let report = action::run(&machine.means, &push, &action, std::future::pending(), |_| ()).await.unwrap();
    site.proxy.heal();
    if report.result == Terminal::Done {
        let text = std::fs::read_to_string(out.path().join("report.json")).unwrap();
        site.artifact(own.task, REPORT_ARTIFACT, &text).await;
        site.client().queue().report_completed(own.task, own.run).await.unwrap();
    }
    own.task
}

async fn cancel_through(site: &Site, action: TaskId, with_dependencies: bool) -> Cancelled {
    let machine = site.machine("service");
    cancel_action(&site.client(), &machine.means.cache, action, with_dependencies).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_action_task_made_goes_by_its_report() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 1), &[]).await;
    let action = through_an_action(&site, decision, &["test-0-0", "test-1-0"], 100).await;
    let bob = site.machine("bob").add(decision, &["test-1-0"], "R2").await.unwrap();
    let done = cancel_through(&site, action, false).await;
    assert_eq!((done.cancelled.len(), done.kept.len()), (2, 0), "the copies alone");
    let done = cancel_through(&site, action, true).await;
    assert_eq!((done.cancelled.len(), done.kept.len()), (1, 3), "build-0; Bob waits for build-1 and its toolchains");
    let after = states(&site, decision).await;
    assert_eq!(
        (after["action"][0], after["build-0"][0], after["build-1"][0]),
        ("completed", "exception", "unscheduled")
    );
    assert_eq!(after["test-1-0"].iter().filter(|state| **state == "exception").count(), 1);
    assert_eq!(bob.result, Terminal::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dying_action_task_made_goes_by_its_plan_and_the_action_task_first() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 2), &[]).await;
    // Both toolchains, the build and one of two copies.
    let action = through_an_action(&site, decision, &["test-0-0", "test-0-1"], 4).await;
    let before = states(&site, decision).await;
    assert_eq!(before["action"][0], "running");
    assert_eq!(before.keys().filter(|name| name.starts_with("test-")).count(), 1, "{before:?}");
    let done = cancel_through(&site, action, false).await;
    assert_eq!(done.cancelled.len(), 1);
    let after = states(&site, decision).await;
    assert_eq!((after["action"][0], after["build-0"][0]), ("exception", "unscheduled"));
    let copies: Vec<_> = after.iter().filter(|(name, _)| name.starts_with("test-")).collect();
    assert!(copies.iter().all(|(_, states)| **states == ["exception"]), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_task_that_has_not_begun_is_all_there_is_to_cancel() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let action = site.task(decision, SCHEDULER, "action", &[]).await;
    assert_eq!(cancel_through(&site, action, true).await, Cancelled::default());
    assert_eq!(states(&site, decision).await["action"], ["exception"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anothers_action_made_is_what_waits_for_it() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let action = action_task(&site, decision).await.task;
    site.task(decision, SCHEDULER, "made", &[action]).await;
    site.task(decision, SCHEDULER, "beside", &[]).await;
    // Somebody in another group waits for it, too.
    let (elsewhere, _) = site.push(&layered(1, 1), &[]).await;
    site.task(elsewhere, SCHEDULER, "theirs", &[action]).await;
    assert_eq!(cancel_through(&site, action, false).await.cancelled.len(), 1);
    let after = states(&site, decision).await;
    assert_eq!((after["action"][0], after["made"][0], after["beside"][0]), ("exception", "exception", "pending"));
    assert_eq!(states(&site, elsewhere).await["theirs"], ["unscheduled"]);
}

/// Cancels the jobs of a request with what they needed, while somebody comes to need `needed` right before it goes.
async fn with_a_newcomer(
    site: &Site,
    needed: &'static str,
) -> (Cancelled, TaskId, BTreeMap<String, Vec<&'static str>>) {
    let (decision, scheduled) = site.push(&layered(1, 1), &["toolchain-a"]).await;
    site.complete(scheduled["toolchain-a"]).await;
    let report = site.machine("ann").add(decision, &["test-0-0"], "R1").await.unwrap();
    let id = report.tasks.iter().find(|task| task.label == needed).unwrap().task_id;
    let newcomer = definition(site.now(), decision, SCHEDULER, "newcomer", &[id]).to_string();
    let root = format!("http://{}", site.running.address());
    let credentials = site.client().config().credentials.clone();
    site.proxy.rule(move |method, path| {
        if method == "POST" && path.ends_with(&format!("{id}/cancel")) {
            let config = Config { credentials: credentials.clone(), ..Config::new(root.as_str()) };
            let newcomer = newcomer.clone();
            let create = async move {
                let client = Client::new(config).unwrap();
                client.queue().create_task(TaskId::from_bytes([3; 16]), newcomer.into()).await.unwrap();
            };
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime().block_on(create)).join().unwrap();
        }
        Fault::None
    });
    let done = cancel(&site.client(), &report, true).await.unwrap();
    site.proxy.heal();
    (done, id, states(site, decision).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_comes_to_need_meanwhile_is_run_again() {
    let site = Site::start().await;
    let (done, id, after) = with_a_newcomer(&site, "toolchain-b").await;
    assert_eq!((done.rerun, done.lost.len()), (vec![id], 0));
    assert_eq!(
        (after["toolchain-b"][0], after["newcomer"][0], after["build-0"][0]),
        ("pending", "unscheduled", "exception")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_again_yet_is_told_as_lost() {
    let site = Site::start().await;
    let (done, id, after) = with_a_newcomer(&site, "build-0").await;
    assert_eq!((done.rerun.len(), done.lost), (0, vec![id]), "toolchain-b is not completed");
    assert_eq!(after["build-0"][0], "exception");
}
