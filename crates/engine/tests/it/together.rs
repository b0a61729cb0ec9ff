//! Actions on one push at the same moment: what they both need is made once, what each asked for is its own, and none
//! hangs on another's failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use taskgraft_client::Credentials;
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::{ExceptionReason, TaskState};
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{ActionAsk, Means};

use crate::acting::{Acted, act, action_task, ask, perform};
use crate::graph::layered;
use crate::site::{Machine, Site, assert_whole, counts};

/// Performs the action, dying a few times on the way: within its run, or with it.
async fn mortal(site: &Site, mut own: OwnRun, ask: &ActionAsk, seed: u64) -> (OwnRun, Acted) {
    let mut luck = StdRng::seed_from_u64(seed);
    for n in 0..3 {
        let machine = site.machine(&format!("{}-{n}", own.task));
        let patience = Duration::from_millis(luck.random_range(5..2500));
        if let Ok(acted) = tokio::time::timeout(patience, perform(&machine, own, ask)).await {
            return (own, acted);
        }
        if luck.random_bool(0.5) {
            let shutdown = ExceptionReason::WorkerShutdown;
            site.client().queue().report_exception(own.task, own.run, shutdown).await.unwrap();
            site.claim(own.task).await;
            own.run += 1;
        }
    }
    let machine = site.machine(own.task.as_str());
    let acted = perform(&machine, own, ask).await;
    (own, acted)
}

/// Runs what can run until nothing can any more.
async fn run_to_the_end(site: &Site, group: TaskId) {
    loop {
        let all = site.group(group).await;
        let pending = all.values().flatten().filter(|task| task.status.state == TaskState::Pending);
        let pending: Vec<TaskId> = pending.map(|task| task.status.task_id).collect();
        if pending.is_empty() {
            return;
        }
        for task in pending {
            site.complete(task).await;
        }
    }
}

/// What ten ask for: tests of three builds, which need two toolchains; two ask for a build itself.
fn asked(n: u64, group: TaskId) -> ActionAsk {
    let (one, other) = (format!("test-{}-0", n % 3), format!("test-{}-1", (n + 1) % 3));
    match n {
        4 => ask(group, "add-matching-jobs", json!({"label": "test-2-*"})),
        5 => ask(group, "add-matching-jobs", json!({"label": [one, other], "kind": "job"})),
        _ => ask(group, "add-new-jobs", json!({"tasks": [one, other], "times": 1})),
    }
}

/// Performs the action to a bad end: it is cancelled on the way, or dies and never comes back.
async fn badly(site: &Site, own: OwnRun, ask: &ActionAsk, seed: u64, cancelled: bool) -> Acted {
    let machine = site.machine(own.task.as_str());
    let patience = Duration::from_millis(StdRng::seed_from_u64(seed).random_range(5..2000));
    let acting = perform(&machine, own, ask);
    let client = site.client();
    if cancelled {
        let cancelling = async {
            tokio::time::sleep(patience).await;
            client.queue().cancel_task(own.task).await.unwrap();
        };
        return tokio::join!(acting, cancelling).0;
    }
    let acted = tokio::time::timeout(patience, acting).await;
    client.queue().report_failed(own.task, own.run).await.unwrap();
    acted.unwrap_or_else(|_| Acted::given_up())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_actions_at_once_share_what_they_need_and_nobody_waits_for_who_failed() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let site = Arc::new(Site::start().await);
    let (decision, scheduled) = site.push(&layered(3, 2), &["toolchain-a", "toolchain-b", "build-0"]).await;
    site.complete(scheduled["toolchain-a"]).await;
    site.complete(scheduled["toolchain-b"]).await;
    site.fail(scheduled["build-0"]).await;
    let everybody = (0..10).map(|n| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let own = action_task(&site, decision).await;
            let asked = asked(n, decision);
            if n < 8 {
                let (own, acted) = mortal(&site, own, &asked, seed ^ n).await;
                assert_eq!(acted.report().result, Terminal::Done, "seed {seed}: {acted:#?}");
                let run = own.run;
                site.client().queue().report_completed(own.task, run).await.unwrap();
                return (true, acted);
            }
            (false, badly(&site, own, &asked, seed ^ n, n == 8).await)
        })
    });
    let all: Vec<(bool, Acted)> =
        futures_util::future::join_all(everybody).await.into_iter().map(Result::unwrap).collect();
    let group = site.group(decision).await;
    assert_whole(&group, decision);
    let found = counts(&group);
    // build-0 failed before, and is made anew for all; the others once.
    let needed = ["build-0", "build-1", "build-2", "toolchain-a", "toolchain-b"].map(|label| found.get(label).copied());
    assert_eq!(needed, [Some(2), Some(1), Some(1), Some(1), Some(1)], "seed {seed}");
    let actions: BTreeSet<TaskId> = group["action"].iter().map(|task| task.status.task_id).collect();
    for task in group.iter().filter(|(name, _)| !name.starts_with("test-")).flat_map(|(_, tasks)| tasks) {
        assert!(!task.task.dependencies.iter().any(|on| actions.contains(on)), "shared, and hangs on an action");
    }
    // What the eight asked for is theirs alone, and all of it runs to green.
    run_to_the_end(&site, decision).await;
    let group = site.group(decision).await;
    let states: BTreeMap<TaskId, TaskState> =
        group.values().flatten().map(|task| (task.status.task_id, task.status.state)).collect();
    let mut copies = BTreeSet::new();
    for (_, acted) in all.iter().filter(|(lived, _)| *lived) {
        for task in acted.report().requests.iter().flat_map(|report| &report.tasks) {
            assert_eq!(states[&task.task_id], TaskState::Completed, "seed {seed}: {}", task.label);
            let is_copy = task.label.starts_with("test-");
            assert!(!is_copy || copies.insert(task.task_id), "seed {seed}: {} is two people's", task.label);
        }
    }
    assert_eq!(copies.len(), 16, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_sees_what_another_has_promised_and_not_finished() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 2), &[]).await;
    let (_, first) = act(&site, &ask(decision, "add-new-jobs", json!({"tasks": ["test-0-0"]}))).await;
    assert_eq!(first.report().requests[0].tasks.len(), 4);
    // Its action task still runs, and so its artifacts can't be found.
    let (_, second) = act(&site, &ask(decision, "add-new-jobs", json!({"tasks": ["test-0-1"]}))).await;
    let made: Vec<_> = second.report().requests[0].tasks.iter().map(|task| task.label.as_str()).collect();
    assert_eq!(made, ["test-0-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_without_rights_fails_alone_before_it_creates_anything() {
    let site = Arc::new(Site::start().await);
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let request: CreateClientRequest = serde_json::from_value(json!({
        "description": "", "expires": taskgraft_core::time::Millis::from(site.now() + jiff::SignedDuration::from_hours(1)),
        "scopes": ["queue:get-artifact:*", "queue:create-artifact:*", "queue:scheduler-id:*"],
    }))
    .unwrap();
    let made = site.client().auth().create_client("weak", &request).await.unwrap();
    let weak = site.client_as(Credentials::new("weak", &made.access_token));
    let acting = (0..6).map(|n| {
        let (site, weak) = (Arc::clone(&site), weak.clone());
        tokio::spawn(async move {
            let own = action_task(&site, decision).await;
            let mut machine: Machine = site.machine(&format!("worker-{n}"));
            if n == 3 {
                machine.means = Means { client: weak, ..machine.means };
            }
            let label = format!("test-{}-0", n % 2);
            perform(&machine, own, &ask(decision, "add-new-jobs", json!({"tasks": [label]}))).await
        })
    });
    let all: Vec<Acted> = futures_util::future::join_all(acting).await.into_iter().map(Result::unwrap).collect();
    for (n, acted) in all.iter().enumerate() {
        if n == 3 {
            assert!(acted.error().contains("scopes are missing"), "{}", acted.error());
        } else {
            assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
        }
    }
    let group = site.group(decision).await;
    let expected = [
        ("action", 6),
        ("build-0", 1),
        ("build-1", 1),
        ("test-0-0", 3),
        ("test-1-0", 2),
        ("toolchain-a", 1),
        ("toolchain-b", 1),
    ];
    assert_eq!(counts(&group).into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_action_tasks_with_one_key_do_the_work_once() {
    for seed in 0..5 {
        let site = Arc::new(Site::start().await);
        let (decision, _) = site.push(&layered(1, 2), &[]).await;
        let input = json!({"tasks": ["test-0-0", "test-0-1"], "times": 2, "taskgraft": {"key": "click-1"}});
        let both = (0..2).map(|n| {
            let (site, input) = (Arc::clone(&site), input.clone());
            tokio::spawn(async move {
                let own = action_task(&site, decision).await;
                mortal(&site, own, &ask(decision, "add-new-jobs", input), 100 * seed + n).await
            })
        });
        let both: Vec<_> = futures_util::future::join_all(both).await.into_iter().map(Result::unwrap).collect();
        for (_, acted) in &both {
            assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
        }
        let group = site.group(decision).await;
        let expected =
            [("action", 2), ("build-0", 1), ("test-0-0", 2), ("test-0-1", 2), ("toolchain-a", 1), ("toolchain-b", 1)];
        assert_eq!(counts(&group).into_iter().collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_one_key_does_not_wait_for_the_first_that_failed() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let asked = ask(decision, "add-new-jobs", json!({"tasks": ["test-0-0"], "taskgraft": {"key": "click-1"}}));
    let (first, acted) = act(&site, &asked).await;
    assert_eq!(acted.report().result, Terminal::Done);
    site.client().queue().report_failed(first.task, 0).await.unwrap();
    let (second, acted) = act(&site, &asked).await;
    assert_eq!(acted.report().result, Terminal::Done);
    site.client().queue().report_completed(second.task, 0).await.unwrap();
    run_to_the_end(&site, decision).await;
    let group = site.group(decision).await;
    let tests: BTreeSet<&str> = group["test-0-0"].iter().map(|task| task.status.state.as_str()).collect();
    assert_eq!(tests, BTreeSet::from(["completed", "unscheduled"]), "the first's can't start");
    assert_eq!(counts(&group)["build-0"], 1);
}
