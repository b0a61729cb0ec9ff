//! The tasks of a group.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::queue::{Requires, TaskDefinitionAndStatus};
use crate::ids::TaskId;
use crate::state::TaskState;
use crate::time::Millis;

/// A task of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub task: TaskId,
    /// Its name: a label, unless it is a decision or action task.
    pub name: String,
    /// Its state.
    pub state: TaskState,
    /// When it was created.
    pub created: Millis,
    /// What it waits for.
    pub dependencies: Vec<TaskId>,
    /// Whether it also runs behind dependencies that failed.
    pub runs_anyway: bool,
}

impl From<TaskDefinitionAndStatus> for Member {
    fn from(listed: TaskDefinitionAndStatus) -> Self {
        Self {
            task: listed.status.task_id,
            name: listed.task.metadata.name,
            state: listed.status.state,
            created: listed.task.created,
            dependencies: listed.task.dependencies,
            runs_anyway: listed.task.requires == Requires::AllResolved,
        }
    }
}

/// The tasks that will never run: they wait for one that failed, or for one that never runs.
#[must_use]
pub fn stuck(members: &[Member]) -> BTreeSet<TaskId> {
    let mut dependents: BTreeMap<TaskId, Vec<&Member>> = BTreeMap::new();
    for member in members.iter().filter(|member| member.state == TaskState::Unscheduled && !member.runs_anyway) {
        for on in &member.dependencies {
            dependents.entry(*on).or_default().push(member);
        }
    }
    let failed = members.iter().filter(|member| matches!(member.state, TaskState::Failed | TaskState::Exception));
    let mut behind: Vec<TaskId> = failed.map(|member| member.task).collect();
    let mut stuck = BTreeSet::new();
    while let Some(on) = behind.pop() {
        for member in dependents.remove(&on).unwrap_or_default() {
            if stuck.insert(member.task) {
                behind.push(member.task);
            }
        }
    }
    stuck
}
