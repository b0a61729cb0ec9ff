//! What the queue's exchanges say, and how it is addressed: exchanges.json of a real deployment's queue, version 1.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskgraft_core::api::queue::{Priority, TaskDefinition, TaskGroup};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Run, RunState};

use super::task::{Task, split_queue_id};

/// What all the exchanges' names begin with.
pub const PREFIX: &str = "exchange/taskcluster-queue/v1/";

/// The exchanges, without that.
pub const EXCHANGES: [&str; 11] = [
    "task-defined",
    "task-pending",
    "task-running",
    "artifact-created",
    "task-completed",
    "task-failed",
    "task-exception",
    "task-group-resolved",
    "task-group-sealed",
    "task-priority-changed",
    "task-group-priority-changed",
];

/// A message of one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Which: one of [`EXCHANGES`].
    pub exchange: &'static str,
    /// `primary.…`, with `_` for what there is none of.
    pub routing_key: String,
    /// Further keys: `route.<route>` for each of the task's.
    pub routes: Vec<String>,
    /// What it says.
    pub body: Value,
}

/// A task and what of its definition messages need.
pub(super) struct Subject<'a> {
    task: &'a Task,
    routes: Vec<String>,
    tags: BTreeMap<String, String>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(task: &'a Task, definition: TaskDefinition) -> Self {
        let routes = definition.routes.iter().map(|route| format!("route.{route}")).collect();
        Self { task, routes, tags: definition.tags.into_iter().collect() }
    }

    /// It was made; nothing of it runs yet.
    pub(super) fn defined(&self) -> Message {
        let mut unborn = self.task.clone();
        unborn.life.runs.clear();
        self.message("task-defined", None, json!({"status": unborn.status(), "task": {"tags": self.tags}}))
    }

    /// A run entered its state.
    pub(super) fn run(&self, run: &Run) -> Message {
        let exchange = match run.state {
            RunState::Pending => "task-pending",
            RunState::Running => "task-running",
            RunState::Completed => "task-completed",
            RunState::Failed => "task-failed",
            RunState::Exception => "task-exception",
        };
        let mut body = json!({"status": self.task.status(), "runId": run.run_id, "task": {"tags": self.tags}});
        if run.state != RunState::Pending {
            for (key, value) in [("workerGroup", &run.worker_group), ("workerId", &run.worker_id)] {
                if let Some(value) = value {
                    body[key] = json!(value);
                }
            }
        }
        if run.state == RunState::Running {
            body["takenUntil"] = json!(run.taken_until);
        }
        self.message(exchange, Some(run), body)
    }

    /// An artifact of a run can be had.
    pub(super) fn artifact(&self, run: &Run, artifact: Value) -> Message {
        let body = json!({
            "status": self.task.status(),
            "runId": run.run_id,
            "workerGroup": run.worker_group,
            "workerId": run.worker_id,
            "artifact": artifact,
        });
        self.message("artifact-created", Some(run), body)
    }

    /// It is more or less urgent now.
    pub(super) fn priority(&self, old: Priority) -> Message {
        let body = json!({"status": self.task.status(), "oldPriority": old, "newPriority": self.task.priority});
        self.message("task-priority-changed", None, body)
    }

    fn message(&self, exchange: &'static str, run: Option<&Run>, body: Value) -> Message {
        let (provisioner, worker_type) = split_queue_id(&self.task.task_queue_id);
        let or_none = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("_").to_owned();
        let words = [
            self.task.task_id.to_string(),
            run.map_or_else(|| "_".to_owned(), |run| run.run_id.to_string()),
            or_none(run.and_then(|run| run.worker_group.as_deref())),
            or_none(run.and_then(|run| run.worker_id.as_deref())),
            provisioner.to_owned(),
            or_none(Some(worker_type)),
            self.task.scheduler_id.clone(),
            self.task.task_group_id.to_string(),
        ];
        let routing_key = format!("primary.{}._", words.join("."));
        Message { exchange, routing_key, routes: self.routes.clone(), body: versioned(body) }
    }
}

/// All tasks of a group are resolved, for now.
pub(super) fn group_resolved(group: &TaskGroup) -> Message {
    of_group("task-group-resolved", group.task_group_id, &group.scheduler_id, changed(group))
}

/// A group takes no more tasks.
pub(super) fn group_sealed(group: &TaskGroup) -> Message {
    of_group("task-group-sealed", group.task_group_id, &group.scheduler_id, changed(group))
}

/// So many of a group's tasks are more or less urgent now.
pub(super) fn group_priority(task_group_id: TaskId, scheduler_id: &str, new: Priority, affected: u64) -> Message {
    let body = json!({
        "taskGroupId": task_group_id,
        "schedulerId": scheduler_id,
        "newPriority": new,
        "tasksAffected": affected,
    });
    of_group("task-group-priority-changed", task_group_id, scheduler_id, body)
}

fn changed(group: &TaskGroup) -> Value {
    let mut body = json!({
        "taskGroupId": group.task_group_id,
        "schedulerId": group.scheduler_id,
        "expires": group.expires,
    });
    if let Some(sealed) = group.sealed {
        body["sealed"] = json!(sealed);
    }
    body
}

fn of_group(exchange: &'static str, task_group_id: TaskId, scheduler_id: &str, body: Value) -> Message {
    let routing_key = format!("primary.{task_group_id}.{scheduler_id}._");
    Message { exchange, routing_key, routes: Vec::new(), body: versioned(body) }
}

fn versioned(mut body: Value) -> Value {
    body["version"] = json!(1);
    body
}
