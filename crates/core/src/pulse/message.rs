//! A message, understood.

use super::exchange::{Exchange, Kind};
use crate::ids::TaskId;

/// What Treeherder said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published. Inferred from its fields where nobody said: Treeherder's own, then.
    pub exchange: Exchange,
    /// The project's short name, such as `try`.
    pub project: String,
    /// Who clicked, usually by email address, as Treeherder asserts. Nobody has checked it.
    pub requester: String,
    /// What is wanted.
    pub wants: Wants,
}

/// What a message wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// New jobs.
    NewJobs {
        /// On which push.
        push: Push,
        /// Labels and Buildbot builder names, each once, in the order of the message; at least one.
        jobs: Vec<String>,
    },
    /// Something for all of a push.
    OnPush {
        /// Treeherder's number of the push.
        resultset: u64,
        /// What.
        action: PushAction,
        /// How many times; 1 where it isn't told.
        times: u32,
    },
    /// Something for one job.
    OnJob {
        /// Which.
        job: Job,
        /// What.
        action: JobAction,
        /// The build system that it ran in, where that is told.
        system: Option<String>,
    },
}

/// How a message names its push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Push {
    /// By Treeherder's number.
    Number(u64),
    /// By its decision task, and perhaps by Treeherder's number as well.
    Decision(TaskId, Option<u64>),
}

/// What can be done with all of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushAction {
    /// Cancel whatever has not ended.
    CancelAll,
    /// Run what was meant to run and has no job.
    TriggerMissingJobs,
    /// Run all performance jobs.
    TriggerAllTalosJobs,
}

/// What can be done with one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobAction {
    /// Run it on earlier pushes.
    Backfill,
    /// Cancel it.
    Cancel,
    /// Run another of it.
    Retrigger,
}

/// One of Treeherder's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// One that its guid says is a Taskcluster task.
    Task(TaskId),
    /// One that only Treeherder knows, by its number.
    Number(u64),
}

impl PushAction {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::CancelAll, Self::TriggerMissingJobs, Self::TriggerAllTalosJobs];

    /// Treeherder's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CancelAll => "cancel_all",
            Self::TriggerMissingJobs => "trigger_missing_jobs",
            Self::TriggerAllTalosJobs => "trigger_all_talos_jobs",
        }
    }
}

impl JobAction {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Backfill, Self::Cancel, Self::Retrigger];

    /// Treeherder's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Cancel => "cancel",
            Self::Retrigger => "retrigger",
        }
    }
}

impl Message {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.exchange.kind
    }

    /// What it wants, in Treeherder's word; none where the exchange says it all.
    #[must_use]
    pub fn action(&self) -> Option<&'static str> {
        match &self.wants {
            Wants::NewJobs { .. } => None,
            Wants::OnPush { action, .. } => Some(action.as_str()),
            Wants::OnJob { action, .. } => Some(action.as_str()),
        }
    }
}
