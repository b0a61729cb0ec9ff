//! What somebody asks for, as the doors understand it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskgraft_core::ids::TaskId;

/// What is asked for: an action on a push, or on one of its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The project that the asker names; it has to be the push's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The push.
    pub push: PushName,
    /// Treeherder's number of the push, where the asker names it beside the push's decision task; it has to be the push's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resultset: Option<u64>,
    /// The action's name, as in `taskgraft_core::action::ACTIONS` or as the push publishes it.
    pub action: String,
    /// The task that the action is for; none for the push as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The action's input; null for none.
    #[serde(default)]
    pub input: Value,
}

/// A push, as a door has it named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushName {
    /// By its decision task.
    Decision(TaskId),
    /// By a revision of a project.
    Revision {
        /// The project's short name.
        project: String,
        /// The revision in hexadecimal digits; its beginning is enough.
        revision: String,
    },
    /// By Treeherder's number of it.
    Resultset {
        /// The project's short name.
        project: String,
        /// The number.
        id: u64,
    },
    /// The push of a task.
    OfTask(TaskId),
    /// The push of one of Treeherder's jobs.
    OfJob {
        /// The project's short name.
        project: String,
        /// The job's number.
        id: u64,
    },
}

/// The task that an action is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A task.
    Task(TaskId),
    /// A job by Treeherder's number.
    Job {
        /// The project's short name.
        project: String,
        /// The number.
        id: u64,
    },
}

impl PushName {
    /// The project, if the name says it.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Revision { project, .. } | Self::Resultset { project, .. } | Self::OfJob { project, .. } => {
                Some(project)
            }
            Self::Decision(_) | Self::OfTask(_) => None,
        }
    }
}

/// For people, with the input as JSON.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        if let Some(subject) = &self.subject {
            write!(f, " for {subject}")?;
        }
        write!(f, " on {}", self.push)?;
        if self.input.is_null() { Ok(()) } else { write!(f, " with {}", self.input) }
    }
}

impl fmt::Display for PushName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision(task) => write!(f, "the push of decision task {task}"),
            Self::Revision { project, revision } => write!(f, "{project}@{revision}"),
            Self::Resultset { project, id } => write!(f, "push {id} of {project}"),
            Self::OfTask(task) => write!(f, "the push of task {task}"),
            Self::OfJob { project, id } => write!(f, "the push of job {id} of {project}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task {task}"),
            Self::Job { project, id } => write!(f, "job {id} of {project}"),
        }
    }
}
