//! Dying between any two requests, and trouble on the way: in the end each task exists, and none twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use taskgraft_core::report::Terminal;
use taskgraft_local::queue::Settings;
use tokio::sync::Notify;

use crate::graph::{job, layered};
use crate::proxy::Fault;
use crate::site::{Site, assert_whole, counts};

const LABELS: &[&str] = &[
    "test-0-0", "test-0-1", "test-0-2", "test-0-3", "test-1-0", "test-1-1", "test-1-2", "test-1-3", "test-2-0",
    "test-2-1", "test-2-2", "test-2-3",
];

/// Two copies of each of twelve tests, three builds, two toolchains: 29 tasks; and the third toolchain-less build.
fn expected() -> BTreeMap<String, usize> {
    let mut expected: BTreeMap<String, usize> = LABELS.iter().map(|label| (label.to_string(), 2)).collect();
    for label in ["build-0", "build-1", "build-2", "toolchain-a", "toolchain-b", "build-3"] {
        expected.insert(label.into(), if label == "build-3" { 2 } else { 1 });
    }
    expected
}

fn labels() -> Vec<&'static str> {
    LABELS.iter().copied().chain(["build-3"]).collect()
}

/// Dies when the `at`-th request comes, before or after it is carried out; tells whether it came that far.
async fn die_at(site: &Site, decision: taskgraft_core::ids::TaskId, id: &str, at: usize, after: bool) -> bool {
    let (count, died) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counting, dying) = (Arc::clone(&count), Arc::clone(&died));
    let machine = site.machine(id);
    let push = machine.load(decision).await;
    site.proxy.rule(move |_, _| {
        if counting.fetch_add(1, Ordering::SeqCst) != at {
            return Fault::None;
        }
        dying.notify_one();
        if after { Fault::LostAnswer } else { Fault::Silence }
    });
    let labels = labels();
    let mut request = crate::site::request(&push, &labels, id);
    request = request.repeated(2);
    let carried_out = machine.carry_out(&push, request);
    let finished = tokio::select! {
        report = carried_out => Some(report),
        () = died.notified() => None,
    };
    site.proxy.heal();
    if let Some(report) = finished {
        assert_eq!(report.unwrap().result, Terminal::Done);
        return false;
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_between_two_requests_is_finished_by_the_next_try() {
    let site = Site::start().await;
    let jobs = layered(4, 4);
    let mut at = 0;
    let mut deaths = 0;
    loop {
        let (decision, _) = site.push(&jobs, &[]).await;
        let id = format!("R{at}");
        let died = die_at(&site, decision, &id, at, at % 2 == 0).await;
        // Another machine, or the same: it finds the plan, or makes the same one.
        let machine = site.machine(if at % 3 == 0 { "elsewhere" } else { &id });
        let report = machine.add_times(decision, &labels(), &id, 2).await.unwrap();
        assert_eq!(report.result, Terminal::Done, "died at request {at}: {report:?}");
        let group = site.group(decision).await;
        let found: BTreeMap<_, _> = group.iter().map(|(name, tasks)| (name.clone(), tasks.len())).collect();
        assert_eq!(found, expected(), "died at request {at}");
        assert_whole(&group, decision);
        deaths += usize::from(died);
        if !died {
            break;
        }
        at += 1;
    }
    assert!(deaths >= 31, "a creation of 31 tasks has more than {deaths} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_resets_silence_and_lost_answers_at_random_change_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(4, 4), &[]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    let mut luck = StdRng::seed_from_u64(seed);
    let silences = Arc::new(AtomicUsize::new(0));
    site.proxy.rule(move |_, _| match luck.random_range(0..20) {
        0 => Fault::Status(500),
        1 => Fault::Status(503),
        2 => Fault::Reset,
        3 => Fault::LostAnswer,
        4 => Fault::BadGateway,
        5 => Fault::Status(429),
        // A timeout is waited for in full: a few are enough.
        6 if silences.fetch_add(1, Ordering::SeqCst) < 3 => Fault::Silence,
        _ => Fault::None,
    });
    let labels = labels();
    let mut request = crate::site::request(&push, &labels, "R1");
    request = request.repeated(2);
    let report = machine.carry_out(&push, request).await.unwrap();
    site.proxy.heal();
    assert_eq!(report.result, Terminal::Done, "seed {seed}: {report:?}");
    let found = site.group(decision).await;
    assert_eq!(counts(&found), expected().iter().map(|(k, v)| (k.as_str(), *v)).collect(), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_the_queue_left_half_made_is_put_right() {
    // Every second createTask with dependencies breaks between inserting the task and tracking what it waits for.
    let site = Site::with(Settings { break_creates_every: 2, ..Settings::default() }).await;
    let jobs = layered(1, 3);
    let (decision, scheduled) = site.push(&jobs, &["toolchain-a"]).await;
    site.complete(scheduled["toolchain-a"]).await;
    let machine = site.machine("ann");
    let report = machine.add(decision, &["test-0-0", "test-0-1", "test-0-2"], "R1").await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    // Whatever broke, the dependencies lead to the tests in the end.
    for name in ["toolchain-b", "build-0"] {
        let group = site.group(decision).await;
        site.complete(group[name][0].status.task_id).await;
    }
    let group = site.group(decision).await;
    for name in ["test-0-0", "test-0-1", "test-0-2"] {
        assert_eq!(group[name].len(), 1);
        assert_eq!(group[name][0].status.state.as_str(), "pending", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_made_task_that_is_too_old_to_be_put_back_is_scheduled() {
    // The first createTask breaks half way, and then the queue is gone.
    let site = Site::with(Settings { break_creates_every: 1, ..Settings::default() }).await;
    let jobs = [job("build", &[]), job("test", &["build"])];
    let (decision, scheduled) = site.push(&jobs, &["build"]).await;
    site.complete(scheduled["build"]).await;
    let machine = site.machine("ann");
    let mut creates = 0;
    site.proxy.rule(move |method, _| {
        creates += usize::from(method == "PUT");
        if creates > 1 { Fault::Status(503) } else { Fault::None }
    });
    let report = machine.add(decision, &["test"], "R1").await.unwrap();
    site.proxy.heal();
    assert_eq!(report.result, Terminal::Unfinished, "{report:?}");
    let state = async || site.group(decision).await["test"][0].status.state.as_str();
    assert_eq!(state().await, "unscheduled", "its only dependency is completed, but nobody noticed");
    site.clock.advance(std::time::Duration::from_secs(20 * 60));
    let report = machine.add(decision, &["test"], "R1").await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert_eq!(state().await, "pending");
}
