//! The action worker, in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use taskgraft_core::api::queue::{TaskDefinitionAndStatus, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_engine::Cache;
use taskgraft_engine::worker::{self, Config};
use taskgraft_testkit::proxy::Fault;

use crate::graph::layered;
use crate::site::{SCHEDULER, Site, assert_whole, counts, definition};

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

/// As [`assert_whole`], where requested copies wait for the action task too.
fn assert_whole_but(group: &BTreeMap<String, Vec<TaskDefinitionAndStatus>>, decision: TaskId, action: TaskId) {
    let mut group = group.clone();
    for task in group.values_mut().flatten() {
        task.task.dependencies.retain(|dependency| *dependency != action);
    }
    assert_whole(&group, decision);
}
