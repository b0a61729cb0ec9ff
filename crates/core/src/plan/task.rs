//! One task to create: its definition with ids and datestamps left open.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::TaskId;
use crate::ids::derive::BodyHash;

/// Why a task is created, and so what its id is derived from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
pub enum Role {
    /// A copy that was asked for. Never shared.
    Copy {
        /// Which, from 0: counts `times` and `task_duplicates`.
        n: u32,
    },
    /// Needed by something new, and shared by whoever needs it.
    Needed {
        /// Hash of its unresolved body.
        body: BodyHash,
    },
    /// Needed by something new, and itself in need of a label that was asked for: made once, for this request only.
    Bridge,
    /// Another task once more, from that one's own definition.
    Clone {
        /// That task.
        of: TaskId,
    },
    /// Inserts another task's index paths, of which that one had too many.
    Index {
        /// That task's place in [`Plan::tasks`](super::Plan::tasks).
        parent: usize,
    },
    /// Made by the reference's rules.
    Reference {
        /// Which of the reference's `create_tasks` calls makes it, from 0.
        iteration: u32,
        /// Which of its `task_duplicates`, from 0; artifacts name only the first.
        duplicate: u32,
    },
}

impl Role {
    /// Whether the task is made for this request alone. An index task goes by its parent where that matters, see
    /// [`own`].
    #[must_use]
    pub fn is_own(&self) -> bool {
        match self {
            Self::Copy { .. } | Self::Bridge | Self::Clone { .. } | Self::Index { .. } | Self::Reference { .. } => true,
            Self::Needed { .. } => false,
        }
    }
}

/// Whether the task at `at` is its request's own: cancelled with it, and relied on by nobody else. An index task is as
/// its parent is, since whoever shares that one shares what inserts its paths. `role` tells the plan's roles by place.
pub fn own<'a>(role: impl Fn(usize) -> Option<&'a Role>, at: usize) -> bool {
    match role(at) {
        Some(Role::Index { parent }) => role(*parent).is_some_and(Role::is_own),
        other => other.is_some_and(Role::is_own),
    }
}

/// What a dependency's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Another task of the plan, by its place in [`Plan::tasks`](super::Plan::tasks), before this one.
    New(usize),
    /// A task that exists.
    Existing(TaskId),
}

/// A named dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The name that references use.
    pub name: String,
    /// What it stands for.
    pub on: Target,
}

/// One task to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Its label.
    pub label: String,
    /// Why it is created.
    pub role: Role,
    /// Its id as planned; null if no decision task is known. Creation may pass it over for one with a higher `k`.
    pub task_id: Option<TaskId>,
    /// How many derived ids were passed over.
    pub k: u8,
    /// By name, in the graph's order; soft dependencies that are created too come last, named by their labels.
    pub dependencies: Vec<Dependency>,
    /// Tasks outside the graph that it waits for: first the action task, then (`Some`) the decision task.
    pub waits_for: WaitsFor,
    /// The definition, `extra.parent` set, references and relative datestamps unresolved, without dependencies, group
    /// and schedulerId. Shared with other plans of one push, as the entry is.
    pub template: Arc<Value>,
    /// The rest of its entry in task-graph.json: attributes, description, if_dependencies, kind, optimization,
    /// soft_dependencies.
    pub entry: Arc<Map<String, Value>>,
}

/// Tasks outside the graph that a task waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// The action task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<TaskId>,
    /// The decision task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<TaskId>,
}

impl PlannedTask {
    /// The places of the plan's own tasks that it depends on; one may come up twice.
    pub fn new_dependencies(&self) -> impl Iterator<Item = usize> {
        self.dependencies.iter().filter_map(|dependency| match dependency.on {
            Target::New(at) => Some(at),
            Target::Existing(_) => None,
        })
    }
}
