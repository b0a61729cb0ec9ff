//! Everything that was looked up for a plan, and what is still to be looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::queue::TaskStatus;
use crate::definition::ArtifactUrls;
use crate::ids::TaskId;
use crate::morph::GraphConfig;
use crate::optimize::Strategies;
use crate::params::Parameters;
use crate::state::TaskState;
use crate::time::Millis;

/// Where a label's earlier task is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The decision task's label-to-taskid.json.
    Decision,
    /// An earlier action's label-to-taskid.json.
    Action,
    /// A cron task's label-to-taskid.json.
    Cron,
}

/// One list of earlier tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What kind of list it is.
    pub kind: SourceKind,
    /// The task whose artifact it is, if it is known.
    pub of: Option<TaskId>,
    /// Label to task id; shared, since a large push's list has tens of thousands.
    pub labels: Arc<BTreeMap<String, TaskId>>,
}

/// What counts of a task's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusFact {
    /// Its state.
    pub state: TaskState,
    /// When it is forgotten.
    pub expires: Millis,
    /// When it is resolved at the latest.
    pub deadline: Millis,
    /// When its last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Millis>,
    /// Its task group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<TaskId>,
}

impl From<&TaskStatus> for StatusFact {
    fn from(status: &TaskStatus) -> Self {
        let resolved = status.runs.last().and_then(|run| run.resolved);
        let group = Some(status.task_group_id);
        Self { state: status.state, expires: status.expires, deadline: status.deadline, resolved, group }
    }
}

/// What counts of a task group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFact {
    /// The one schedulerId that all of its tasks share.
    pub scheduler_id: String,
    /// Since when it takes no new tasks.
    pub sealed: Option<Millis>,
}

/// Everything that was looked up for a plan. What was asked and not found is there as `None`; what was never asked
/// is not there, and `wants` names it. A plan made all the same takes it as not found, as
/// `--offline` does.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When the plan is made. Deadlines count from here.
    pub now: Timestamp,
    /// Where artifact references point.
    pub urls: ArtifactUrls,
    /// The push's parameters.yml.
    pub parameters: Parameters,
    /// What optimisation strategies there are.
    pub strategies: Strategies,
    /// The schedulerId of new tasks: `<trust domain>-level-<level>`, which the decision task has too.
    /// Without one nothing can be created.
    pub scheduler_id: Option<String>,
    /// The target group, if it was looked up and exists.
    pub group: Option<GroupFact>,
    /// What index tasks are made with; without it a task with more than 64 routes is refused.
    pub index_tasks: Option<GraphConfig>,
    /// For labels asked for that the graph doesn't have, the nearest that it has; see [`nearest`](super::nearest).
    pub nearest: BTreeMap<String, Vec<String>>,
    /// Earlier tasks by label, oldest list first: of several usable tasks the last list's wins.
    pub sources: Vec<Source>,
    /// What index paths lead to.
    pub index: BTreeMap<String, Option<TaskId>>,
    /// Statuses by task id.
    pub statuses: BTreeMap<TaskId, Option<StatusFact>>,
    /// Definitions by task id, as getTask answers them.
    pub tasks: BTreeMap<TaskId, Option<Value>>,
}

impl Facts {
    /// Nothing looked up yet.
    #[must_use]
    pub fn new(now: Timestamp, urls: ArtifactUrls, parameters: Parameters) -> Self {
        Self {
            now,
            urls,
            parameters,
            strategies: Strategies::default(),
            scheduler_id: None,
            group: None,
            index_tasks: None,
            nearest: BTreeMap::new(),
            sources: Vec::new(),
            index: BTreeMap::new(),
            statuses: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    /// Takes in the answers to `wants`: what it names and the answers leave out is now known to be absent.
    pub fn answer(&mut self, wants: &Wants, answers: Answers) {
        self.index.extend(wants.index.iter().map(|path| (path.clone(), answers.index.get(path).copied())));
        self.statuses.extend(wants.statuses.iter().map(|id| (*id, answers.statuses.get(id).copied())));
        let mut tasks = answers.tasks;
        self.tasks.extend(wants.tasks.iter().map(|id| (*id, tasks.remove(id))));
    }
}

/// What is still to be looked up. Ask for all of it at once, then ask `wants` again: answers raise
/// questions, though few, and never the same twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Index paths, for index.findTasksAtIndex.
    pub index: BTreeSet<String>,
    /// Task ids whose status is wanted, for queue.statuses.
    pub statuses: BTreeSet<TaskId>,
    /// Task ids whose definition is wanted, for queue.tasks or queue.task.
    pub tasks: BTreeSet<TaskId>,
}

impl Wants {
    /// Whether all is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty() && self.statuses.is_empty() && self.tasks.is_empty()
    }
}

/// What was found of [`Wants`]; what is left out is absent.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Index paths that lead to a task.
    pub index: BTreeMap<String, TaskId>,
    /// Statuses of tasks that exist.
    pub statuses: BTreeMap<TaskId, StatusFact>,
    /// Definitions of tasks that exist.
    pub tasks: BTreeMap<TaskId, Value>,
}
