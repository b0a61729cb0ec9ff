//! What an action looks at, and what it decides.

use serde_json::Value;

use super::member::Member;
use crate::ids::TaskId;
use crate::json::{GraphFile, ReadError};
use crate::plan::{Numbered, Policy, Round, Source};

/// What was fetched for an action's decision: what its [`Needs`](super::Needs) name, and the rest empty.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// By which rules to decide.
    pub policy: Policy,
    /// The group that the action was asked for.
    pub group: TaskId,
    /// The task that the action was asked for; none where it was asked for the group.
    pub subject: Option<Subject<'a>>,
    /// full-task-graph.json.
    pub graph: Option<&'a GraphFile>,
    /// Which labels have tasks, oldest list first: the decision task's, then those of actions and cron tasks.
    pub sources: &'a [Source],
    /// target-tasks.json.
    pub targets: &'a [String],
    /// All of the group.
    pub members: &'a [Member],
    /// The project's earlier pushes, nearest first.
    pub earlier_pushes: &'a [EarlierPush],
}

impl<'a> View<'a> {
    /// The whole graph.
    ///
    /// # Errors
    /// It was not fetched.
    pub(super) fn graph(&self) -> Result<&'a GraphFile, Refusal> {
        self.graph.ok_or(Refusal::NotFetched("full-task-graph.json"))
    }
}

/// The task that an action was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: TaskId,
    /// Its definition, as getTask answers it; none where the action doesn't need it.
    pub definition: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    /// The label that it was made of: as everywhere in the reference, its name.
    ///
    /// # Errors
    /// It was not looked up, or has no name.
    pub fn label(self) -> Result<&'a str, Refusal> {
        let definition = self.definition.ok_or(Refusal::NotFetched("the task's definition"))?;
        definition.pointer("/metadata/name").and_then(Value::as_str).ok_or(Refusal::NoLabel(self.id))
    }
}

/// A push before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierPush {
    /// What people know it by, as in `lander@a1b2c3d` and `lander, push 1234`.
    pub name: String,
    /// What is there of the job that the action was asked for.
    pub job: EarlierJob,
}

/// What a push has of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlierJob {
    /// Nothing can be told, or nothing may be done there; the reason is a fragment behind a colon.
    Unreachable(String),
    /// Its graph has no such job.
    Lacking {
        /// The decision task.
        decision: TaskId,
    },
    /// Its graph has the job.
    Known {
        /// The decision task.
        decision: TaskId,
        /// The job's tasks that completed, or may yet.
        usable: Vec<TaskId>,
    },
}

impl View<'_> {
    /// The tasks of a label that are known on this push, newest first.
    #[must_use]
    pub fn tasks_of(&self, label: &str) -> Vec<TaskId> {
        let mut found = Vec::new();
        for id in self.sources.iter().rev().filter_map(|source| source.labels.get(label)) {
            if !found.contains(id) {
                found.push(*id);
            }
        }
        found
    }
}

/// What is to be done. Empty: nothing is to be done, and that is fine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Labels to make anew on this push, and how often.
    pub rounds: Vec<Round>,
    /// How the reference numbers the artifacts of the rounds.
    pub numbered: Numbered,
    /// A task to make once more from its own definition.
    pub clone: Option<TaskId>,
    /// Tasks to run again.
    pub rerun: Vec<Rerun>,
    /// What to cancel.
    pub cancel: Cancel,
    /// Labels to make on other pushes.
    pub elsewhere: Vec<Elsewhere>,
    /// What the asker should know though it stops nothing.
    pub notes: Vec<String>,
}

/// A task to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerun {
    /// Its label.
    pub label: String,
    /// Its id.
    pub task: TaskId,
}

/// What to cancel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cancel {
    /// Nothing.
    #[default]
    None,
    /// One task.
    Task(TaskId),
    /// All of the group that has not ended, but for the action task itself.
    Group,
}

/// Labels to make on another push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its decision task.
    pub decision: TaskId,
    /// The labels, and how often.
    pub rounds: Vec<Round>,
}

/// Why nothing will be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The action was asked for a group.
    #[error("this action is for a task, and none was named")]
    NoSubject,
    /// The task that was named has no label.
    #[error("the task {0} has no name, and so no label")]
    NoLabel(TaskId),
    /// The input lacks something, or it is not usable.
    #[error("the input: {0}")]
    Input(String),
    /// The graph can't be read.
    #[error("read full-task-graph.json: {0}")]
    Graph(#[from] ReadError),
    /// Something was not fetched that the action's needs name.
    #[error("{0} was not looked up")]
    NotFetched(&'static str),
    /// A label's kind says that it is not to be made once more.
    #[error("`{0}` should be rerun rather than retriggered; `force` overrides that")]
    NotRetriggerable(String),
    /// A task that this push doesn't know.
    #[error("{task} (`{label}`) is not one of this push's tasks")]
    Foreign {
        /// Its id.
        task: TaskId,
        /// Its label.
        label: String,
    },
    /// A task of another group, or none.
    #[error("{0} is no task of this group")]
    Elsewhere(TaskId),
    /// No job is what was asked for.
    #[error("no job matches: {0}")]
    NoMatch(String),
    /// A label that has no task to run again.
    #[error("`{0}` has no task on this push that could be run again")]
    NoTask(String),
}

/// How many earlier pushes are wanted, as the input says.
#[must_use]
pub fn depth(input: &Value) -> usize {
    input.get("depth").and_then(Value::as_u64).and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0)
}

/// How many times, as the input says.
pub(super) fn times(input: &Value) -> u32 {
    input.get("times").and_then(Value::as_u64).map_or(1, |times| u32::try_from(times).unwrap_or(u32::MAX))
}

/// The texts that the input lists under `name`.
pub(super) fn texts(input: &Value, name: &str) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::Input(format!("`{name}` must be a list of texts"));
    let list = input.get(name).and_then(Value::as_array).ok_or_else(bad)?;
    list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
}

/// Whether a label may be made once more, as the attribute `retrigger` says; one that isn't there may not.
pub(super) fn is_retriggerable(graph: &GraphFile, label: &str) -> Result<bool, Refusal> {
    // Asking a graph for what it lacks has it read once more, more strictly.
    let task = if graph.contains(label) { graph.get(label)? } else { None };
    Ok(task.is_some_and(|task| task.attributes.get("retrigger").is_some_and(is_set)))
}

/// What counts as true in Python.
pub(super) fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
