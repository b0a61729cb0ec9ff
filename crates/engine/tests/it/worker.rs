//! The action worker, in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};
use taskgraft_client::Client;
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, TaskState};
use taskgraft_core::time::Millis;
use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config};
use taskgraft_testkit::proxy::Fault;

use crate::backfill::{row, seal_at_the_first_create};
use crate::graph::{full_graph, layered};
use crate::site::{SCHEDULER, Site, assert_whole, counts, definition, parameters};

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(20);
/// Nothing here takes longer.
const LONGEST: Duration = Duration::from_secs(120);
const QUEUE: &str = "proj-lander/action";

/// An action task that adds these labels.
async fn action(site: &Site, decision: TaskId, labels: &[&str]) -> TaskId {
    acting(site, "add-new-jobs", decision, None, &json!({"tasks": labels})).await
}

async fn acting(site: &Site, callback: &str, decision: TaskId, subject: Option<TaskId>, input: &Value) -> TaskId {
    let id = TaskId::from_bytes(rand::random());
    let mut task = definition(site.now(), decision, SCHEDULER, "action", &[]);
    task["workerType"] = json!("action");
    task["scopes"] = json!(["assume:repo:github.com/example/lander:action:generic", "queue:*"]);
    task["payload"] = json!({
        "maxRunTime": 1800, "command": [],
        "env": {
            "ACTION_TASK_GROUP_ID": decision, "ACTION_CALLBACK": callback,
            "ACTION_TASK_ID": json!(subject).to_string(), "ACTION_INPUT": input.to_string(),
        },
    });
    task["extra"] = json!({"parent": decision, "action": {"name": callback, "context": {}}});
    site.client().queue().create_task(id, task.to_string().into()).await.unwrap();
    id
}

/// Works until the task is resolved.
async fn work_until_resolved(site: &Site, task: TaskId) -> TaskStatus {
    // Past what stands before the server: the worker's own looks are told apart by nothing.
    let reader = Client::new(taskgraft_client::Config {
        clock: site.clock.clone(),
        ..taskgraft_client::Config::new(format!("http://{}", site.running.address()))
    });
    let reader = reader.unwrap();
    let resolved = until(async || reader.queue().status(task).await.is_ok_and(|status| status.state.is_resolved()));
    worker::run(config(site), site.client(), resolved).await.unwrap();
    reader.queue().status(task).await.unwrap()
}

/// How its runs ended.
fn ends(status: &TaskStatus) -> Vec<Option<ReasonResolved>> {
    status.runs.iter().map(|run| run.reason_resolved).collect()
}

/// Both jobs are there, and everything once.
async fn assert_done_once(site: &Site, decision: TaskId, action: TaskId) {
    let mut group = site.group(decision).await;
    group.remove("action");
    // Requested copies wait for the action task too.
    for task in group.values_mut().flatten() {
        task.task.dependencies.retain(|dependency| *dependency != action);
    }
    assert_whole(&group, decision);
    assert!(counts(&group).values().all(|count| *count == 1), "{:?}", counts(&group));
    assert!(group.contains_key("test-0-0") && group.contains_key("test-1-1"));
}

/// A worker that hands back at once what runs when it is told to stop.
fn config(site: &Site) -> Config {
    let dir = site.dir.path().join("worker");
    let cache = Cache::remembering(&dir.join("cache"), 1 << 30, 1 << 30).unwrap();
    Config { grace: Duration::ZERO, ..Config::new(QUEUE, dir, cache) }
}

/// Looks until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < LONGEST, "waited in vain");
        tokio::time::sleep(GLANCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_answers_are_made_again() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let action = action(&site, decision, &["test-0-0", "test-1-1"]).await;
    let (mut claimed, mut seen) = (false, 0);
    site.proxy.rule(move |_, path| {
        claimed |= path.contains("/claim-work/");
        // Looks at statuses come by the clock.
        if !claimed || path.ends_with("/status") {
            return Fault::None;
        }
        seen += 1;
        if seen % 5 == 0 && seen < 30 { Fault::Silence } else { Fault::None }
    });
    let status = work_until_resolved(&site, action).await;
    site.proxy.heal();
    assert_eq!(status.state, TaskState::Completed);
    assert_eq!(status.runs.len(), 1);
    assert_done_once(&site, decision, action).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_decision_task_that_was_tried_again_the_run_that_completed_counts() {
    let site = Site::start().await;
    let decision = site.decision(SCHEDULER).await;
    let build = site.task(decision, SCHEDULER, "build-0", &[]).await;
    let stray = site.task(decision, SCHEDULER, "stray", &[]).await;
    let labels = |id| BTreeMap::from([("build-0".to_owned(), id)]);
    let queue = site.client();
    // Its first run leaves a smaller graph, and another build.
    site.claim(decision).await;
    site.publish((decision, 0), &full_graph(&layered(1, 1)), &labels(stray), &parameters("3")).await;
    queue.queue().report_failed(decision, 0).await.unwrap();
    queue.queue().rerun_task(decision).await.unwrap();
    site.claim(decision).await;
    site.publish((decision, 1), &full_graph(&layered(2, 2)), &labels(build), &parameters("3")).await;
    queue.queue().report_completed(decision, 1).await.unwrap();
    let action = action(&site, decision, &["test-0-1", "test-1-0"]).await;
    assert_eq!(work_until_resolved(&site, action).await.state, TaskState::Completed);
    let group = site.group(decision).await;
    assert_eq!(counts(&group)["build-0"], 1);
    assert_eq!((counts(&group)["test-1-0"], counts(&group)["build-1"]), (1, 1));
    let needs = &group["test-0-1"][0].task.dependencies;
    assert!(needs.contains(&build) && !needs.contains(&stray), "{needs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_half_way_leave_the_rest_to_the_next_run() {
    let site = Arc::new(Site::start().await);
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let action = action(&site, decision, &["test-0-0", "test-1-1"]).await;
    let (here, mut creates) = (Arc::clone(&site), 0);
    // The claim is not renewed, and hours go by: it is over, and so is the time that its certificate is good for.
    site.proxy.rule(move |method, path| {
        if path.ends_with("/reclaim") && creates < 3 {
            return Fault::Status(403);
        }
        creates += usize::from(method == "PUT" && path.starts_with("/api/queue/v1/task/"));
        if creates == 3 {
            here.clock.advance(Duration::from_secs(3 * 3600));
            creates += 1;
        }
        Fault::None
    });
    let status = work_until_resolved(&site, action).await;
    site.proxy.heal();
    assert_eq!(ends(&status), [Some(ReasonResolved::ClaimExpired), Some(ReasonResolved::Completed)]);
    assert_done_once(&site, decision, action).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_nobody_tells_for_a_minute_is_left_to_the_next_one() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let action = action(&site, decision, &["test-0-0", "test-1-1"]).await;
    // Once one task is created, looks at the run fail, and a minute goes by; until the run ends.
    let (clock, look) = (Arc::clone(&site.clock), format!("/api/queue/v1/task/{action}/status"));
    let (mut created, mut later, mut over) = (false, false, false);
    site.proxy.rule(move |method, path| {
        let create = method == "PUT" && path.starts_with("/api/queue/v1/task/");
        over |= path.ends_with("/exception");
        if over {
            return Fault::None;
        }
        if create && std::mem::replace(&mut created, true) {
            return Fault::Silence;
        }
        if !created || path != look {
            return Fault::None;
        }
        if !std::mem::replace(&mut later, true) {
            clock.advance(Duration::from_secs(61));
        }
        Fault::Status(503)
    });
    let status = work_until_resolved(&site, action).await;
    site.proxy.heal();
    assert_eq!(ends(&status), [Some(ReasonResolved::IntermittentTask), Some(ReasonResolved::Completed)]);
    assert_done_once(&site, decision, action).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_jobs_one_push_takes_no_more_fails_and_makes_the_others() {
    let site = Arc::new(Site::start().await);
    let (pushes, last) = row(&site, 3).await;
    let action = acting(&site, "backfill", pushes[2], Some(last), &json!({"depth": 2})).await;
    seal_at_the_first_create(&site, pushes[1]);
    let status = work_until_resolved(&site, action).await;
    assert_eq!((status.state, ends(&status)), (TaskState::Failed, vec![Some(ReasonResolved::Failed)]));
    let made = async |push: TaskId| site.group(push).await.contains_key("test-0-1");
    assert_eq!((made(pushes[1]).await, made(pushes[0]).await), (false, true));
}

/// Indexes a decision task as the project's latest.
async fn latest(site: &Site, task_id: TaskId) {
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let request = InsertTaskRequest { task_id, rank: 0, data: json!({}), expires };
    site.client().index().insert_task(LATEST, &request).await.unwrap();
}

/// Where the project's latest decision task is indexed.
const LATEST: &str = "lander.v2.lander.latest.taskgraph.decision";

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_fetched_ahead_once_and_again_only_where_the_service_was_at_fault() {
    let site = Site::start().await;
    let (good, _) = site.push(&layered(1, 1), &[]).await;
    let lame = site.decision(SCHEDULER).await;
    site.finish_decision(lame, &full_graph(&layered(1, 1)), &BTreeMap::new(), "level: [").await;
    // So often each one's parameters were asked for, and so often the index was asked.
    let (of_good, of_lame, looks) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = [Arc::clone(&of_good), Arc::clone(&of_lame), Arc::clone(&looks)];
    // More than one fetch tries.
    let trouble = 20;
    site.proxy.rule(move |_, path| {
        let parameters = |of: TaskId| path.contains(of.as_str()) && path.ends_with("parameters.yml");
        let is = [parameters(good), parameters(lame), path.ends_with(LATEST)];
        for (count, _) in counts.iter().zip(is).filter(|(_, is)| *is) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let fails = is[0] && counts[0].load(Ordering::SeqCst) <= trouble;
        if fails { Fault::Status(503) } else { Fault::None }
    });
    let more_looks = async || {
        let enough = looks.load(Ordering::SeqCst) + 3;
        until(async || looks.load(Ordering::SeqCst) >= enough).await;
    };
    let told = async {
        latest(&site, good).await;
        until(async || of_good.load(Ordering::SeqCst) > trouble).await;
        more_looks().await;
        assert_eq!(of_good.load(Ordering::SeqCst), trouble + 1, "once it is there, it is not fetched again");
        latest(&site, lame).await;
        until(async || of_lame.load(Ordering::SeqCst) > 0).await;
        more_looks().await;
        assert_eq!(of_lame.load(Ordering::SeqCst), 1, "what is wrong with it stays wrong");
    };
    let config = Config { prefetch: vec![LATEST.to_owned()], ..config(&site) };
    worker::run(config, site.client(), told).await.unwrap();
}
