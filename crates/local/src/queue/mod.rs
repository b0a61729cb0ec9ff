//! The queue: tasks, their runs, groups, claims and artifacts.
//!
//! Handlers are thin: they read the call, judge scopes, and run one operation in a transaction. A task's state changes
//! in `change` only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use taskgraft_core::ids::TaskId;
use tokio::sync::Notify;

use crate::http::{ApiError, Call};

mod artifacts;
mod change;
mod claim;
mod control;
mod create;
mod credentials;
mod definition;
mod events;
mod groups;
pub mod jobs;
mod lists;
mod messages;
pub(crate) mod outbox;
mod queues;
mod report;
mod table;
mod task;
mod workers;

pub use artifacts::blobs::ARTIFACTS;
pub(crate) use artifacts::fetch::latest_location;
pub(crate) use create::{NewTask, create_with};
pub use events::{Bus, Happened, Listener, TaskChange, What};
pub use messages::{EXCHANGES, Message, PREFIX};
pub(crate) use table::SERVICE;
pub(crate) use task::Task;

/// How the queue behaves. The defaults are a real deployment's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim lasts unless renewed.
    pub claim_lasts: SignedDuration,
    /// How long `claimWork` waits for a task.
    pub long_poll: Duration,
    /// For tests of those who create tasks: every so many-th `createTask` of a task with dependencies answers 500 after
    /// the task is inserted and before its dependencies are tracked, as a real queue can break. 0 is never.
    pub break_creates_every: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            claim_lasts: SignedDuration::from_secs(1200),
            long_poll: Duration::from_secs(20),
            break_creates_every: 0,
        }
    }
}

/// The queue's part of what every handler gets to see.
pub struct Queue {
    /// Where is told what happens to tasks.
    pub bus: Bus,
    /// Whether messages are written down for a broker.
    publishes: bool,
    /// Told when something was.
    written: Arc<Notify>,
    settings: Settings,
    created: AtomicU32,
}

impl Queue {
    /// A queue that behaves as told, and writes its messages down for a broker if there is one.
    #[must_use]
    pub fn new(settings: Settings, publishes: bool) -> Self {
        Self { bus: Bus::default(), publishes, written: Arc::default(), settings, created: AtomicU32::new(0) }
    }

    /// Whether the next `createTask` of a task with dependencies shall break.
    fn breaks_next_create(&self) -> bool {
        let every = self.settings.break_creates_every;
        every > 0 && self.created.fetch_add(1, Ordering::Relaxed).wrapping_add(1).is_multiple_of(every)
    }
}

/// The task that the URL names.
fn task_id(call: &Call) -> Result<TaskId, ApiError> {
    call.param("taskId").parse().map_err(|error| ApiError::input(format!("{error}")))
}

/// The run that the URL names; what is too large names no run that exists.
fn run_id(call: &Call) -> u16 {
    call.param("runId").parse().unwrap_or(u16::MAX)
}
