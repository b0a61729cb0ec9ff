//! What happened, told to whoever in this process waits for it, once it is on disk.

use std::sync::Arc;

use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{RunState, TaskState};
use tokio::sync::broadcast;

use super::messages::Message;

/// How many events a slow listener may be behind before it misses some.
const BEHIND: usize = 4096;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// To a task.
    Task(TaskChange),
    /// `task-group-resolved`: no task of the group is unfinished, for now. Another one may still join it, and it is told again.
    GroupResolved(TaskId),
}

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Which task.
    pub task_id: TaskId,
    /// Its group.
    pub task_group_id: TaskId,
    /// Its task queue.
    pub task_queue_id: String,
    /// Its state now.
    pub state: TaskState,
    /// What.
    pub what: What,
}

/// What can happen to a task, as the queue's exchanges name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `task-defined`
    Defined,
    /// `task-pending`, `task-running`, `task-completed`, `task-failed`, `task-exception`: a run entered that state.
    Run(u16, RunState),
}

/// Where events are told. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Happened>>,
    messages: broadcast::Sender<Arc<Message>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND), messages: broadcast::Sender::new(BEHIND) }
    }
}

impl Bus {
    /// Tells everybody who listens.
    pub(crate) fn publish(&self, events: Vec<Happened>, messages: Vec<Arc<Message>>) {
        for event in events {
            // An error means that nobody listens.
            let _ = self.sender.send(Arc::new(event));
        }
        for message in messages {
            let _ = self.messages.send(message);
        }
    }

    /// Hears from now on what happens to tasks and groups. Who is too slow misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Happened>> {
        self.sender.subscribe()
    }

    /// Hears from now on what the queue's exchanges say, as a broker would be told. Who is too slow misses some.
    #[must_use]
    pub fn messages(&self) -> broadcast::Receiver<Arc<Message>> {
        self.messages.subscribe()
    }

    /// Whether anybody hears what the exchanges say.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages.receiver_count() > 0
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Hears everything from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener { receiver: self.sender.subscribe() }
    }
}

/// Somebody who listens.
pub struct Listener {
    receiver: broadcast::Receiver<Arc<Happened>>,
}

impl Listener {
    /// Waits until a run of the task queue becomes pending, or may have; `false` if nothing can happen any more.
    pub async fn pending(&mut self, task_queue_id: &str) -> bool {
        loop {
            match self.receiver.recv().await {
                Ok(event) => {
                    if let Happened::Task(TaskChange {
                        what: What::Run(_, RunState::Pending), task_queue_id: at, ..
                    }) = &*event
                        && at == task_queue_id
                    {
                        return true;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return true,
                Err(broadcast::error::RecvError::Closed) => return false,
            }
        }
    }
}
