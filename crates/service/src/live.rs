//! What becomes of tasks and their groups while somebody watches: queue exchanges' messages, handed on to whoever follows
//! events.

use serde::Deserialize;
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use tokio::sync::broadcast;

/// How many events wait for a follower that does not take them.
const BUFFER: usize = 4096;

/// The exchange that says of a group that it has resolved.
const GROUP_RESOLVED: &str = "exchange/taskcluster-queue/v1/task-group-resolved";

/// The queue's exchanges that say where a task or a group stands.
pub(crate) const EXCHANGES: [&str; 7] = [
    "exchange/taskcluster-queue/v1/task-defined",
    "exchange/taskcluster-queue/v1/task-pending",
    "exchange/taskcluster-queue/v1/task-running",
    "exchange/taskcluster-queue/v1/task-completed",
    "exchange/taskcluster-queue/v1/task-failed",
    "exchange/taskcluster-queue/v1/task-exception",
    GROUP_RESOLVED,
];

/// What queue exchanges say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEvent {
    /// A task came into a state.
    Task(TaskEvent),
    /// A group has resolved: no task of it is unfinished. It may be told again, also of a group that went on meanwhile.
    GroupResolved(TaskId),
}

/// A task came into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEvent {
    /// The task.
    pub task: TaskId,
    /// Its group.
    pub group: TaskId,
    /// Its state.
    pub state: TaskState,
    /// Its last run, if it has one.
    pub run: Option<u16>,
}

impl LiveEvent {
    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> TaskId {
        match self {
            Self::Task(event) => event.group,
            Self::GroupResolved(group) => *group,
        }
    }
}

/// Where events come together. Clones are the same.
#[derive(Debug, Clone)]
pub struct Live(broadcast::Sender<LiveEvent>);

#[derive(Deserialize)]
struct OfTask {
    status: TaskStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfGroup {
    task_group_id: TaskId,
}

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(BUFFER).0)
    }
}

impl Live {
    /// Hands on what a message of a queue exchange says. Exchanges that say nothing of where a task or a group stands are
    /// passed over, as is what can't be understood: whoever wants to be sure asks the queue.
    pub fn tell(&self, exchange: &str, payload: &[u8]) {
        if let Some(event) = read(exchange, payload) {
            self.hand_on(event);
        }
    }

    /// Hands on an event.
    pub fn hand_on(&self, event: LiveEvent) {
        // Nobody follows, perhaps.
        let _ = self.0.send(event);
    }

    /// All events from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<LiveEvent> {
        self.0.subscribe()
    }
}

fn read(exchange: &str, payload: &[u8]) -> Option<LiveEvent> {
    if !EXCHANGES.contains(&exchange) {
        return None;
    }
    if exchange == GROUP_RESOLVED {
        let OfGroup { task_group_id } = serde_json::from_slice(payload).ok()?;
        return Some(LiveEvent::GroupResolved(task_group_id));
    }
    let OfTask { status } = serde_json::from_slice(payload).ok()?;
    let run = status.runs.last().map(|run| run.run_id);
    Some(LiveEvent::Task(TaskEvent { task: status.task_id, group: status.task_group_id, state: status.state, run }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_exchanges_say_of_tasks_and_groups_is_handed_on_and_the_rest_is_not() {
        let live = Live::default();
        let mut follower = live.follow();
        let (id, at) = (TaskId::from_bytes([1; 16]), "2026-11-22T12:00:00.000Z");
        let message = json!({"version": 1, "runId": 0, "status": {
            "taskId": id, "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "s",
            "projectId": "none", "taskGroupId": id, "priority": "low", "deadline": at, "expires": at, "retriesLeft": 5,
            "state": "running",
            "runs": [{"runId": 0, "state": "running", "reasonCreated": "scheduled", "scheduled": at}],
        }})
        .to_string();
        live.tell("exchange/taskcluster-queue/v1/task-running", message.as_bytes());
        live.tell("exchange/taskcluster-queue/v1/artifact-created", message.as_bytes());
        live.tell("exchange/other/v1/task-running", message.as_bytes());
        live.tell("exchange/taskcluster-queue/v1/task-failed", b"{}");
        let group = json!({"version": 1, "taskGroupId": id, "schedulerId": "s", "expires": at}).to_string();
        for exchange in ["task-group-resolved", "task-group-sealed", "task-running"] {
            live.tell(&format!("exchange/taskcluster-queue/v1/{exchange}"), group.as_bytes());
        }
        live.tell("exchange/taskcluster-queue/v1/task-group-resolved", message.as_bytes());
        let running = TaskEvent { task: id, group: id, state: TaskState::Running, run: Some(0) };
        let told: Vec<_> = std::iter::from_fn(|| follower.try_recv().ok()).collect();
        assert_eq!(told, [LiveEvent::Task(running), LiveEvent::GroupResolved(id)]);
    }
}
