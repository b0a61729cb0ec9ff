//! Requests carried out by an action task: its runs are one request, and an ended run creates nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskgraft_core::frontier::Halt;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Request};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::state::TaskState;
use taskgraft_engine::AuthorityError;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{self, Action, ActionError, Keep};

use crate::acting::{action_task, next_run};
use crate::graph::{job, layered};
use crate::proxy::Fault;
use crate::site::{Machine, Site, counts, request};

/// Runs the action as a run of its action task; gives the report and the log.
async fn act(
    machine: &Machine,
    decision: TaskId,
    labels: &[&str],
    own: OwnRun,
) -> (Result<Report, ActionError>, Vec<String>) {
    let push = machine.load(decision).await;
    let request = Request { action_task: Some(own.task), ..request(&push, labels, own.task.as_str()) };
    let out = tempfile::tempdir().unwrap();
    let action = Action {
        request,
        policy: Policy::Graft,
        keep: Keep::Run(own),
        out: out.path().to_owned(),
        max_new: taskgraft_core::plan::MAX_NEW,
    };
    let mut log = Vec::new();
    let ran = action::run(&machine.means, &push, &action, std::future::pending(), |line| log.push(line.to_owned()));
    (ran.await, log)
}

/// The queue takes so many PUTs and then nothing more.
fn take_only(site: &Site, count: usize) {
    let puts = AtomicUsize::new(0);
    site.proxy.rule(move |method, path| {
        let put = method == "PUT" && path.starts_with("/api/queue/");
        if put && puts.fetch_add(1, Ordering::SeqCst) >= count { Fault::Status(503) } else { Fault::None }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_finishes_the_plan_of_the_one_that_died() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let own = action_task(&site, decision).await;
    // The queue takes three tasks and then nothing more: the first run ends with that.
    take_only(&site, 3);
    let labels = ["test-0-0", "test-1-1"];
    let (report, _) = act(&site.machine("worker-1"), decision, &labels, own).await;
    assert_eq!(report.unwrap().result, Terminal::Unfinished);
    site.proxy.heal();
    let begun = site.group(decision).await;
    let own = next_run(&site, own).await;
    let (report, log) = act(&site.machine("worker-2"), decision, &labels, own).await;
    let report = report.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert!(log.iter().any(|line| line.contains("an earlier try")), "{log:#?}");
    assert!(log.last().unwrap().starts_with("done"), "{log:#?}");
    let group = site.group(decision).await;
    let expected = [
        ("action", 1),
        ("build-0", 1),
        ("build-1", 1),
        ("test-0-0", 1),
        ("test-1-1", 1),
        ("toolchain-a", 1),
        ("toolchain-b", 1),
    ];
    assert_eq!(counts(&group).into_iter().collect::<Vec<_>>(), expected);
    for (name, tasks) in &begun {
        assert_eq!(group[name][0].status.task_id, tasks[0].status.task_id, "{name}");
    }
    // Only what was asked for waits for the action task.
    for (name, tasks) in &group {
        let waits = tasks[0].task.dependencies.contains(&own.task);
        assert_eq!(waits, name.starts_with("test-"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_started_again_within_its_run_takes_up_its_plan() {
    let site = Site::start().await;
    let (decision, scheduled) = site.push(&layered(1, 1), &["toolchain-a"]).await;
    let own = action_task(&site, decision).await;
    take_only(&site, 1);
    let (report, _) = act(&site.machine("worker-1"), decision, &["test-0-0"], own).await;
    assert_eq!(report.unwrap().result, Terminal::Unfinished);
    site.proxy.heal();
    // The facts move: planned anew, the failed toolchain would be made once more.
    site.fail(scheduled["toolchain-a"]).await;
    let (report, log) = act(&site.machine("worker-2"), decision, &["test-0-0"], own).await;
    assert!(log.iter().any(|line| line.contains("an earlier try")), "{log:#?}");
    let error = report.unwrap_err();
    assert!(matches!(error, ActionError::Moved { .. }), "{error}");
    assert_eq!(counts(&site.group(decision).await)["toolchain-a"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_facts_have_moved_is_not_finished() {
    let site = Site::start().await;
    let (decision, ran) = site.push(&layered(1, 2), &["toolchain-a", "toolchain-b", "build-0"]).await;
    for label in ["toolchain-a", "toolchain-b", "build-0"] {
        site.complete(ran[label]).await;
    }
    let own = action_task(&site, decision).await;
    // The plan is kept, one task is created.
    take_only(&site, 2);
    let labels = ["test-0-0", "test-0-1"];
    let (report, _) = act(&site.machine("worker-1"), decision, &labels, own).await;
    assert_eq!(report.unwrap().result, Terminal::Unfinished);
    site.proxy.heal();
    // The build that both use is run again, and fails: what is still missing would never start.
    let queue = site.client();
    queue.queue().rerun_task(ran["build-0"]).await.unwrap();
    site.claim(ran["build-0"]).await;
    queue.queue().report_failed(ran["build-0"], 1).await.unwrap();
    let before = site.group(decision).await;
    let own = next_run(&site, own).await;
    let (report, _) = act(&site.machine("worker-2"), decision, &labels, own).await;
    let error = report.unwrap_err();
    let ActionError::Moved { existing, moved, .. } = &error else { panic!("{error}") };
    assert_eq!((existing.len(), moved.len(), moved[0].label.as_str()), (1, 1, "build-0"));
    assert_eq!(counts(&site.group(decision).await), counts(&before), "nothing more was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_run_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let first = action_task(&site, decision).await;
    let second = next_run(&site, first).await;
    assert_eq!(first.check(&site.client()).await.unwrap(), Some(Halt::Superseded));
    assert_eq!(second.check(&site.client()).await.unwrap(), None);
    let cancelled = action_task(&site, decision).await;
    site.client().queue().cancel_task(cancelled.task).await.unwrap();
    assert_eq!(cancelled.check(&site.client()).await.unwrap(), Some(Halt::Cancelled));
    let (report, _) = act(&site.machine("worker"), decision, &["test-0-0"], first).await;
    assert_eq!(report.unwrap().result, Terminal::Superseded);
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("action", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_its_deadline_ends_is_nobodys_to_finish() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let own = action_task(&site, decision).await;
    site.clock.advance(Duration::from_secs(25 * 3600));
    let client = site.client();
    while !client.queue().status(own.task).await.unwrap().state.is_resolved() {}
    assert_eq!(own.check(&client).await.unwrap(), Some(Halt::Expired));
}

/// How many jobs are asked for, how many of them are created, and how many are in flight then.
const JOBS: (usize, usize, usize) = (120, 20, 50);

/// Adds many jobs to a push. When some were created and as many as may be are in flight, held as the look at the run is
/// that comes next, `then` happens; then all goes on. Gives the report, and which tasks were sent by then.
async fn ended_half_way<F>(
    site: &Arc<Site>,
    (decision, own): (TaskId, OwnRun),
    then: impl FnOnce(Arc<Site>) -> F + Send + 'static,
) -> (Report, BTreeSet<String>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (asked, created, in_flight) = JOBS;
    let sent = Arc::new(Mutex::new(BTreeSet::new()));
    let (runtime, here, sending) = (tokio::runtime::Handle::current(), Arc::clone(site), Arc::clone(&sent));
    let (look, mut then) = (format!("/api/queue/v1/task/{}/status", own.task), Some(then));
    site.proxy.rule(move |method, path| {
        let mut sent = sending.lock().unwrap();
        if method == "PUT" && path.starts_with("/api/queue/v1/task/") {
            sent.insert(path.rsplit('/').next().unwrap().to_owned());
            return if sent.len() > created { Fault::Silence } else { Fault::None };
        }
        if path != look || sent.len() < created + in_flight {
            return Fault::None;
        }
        if let Some(then) = then.take() {
            let here = Arc::clone(&here);
            runtime.spawn(async move {
                then(Arc::clone(&here)).await;
                here.proxy.release();
            });
            return Fault::Silence;
        }
        Fault::None
    });
    let labels: Vec<_> = (0..asked).map(|n| format!("job-{n}")).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let (report, _) = act(&site.machine("worker"), decision, &labels, own).await;
    let sent = sent.lock().unwrap().clone();
    assert_eq!(sent.len(), created + in_flight);
    (report.unwrap(), sent)
}

/// A push with many jobs, and an action task that runs.
async fn many_jobs(site: &Site) -> (TaskId, OwnRun) {
    let jobs: Vec<_> = (0..JOBS.0).map(|n| job(&format!("job-{n}"), &[])).collect();
    let (decision, _) = site.push(&jobs, &[]).await;
    (decision, action_task(site, decision).await)
}

/// The states of a push's jobs, by their tasks.
async fn jobs_of(site: &Site, decision: TaskId) -> BTreeMap<String, TaskState> {
    let mut group = site.group(decision).await;
    group.remove("action");
    group.into_values().flatten().map(|task| (task.status.task_id.to_string(), task.status.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_stops_and_cancels_its_own_copies() {
    let site = Arc::new(Site::start().await);
    let (decision, own) = many_jobs(&site).await;
    let cancel = move |site: Arc<Site>| async move {
        site.client().queue().cancel_task(own.task).await.unwrap();
    };
    let (report, sent) = ended_half_way(&site, (decision, own), cancel).await;
    assert_eq!(report.result, Terminal::Cancelled, "{:?}", report.result);
    let jobs = jobs_of(&site, decision).await;
    assert!(jobs.len() >= JOBS.1 && jobs.keys().all(|id| sent.contains(id)), "{} of {}", jobs.len(), sent.len());
    assert!(jobs.values().all(|state| state.is_resolved()), "{jobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_superseded_half_way_creates_no_more_and_cancels_nothing_and_the_next_one_finishes() {
    let site = Arc::new(Site::start().await);
    let (decision, own) = many_jobs(&site).await;
    let supersede = move |site: Arc<Site>| async move {
        next_run(&site, own).await;
    };
    let (report, sent) = ended_half_way(&site, (decision, own), supersede).await;
    assert_eq!(report.result, Terminal::Superseded, "{:?}", report.result);
    let begun = jobs_of(&site, decision).await;
    assert!(begun.len() >= JOBS.1 && begun.keys().all(|id| sent.contains(id)), "{} of {}", begun.len(), sent.len());
    assert!(begun.values().all(|state| !state.is_resolved()), "{begun:?}");
    let labels: Vec<_> = (0..JOBS.0).map(|n| format!("job-{n}")).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let (report, _) = act(&site.machine("other"), decision, &labels, OwnRun { run: 1, ..own }).await;
    assert_eq!(report.unwrap().result, Terminal::Done);
    let group = site.group(decision).await;
    assert_eq!(group.len(), JOBS.0 + 1);
    assert!(counts(&group).values().all(|count| *count == 1), "{:?}", counts(&group));
    let jobs = jobs_of(&site, decision).await;
    assert!(begun.keys().all(|id| jobs.contains_key(id)) && jobs.values().all(|state| !state.is_resolved()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_task_of_another_group_may_not_act_here() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let (elsewhere, _) = site.push(&layered(1, 1), &[]).await;
    let own = action_task(&site, elsewhere).await;
    let (report, _) = act(&site.machine("worker"), decision, &["test-0-0"], own).await;
    let error = report.unwrap_err();
    assert!(matches!(error, ActionError::Authority(AuthorityError::ActionGroup { .. })), "{error}");
    assert!(site.group(decision).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_request_is_offered_for_resumption() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    let out = tempfile::tempdir().unwrap();
    let asked = request(&push, &["test-0-0"], "R1");
    let keep = Keep::Plans(machine.plans.clone());
    let action = Action {
        request: asked.clone(),
        policy: Policy::Graft,
        keep,
        out: out.path().to_owned(),
        max_new: taskgraft_core::plan::MAX_NEW,
    };
    let report = action::run(&machine.means, &push, &action, std::future::ready(()), |_| ()).await.unwrap();
    assert_eq!(report.result, Terminal::Interrupted, "{report:?}");
    let unfinished = machine.plans.unfinished(decision).unwrap();
    assert_eq!(unfinished.iter().map(|plan| plan.request.id.as_str()).collect::<Vec<_>>(), ["R1"]);
    assert_eq!(machine.plans.find(&unfinished[0].hash().to_string()[..8]).unwrap(), unfinished[0]);
    assert_eq!(machine.carry_out(&push, asked).await.unwrap().result, Terminal::Done);
    assert!(machine.plans.unfinished(decision).unwrap().is_empty());
}
