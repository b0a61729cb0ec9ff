//! Tasks that exist and might stand in for one, and who judges them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::graph::TaskIx;
use crate::ids::TaskId;
use crate::state::TaskState;
use crate::time::format_ms;

/// Where a candidate was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Among the tasks of this push.
    Existing,
    /// In the index, at this path.
    Index(String),
}

/// A task that exists and might stand in for one of the graph.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The task that it might stand in for.
    pub task: TaskIx,
    /// Its id.
    pub task_id: TaskId,
    /// Where it was found.
    pub source: &'a Source,
    /// The latest deadline of what depends on the task: until then the stand-in must be there. None where nothing
    /// depends on it.
    pub deadline: Option<Timestamp>,
}

/// Why a candidate can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The index has nothing there.
    NotIndexed,
    /// The queue doesn't know it.
    NoStatus,
    /// It is in a state from which it won't be of use.
    State(TaskState),
    /// It goes before its dependents are due.
    Expires {
        /// When it goes.
        expires: Timestamp,
        /// When the last of its dependents is due.
        deadline: Timestamp,
    },
    /// It waits for a task that can't be used itself.
    WaitsFor(TaskId),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIndexed => f.write_str("nothing is indexed there"),
            Self::NoStatus => f.write_str("the queue doesn't know it"),
            Self::State(state) => write!(f, "it is {}", state.as_str()),
            Self::Expires { expires, deadline } => {
                write!(f, "it expires {}, before {}", format_ms(*expires), format_ms(*deadline))
            }
            Self::WaitsFor(task_id) => write!(f, "it waits for {task_id}, which can't be used"),
        }
    }
}

/// A candidate that wasn't used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it was looked for.
    pub source: Source,
    /// Its id; none where nothing was found.
    pub task_id: Option<TaskId>,
    /// Why it wasn't used.
    pub why: Unusable,
}

/// Decides which tasks may stand in for others.
pub trait Judge {
    /// Whether the candidate may be used.
    ///
    /// # Errors
    ///
    /// Why not.
    fn judge(&self, candidate: &Candidate<'_>) -> Result<(), Unusable>;
}

/// What the queue says about a task, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: TaskState,
    /// When it goes.
    pub expires: Timestamp,
}

/// The reference's judgement: an existing task is always good; an indexed one unless it failed, or goes before the
/// last deadline of its dependents.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceJudge<'a> {
    /// The status of each indexed task.
    pub statuses: &'a BTreeMap<TaskId, Status>,
}

impl Judge for ReferenceJudge<'_> {
    fn judge(&self, candidate: &Candidate<'_>) -> Result<(), Unusable> {
        match candidate.source {
            Source::Existing => Ok(()),
            Source::Index(_) => {
                let status = self.statuses.get(&candidate.task_id).ok_or(Unusable::NoStatus)?;
                match (status.state, candidate.deadline) {
                    (TaskState::Failed | TaskState::Exception, _) => Err(Unusable::State(status.state)),
                    (_, Some(deadline)) if status.expires < deadline => {
                        Err(Unusable::Expires { expires: status.expires, deadline })
                    }
                    (_, Some(_) | None) => Ok(()),
                }
            }
        }
    }
}
