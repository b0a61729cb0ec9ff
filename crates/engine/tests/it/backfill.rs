//! Backfill: a job on earlier pushes, found by their numbers or by what each was based on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::ExceptionReason;
use taskgraft_core::time::Millis;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{ActionAsk, ActionError, ActionReport};

use crate::acting::{act, action_task, perform, stopped_at};
use crate::graph::{Job, job, layered};
use crate::proxy::Fault;
use crate::site::{Site, counts};

const SCHEDULED: &[&str] = &["toolchain-a", "toolchain-b", "build-0"];

fn revision(number: u8) -> String {
    format!("{number:x}").repeat(40)
}

/// The parameters of the project's push with this number; it is based on the one before.
fn parameters(number: u8, git: bool, repository: &str) -> String {
    let (head, base) = (revision(number), revision(number - 1));
    let kind = if git { "git" } else { "hg" };
    let id = if git { 0 } else { number };
    format!(
        "base_repository: {repository}\nhead_repository: {repository}\nbase_rev: {base}\nhead_rev: {head}\nlevel: '3'\n\
         project: lander\npushlog_id: '{id}'\nrepository_type: {kind}\n"
    )
}

/// A push whose decision task is in the index; its builds are done.
async fn push(site: &Site, number: u8, git: bool, jobs: &[Job]) -> (TaskId, BTreeMap<String, TaskId>) {
    let parameters = parameters(number, git, "https://github.com/example/lander");
    let (decision, ran) = site.push_with(jobs, SCHEDULED, SCHEDULED, &parameters).await;
    for label in SCHEDULED {
        site.complete(ran[*label]).await;
    }
    let path = if git {
        format!("lander.v2.lander.revision.{}.taskgraph.decision", revision(number))
    } else {
        format!("lander.v2.lander.pushlog-id.{number}.decision")
    };
    index(site, &path, decision).await;
    (decision, ran)
}

async fn index(site: &Site, path: &str, task_id: TaskId) {
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let request = InsertTaskRequest { task_id, rank: 0, data: json!({}), expires };
    site.client().index().insert_task(path, &request).await.unwrap();
}

fn backfill(group: TaskId, task: TaskId, input: Value) -> ActionAsk {
    ActionAsk { group, task: Some(task), input, callback: "backfill".to_owned() }
}

/// How many of the job's tasks are on each push.
async fn there(site: &Site, pushes: &[TaskId], label: &str) -> Vec<usize> {
    let mut all = Vec::new();
    for push in pushes {
        all.push(counts(&site.group(*push).await).get(label).copied().unwrap_or_default());
    }
    all
}

/// Pushes 1 to 5. On the third the job ran well, on the second its graph lacks it. The fifth is where it failed.
async fn project(site: &Site, git: bool) -> (Vec<TaskId>, TaskId) {
    let jobs = layered(1, 2);
    let mut pushes = Vec::new();
    for number in 1..=5 {
        let without: Vec<Job> =
            if number == 2 { vec![job("build-0", &["toolchain-a", "toolchain-b"])] } else { Vec::new() };
        let toolchains = [job("toolchain-a", &[]), job("toolchain-b", &["toolchain-a"])];
        let lacking: Vec<Job> = toolchains.into_iter().chain(without).collect();
        let jobs = if number == 2 { &lacking } else { &jobs };
        let (decision, ran) = push(site, number, git, jobs).await;
        if number == 3 {
            let done = site.task(decision, crate::site::SCHEDULER, "test-0-1", &[ran["build-0"]]).await;
            site.complete(done).await;
        }
        pushes.push(decision);
    }
    let failed = site.task(pushes[4], crate::site::SCHEDULER, "test-0-1", &[]).await;
    site.fail(failed).await;
    (pushes, failed)
}

/// So many pushes, each based on the one before, and a task of the job on the last one.
pub(crate) async fn row(site: &Site, count: u8) -> (Vec<TaskId>, TaskId) {
    let jobs = layered(1, 2);
    let mut pushes = Vec::new();
    for number in 1..=count {
        pushes.push(push(site, number, true, &jobs).await.0);
    }
    let last = site.task(*pushes.last().unwrap(), crate::site::SCHEDULER, "test-0-1", &[]).await;
    (pushes, last)
}

/// Whether it is a createTask call.
fn is_create(method: &str, path: &str) -> bool {
    method == "PUT" && path.starts_with("/api/queue/v1/task/") && path.matches('/').count() == 5
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_on_earlier_pushes_that_lack_it() {
    for git in [false, true] {
        let site = Site::start().await;
        let (pushes, failed) = project(&site, git).await;
        let (own, acted) = act(&site, &backfill(pushes[4], failed, json!({"depth": 4}))).await;
        assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
        assert_eq!(there(&site, &pushes, "test-0-1").await, [1, 0, 1, 1, 1], "git: {git}");
        assert!(acted.says("it has no job `test-0-1`") && acted.says("ran already"), "{:#?}", acted.log);
        // One report covers all: the push that was asked, and the two where something was made.
        let groups: Vec<_> = acted.report().requests.iter().map(|report| report.group).collect();
        assert_eq!(groups, [pushes[4], pushes[3], pushes[0]]);
        for push in [pushes[3], pushes[0]] {
            let group = site.group(push).await;
            let made = &group["test-0-1"][0];
            assert!(made.task.dependencies.contains(&own.task), "a copy waits for the action task, wherever it is");
            assert!(made.task.dependencies.contains(&group["build-0"][0].status.task_id));
            assert_eq!(made.status.scheduler_id, crate::site::SCHEDULER);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn here_too_and_several_times() {
    let site = Site::start().await;
    let (pushes, failed) = project(&site, false).await;
    let input = json!({"depth": 2, "inclusive": true, "times": 2});
    let (_, acted) = act(&site, &backfill(pushes[4], failed, input)).await;
    assert_eq!(acted.report().result, Terminal::Done);
    // Where one ran well, one more makes two.
    assert_eq!(there(&site, &pushes, "test-0-1").await, [0, 0, 2, 2, 3]);
    // What was made counts, though no list says so.
    let (_, acted) = act(&site, &backfill(pushes[4], failed, json!({"depth": 4, "times": 2}))).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert_eq!(there(&site, &pushes, "test-0-1").await, [2, 0, 2, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_another_repository_or_scheduler_is_not_touched() {
    let site = Site::start().await;
    let (pushes, failed) = project(&site, false).await;
    // Somebody got other decision tasks into the index.
    let jobs = layered(1, 2);
    let forked = parameters(4, false, "https://github.com/example/fork");
    let (fork, _) = site.push_with(&jobs, SCHEDULED, SCHEDULED, &forked).await;
    index(&site, "lander.v2.lander.pushlog-id.4.decision", fork).await;
    let other = site.decision("other-level-3").await;
    let graph = crate::graph::full_graph(&jobs);
    let own = parameters(3, false, "https://github.com/example/lander");
    site.finish_decision(other, &graph, &BTreeMap::new(), &own).await;
    index(&site, "lander.v2.lander.pushlog-id.3.decision", other).await;
    let (_, acted) = act(&site, &backfill(pushes[4], failed, json!({"depth": 4}))).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert_eq!(there(&site, &[fork, other, pushes[0]], "test-0-1").await, [0, 0, 1]);
    assert!(
        acted.says("push 4: failed to trust") && acted.says("push 3: it has another schedulerId"),
        "{:#?}",
        acted.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_half_way_is_finished_on_all_pushes_by_the_next_run() {
    let site = Site::start().await;
    let (pushes, failed) = row(&site, 4).await;
    let ask = backfill(pushes[3], failed, json!({"depth": 3, "inclusive": true, "times": 2}));
    let own = action_task(&site, pushes[3]).await;
    // The plan, for all pushes, is an artifact; of the eight tasks three are created.
    let creates = AtomicUsize::new(0);
    site.proxy.rule(move |method, path| {
        if is_create(method, path) && creates.fetch_add(1, Ordering::SeqCst) >= 3 {
            Fault::Status(503)
        } else {
            Fault::None
        }
    });
    let acted = perform(&site.machine("worker-1"), own, &ask).await;
    site.proxy.heal();
    assert_eq!(acted.report().result, Terminal::Unfinished);
    assert_eq!(there(&site, &pushes, "test-0-1").await.iter().sum::<usize>(), 3 + 1);
    site.client().queue().report_exception(own.task, own.run, ExceptionReason::WorkerShutdown).await.unwrap();
    site.claim(own.task).await;
    // Meanwhile somebody's new push would change the answer; the stored plan counts.
    let acted = perform(&site.machine("worker-2"), OwnRun { run: 1, ..own }, &ask).await;
    assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
    assert!(acted.says("an earlier try"), "{:#?}", acted.log);
    assert_eq!(there(&site, &pushes, "test-0-1").await, [2, 2, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_on_which_it_cannot_be_had_stops_no_other() {
    let site = Site::start().await;
    let (pushes, failed) = project(&site, false).await;
    // One push's graph is not whole; the index names another one twice, and this one as an earlier one.
    let broken = parameters(4, false, "https://github.com/example/lander");
    let jobs = [job("toolchain-a", &[]), job("test-0-1", &["gone"])];
    let (lame, _) = site.push_with(&jobs, &[], &[], &broken).await;
    index(&site, "lander.v2.lander.pushlog-id.4.decision", lame).await;
    index(&site, "lander.v2.lander.pushlog-id.3.decision", pushes[4]).await;
    index(&site, "lander.v2.lander.pushlog-id.2.decision", pushes[0]).await;
    let (_, acted) = act(&site, &backfill(pushes[4], failed, json!({"depth": 4}))).await;
    assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
    assert_eq!(there(&site, &[lame, pushes[0], pushes[4]], "test-0-1").await, [0, 1, 1]);
    assert!(
        acted.says("which is not in it") && acted.says("push 1: the index names another push for it"),
        "{:#?}",
        acted.log
    );
    // Where there is no other push, that is why nothing is done.
    let (_, acted) = act(&site, &backfill(pushes[4], failed, json!({"depth": 1}))).await;
    assert!(acted.error().contains("which is not in it"), "{}", acted.error());
}

/// What each request of an action came to, by its push.
fn results(report: &ActionReport) -> Vec<(TaskId, Terminal)> {
    report.requests.iter().map(|request| (request.group, request.result)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_were_not_reached_are_told_and_finished_by_the_next_run() {
    let site = Site::start().await;
    let (pushes, last) = row(&site, 3).await;
    let ask = backfill(pushes[2], last, json!({"depth": 2, "times": 2}));
    let own = action_task(&site, pushes[2]).await;
    // When one copy is created, nobody tells any more how the run stands, for longer than a minute.
    let (clock, look) = (Arc::clone(&site.clock), format!("/api/queue/v1/task/{}/status", own.task));
    let (mut sent, mut later) = (0, false);
    site.proxy.rule(move |method, path| {
        sent += usize::from(is_create(method, path));
        match (is_create(method, path), sent) {
            (true, 1) | (false, 0) => Fault::None,
            (true, _) => Fault::Silence,
            (false, _) if path != look => Fault::None,
            (false, _) => {
                if !std::mem::replace(&mut later, true) {
                    clock.advance(Duration::from_secs(61));
                }
                Fault::Status(503)
            }
        }
    });
    let acted = perform(&site.machine("worker-1"), own, &ask).await;
    site.proxy.heal();
    assert!(matches!(acted.ended, Err(ActionError::Client(_))), "{:?}", acted.ended);
    let [here, nearest, furthest] = [pushes[2], pushes[1], pushes[0]];
    let unfinished = Terminal::Unfinished;
    assert_eq!(results(&acted.written()), [(here, Terminal::Done), (nearest, unfinished), (furthest, unfinished)]);
    assert_eq!(acted.written().result, unfinished);
    assert!(acted.log.last().unwrap().starts_with("not finished: the queue stopped answering"), "{:#?}", acted.log);
    assert_eq!(there(&site, &pushes, "test-0-1").await[0], 0);
    site.client().queue().report_exception(own.task, own.run, ExceptionReason::IntermittentTask).await.unwrap();
    site.claim(own.task).await;
    let acted = perform(&site.machine("worker-2"), OwnRun { run: 1, ..own }, &ask).await;
    assert_eq!(acted.report().result, Terminal::Done, "{acted:#?}");
    assert_eq!(there(&site, &pushes, "test-0-1").await, [2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_stopped_on_one_push_begins_nothing_on_the_next() {
    let site = Site::start().await;
    let (pushes, last) = row(&site, 3).await;
    let ask = backfill(pushes[2], last, json!({"depth": 2, "times": 2}));
    let own = action_task(&site, pushes[2]).await;
    let mut sent = 0;
    site.proxy.rule(move |method, path| {
        sent += usize::from(is_create(method, path));
        if is_create(method, path) && sent > 1 { Fault::Status(503) } else { Fault::None }
    });
    let acted = stopped_at(&site.machine("worker-1"), own, &ask, "created").await;
    site.proxy.heal();
    let [here, nearest, furthest] = [pushes[2], pushes[1], pushes[0]];
    let (done, interrupted) = (Terminal::Done, Terminal::Interrupted);
    // What was on its way to the nearest push was not answered.
    let wanted = [(here, done), (nearest, Terminal::Unfinished), (furthest, interrupted)];
    assert_eq!(results(acted.report()), wanted, "{:#?}", acted.log);
    assert_eq!(acted.report().result, interrupted);
    assert_eq!(there(&site, &pushes, "test-0-1").await, [0, 1, 1]);
    let acted = perform(&site.machine("worker-2"), own, &ask).await;
    assert_eq!(acted.report().result, done, "{acted:#?}");
    assert_eq!(there(&site, &pushes, "test-0-1").await, [2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_one_repository_makes_nothing_on_the_pushes_of_another() {
    let site = Site::start().await;
    // Two pull requests of one fork: their decision and action tasks work for what they ask to be pulled into.
    let jobs = layered(1, 2);
    let mut pushes = Vec::new();
    for number in [4, 5] {
        let own = parameters(number, false, "https://github.com/example/lander");
        let forked =
            own.replace("head_repository: https://github.com/example/", "head_repository: https://github.com/ann/");
        let (decision, ran) = site.push_with(&jobs, SCHEDULED, SCHEDULED, &forked).await;
        for label in SCHEDULED {
            site.complete(ran[*label]).await;
        }
        index(&site, &format!("lander.v2.lander.pushlog-id.{number}.decision"), decision).await;
        pushes.push(decision);
    }
    let failed = site.task(pushes[1], crate::site::SCHEDULER, "test-0-1", &[]).await;
    let (_, acted) = act(&site, &backfill(pushes[1], failed, json!({"depth": 1}))).await;
    assert!(acted.error().contains("github.com/ann/lander"), "{}", acted.error());
    assert_eq!(there(&site, &pushes, "test-0-1").await, [0, 1]);
    // With this push's own there is something to do, and the other one is told.
    let (_, acted) = act(&site, &backfill(pushes[1], failed, json!({"depth": 1, "inclusive": true}))).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert!(acted.says(&format!("nothing is made on the push of {}", pushes[0])), "{:#?}", acted.log);
    assert_eq!(there(&site, &pushes, "test-0-1").await, [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_can_be_had_on_one_push_is_made_on_the_others() {
    let site = Arc::new(Site::start().await);
    let (pushes, last) = row(&site, 3).await;
    // After it was planned, and before anything is created, somebody seals the group of the nearest push.
    let own = action_task(&site, pushes[2]).await;
    seal_at_the_first_create(&site, pushes[1]);
    let acted = perform(&site.machine("worker"), own, &backfill(pushes[2], last, json!({"depth": 2}))).await;
    site.proxy.heal();
    let wanted = [(pushes[2], Terminal::Done), (pushes[1], Terminal::Refused), (pushes[0], Terminal::Done)];
    assert_eq!(results(acted.report()), wanted, "{:#?}", acted.log);
    assert_eq!(acted.report().result, Terminal::Refused);
    assert!(acted.log.last().unwrap().starts_with("failed: the queue refused some tasks"), "{:#?}", acted.log);
    assert_eq!(there(&site, &pushes, "test-0-1").await, [1, 0, 1]);
}

/// The first createTask is held until this group is sealed.
pub(crate) fn seal_at_the_first_create(site: &Arc<Site>, group: TaskId) {
    let (runtime, here, mut sealed) = (tokio::runtime::Handle::current(), Arc::clone(site), false);
    site.proxy.rule(move |method, path| {
        if !is_create(method, path) || std::mem::replace(&mut sealed, true) {
            return Fault::None;
        }
        let here = Arc::clone(&here);
        runtime.spawn(async move {
            here.client().queue().seal_task_group(group).await.unwrap();
            here.proxy.release();
        });
        Fault::Silence
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_job_is_not_backfilled() {
    let site = Site::start().await;
    let (decision, _) = push(&site, 5, true, &layered(1, 1)).await;
    let (_, acted) = act(&site, &backfill(decision, decision, json!({}))).await;
    assert!(acted.error().contains("Decision Task"), "{}", acted.error());
    let none = ActionAsk { task: None, ..backfill(decision, decision, json!({})) };
    let (_, acted) = act(&site, &none).await;
    assert!(acted.error().contains("none was named"), "{}", acted.error());
}
