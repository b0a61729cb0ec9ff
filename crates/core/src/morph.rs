//! Morphs: changes to a graph after optimisation that keep its meaning (the reference's `morph.py`).

mod code_review;
mod config;
mod index;

use serde_json::{Map, Value};

pub use code_review::{code_review_source, code_review_task};
pub use config::{GraphConfig, WorkerType, WorkerTypes};
pub use index::{MAX_ROUTES, index_tasks};

use crate::graph::Task;
use crate::ids::TaskId;
use crate::optimize::FinalTask;

/// Why a morph can't be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MorphError {
    /// The graph configuration lacks something that is needed, or has something else there.
    #[error("graph configuration: {0}")]
    Config(String),
    /// A regular expression of the graph configuration is none, or has no group.
    #[error("graph configuration: taskgraph.index-path-regexes: `{0}` is no regular expression with a group")]
    IndexPathRegex(String),
    /// A definition lacks something that is needed.
    #[error("task `{label}`: {pointer} is missing")]
    Missing {
        /// Whose.
        label: String,
        /// What, as a JSON pointer.
        pointer: &'static str,
    },
    /// The parameters lack something that is needed.
    #[error(transparent)]
    Parameters(#[from] crate::params::ParametersError),
}

/// A task that a morph adds: `{name: id}` are its dependencies, all of them created with it.
fn added(label: &str, task_id: TaskId, dependencies: &[(String, TaskId)], definition: Value) -> FinalTask {
    FinalTask {
        ix: None,
        task_id,
        task: Task {
            label: label.into(),
            kind: "misc".to_owned(),
            description: String::new(),
            attributes: Map::from_iter([("kind".to_owned(), Value::from("misc"))]),
            dependencies: std::collections::BTreeMap::new(),
            soft_dependencies: Vec::new(),
            if_dependencies: Vec::new(),
            optimization: None,
            definition: definition.to_string().into(),
        },
        dependencies: dependencies.iter().map(|(name, id)| (name.clone(), id.to_string())).collect(),
        definition,
    }
}

/// The value at `pointer` of a definition that must be there.
fn needed<'a>(task: &'a FinalTask, pointer: &'static str) -> Result<&'a Value, MorphError> {
    let label = || task.task.label.to_string();
    task.definition.pointer(pointer).ok_or_else(|| MorphError::Missing { label: label(), pointer })
}
