//! The action worker, in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskgraft_core::api::queue::{TaskDefinitionAndStatus, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, TaskState};
use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config};
use taskgraft_testkit::proxy::Fault;

use crate::graph::{full_graph, layered};
use crate::site::{SCHEDULER, Site, assert_whole, counts, definition, parameters};

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(20);
const QUEUE: &str = "proj-lander/action";

/// An action task that adds these labels.
async fn action(site: &Site, decision: TaskId, labels: &[&str]) -> TaskId {
    let id = TaskId::from_bytes(rand::random());
    let mut task = definition(site.now(), decision, SCHEDULER, "action", &[]);
    task["workerType"] = json!("action");
    task["scopes"] = json!(["assume:repo:github.com/example/lander:action:generic", "queue:*"]);
    task["payload"] = json!({
        "maxRunTime": 1800, "command": [],
        "env": {
            "ACTION_TASK_GROUP_ID": decision, "ACTION_CALLBACK": "add-new-jobs",
            "ACTION_INPUT": json!({"tasks": labels}).to_string(),
        },
    });
    task["extra"] = json!({"parent": decision, "action": {"name": "add-new-jobs", "context": {}}});
    site.client().queue().create_task(id, task.to_string().into()).await.unwrap();
    id
}

/// Works until the task is resolved.
async fn work_until_resolved(site: &Site, task: TaskId) -> TaskStatus {
    let dir = site.dir.path().join("worker");
    let cache = Cache::remembering(&dir.join("cache"), 1 << 30, 1 << 30).unwrap();
    let config = Config { grace: Duration::ZERO, ..Config::new(QUEUE, dir, cache) };
    let client = site.client();
    let resolved = async {
        loop {
            if let Ok(status) = client.queue().status(task).await
                && status.state.is_resolved()
            {
                return;
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    worker::run(config, site.client(), resolved).await.unwrap();
    site.client().queue().status(task).await.unwrap()
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
    let mut group = site.group(decision).await;
    group.remove("action");
    assert_whole_but(&group, decision, action);
    assert!(counts(&group).values().all(|count| *count == 1), "{:?}", counts(&group));
    assert!(group.contains_key("test-0-0") && group.contains_key("test-1-1"));
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
    let ends: Vec<_> = status.runs.iter().map(|run| run.reason_resolved).collect();
    assert_eq!(ends, [Some(ReasonResolved::ClaimExpired), Some(ReasonResolved::Completed)]);
    let mut group = site.group(decision).await;
    group.remove("action");
    assert_whole_but(&group, decision, action);
    assert!(counts(&group).values().all(|count| *count == 1), "{:?}", counts(&group));
    assert!(group.contains_key("test-0-0") && group.contains_key("test-1-1"));
}

/// As [`assert_whole`], where requested copies wait for the action task too.
fn assert_whole_but(group: &BTreeMap<String, Vec<TaskDefinitionAndStatus>>, decision: TaskId, action: TaskId) {
    let mut group = group.clone();
    for task in group.values_mut().flatten() {
        task.task.dependencies.retain(|dependency| *dependency != action);
    }
    assert_whole(&group, decision);
}
