//! The task graph: tasks, the edges between them, acyclic by construction.

mod node;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json::{self, BadValue};
use crate::walk;

pub(crate) use node::Node;

/// A task's name within one graph. Any text is one; it is compared as text and ordered by code points.
pub type Label = Arc<str>;

/// A task of one [`TaskGraph`], by its rank among that graph's labels. Means nothing in another graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIx(u32);

impl TaskIx {
    /// The position in a slice with one element a task.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn new(index: usize) -> Self {
        debug_assert!(index <= u32::MAX as usize);
        #[expect(clippy::cast_possible_truncation, reason = "a graph holds at most json::MAX_LABELS tasks")]
        Self(index as u32)
    }
}

/// How a task may be optimised away: an object of `{strategy: argument}`, of which the reference uses the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimization {
    first: String,
    fields: Map<String, Value>,
}

impl Optimization {
    /// One strategy with its argument.
    #[must_use]
    pub fn new(strategy: &str, arg: Value) -> Self {
        Self { first: strategy.to_owned(), fields: Map::from_iter([(strategy.to_owned(), arg)]) }
    }

    /// `first` is the key that stands first in the document; it is a key of `fields` unless that is empty.
    pub(crate) fn from_fields(first: String, fields: Map<String, Value>) -> Self {
        Self { first, fields }
    }

    /// The strategy's name and its argument; none for an empty object, which the reference reads as `never`.
    #[must_use]
    pub fn strategy(&self) -> Option<(&str, &Value)> {
        self.fields.get(&self.first).map(|arg| (self.first.as_str(), arg))
    }

    /// All of it, as written.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }
}

/// A task as a full-task-graph.json holds it: everything but the definition is parsed.
#[derive(Clone)]
pub struct Task {
    /// Its name, unique in the graph.
    pub label: Label,
    /// The kind it was made by.
    pub kind: String,
    /// For people.
    pub description: String,
    /// What filters and actions look at; always has `kind`.
    pub attributes: Map<String, Value>,
    /// `{name: label}`; a label may be absent from the graph, see [`TaskGraph::missing`].
    pub dependencies: BTreeMap<String, Label>,
    /// Labels it depends on if they are created too.
    pub soft_dependencies: Vec<Label>,
    /// It only runs if one of these dependencies runs, when there are any.
    pub if_dependencies: Vec<Label>,
    /// How it may be optimised away; none is `never`.
    pub optimization: Option<Optimization>,
    /// The definition as JSON text, with references and relative datestamps unresolved.
    pub definition: Bytes,
}

impl Task {
    /// The definition, parsed.
    ///
    /// # Errors
    ///
    /// Text that the queue can't take, such as a lone surrogate or NUL: the place is named as a JSON pointer.
    pub fn body(&self) -> Result<Value, BadValue> {
        json::parse(&self.definition)
    }

    /// Strategy and argument that apply; none where the task is never optimised.
    #[must_use]
    pub fn strategy(&self) -> Option<(&str, &Value)> {
        self.optimization.as_ref().and_then(Optimization::strategy)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("label", &self.label).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why tasks make no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Tasks that wait for each other; each depends on the next, the last on the first.
    #[error("tasks depend on each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<Label>),
    /// One label, two tasks.
    #[error("two tasks are labelled `{0}`")]
    Duplicate(Label),
}

/// A dependency on a label that the graph doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The task that has the dependency.
    pub task: TaskIx,
    /// The dependency's name.
    pub name: String,
    /// The label that isn't there.
    pub label: Label,
}

/// Tasks with their edges, ordered by label.
///
/// A dependency on an absent label is no edge: the reference drops those too, as filtering a graph can leave some.
#[derive(Debug, Clone)]
pub struct TaskGraph {
    tasks: Vec<Arc<Node>>,
    dependencies: Vec<Vec<(Arc<str>, TaskIx)>>,
    dependents: Vec<Vec<TaskIx>>,
    missing: Vec<Missing>,
    postorder: Vec<TaskIx>,
}

impl TaskGraph {
    /// The graph of these tasks, given in any order.
    ///
    /// # Errors
    ///
    /// A label used twice, or tasks that depend on each other in a circle.
    pub fn new(tasks: impl IntoIterator<Item = Task>) -> Result<Self, GraphError> {
        Self::of(tasks.into_iter().map(|task| Arc::new(task.into())).collect())
    }

    /// The graph of tasks that other graphs may have too.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`].
    pub(crate) fn of(mut tasks: Vec<Arc<Node>>) -> Result<Self, GraphError> {
        tasks.sort_by(|a, b| a.task.label.cmp(&b.task.label));
        if let Some(pair) = tasks.windows(2).find(|pair| pair[0].task.label == pair[1].task.label) {
            return Err(GraphError::Duplicate(pair[0].task.label.clone()));
        }
        let mut graph = Self {
            dependencies: vec![Vec::new(); tasks.len()],
            dependents: vec![Vec::new(); tasks.len()],
            missing: Vec::new(),
            postorder: Vec::new(),
            tasks,
        };
        graph.link();
        graph.postorder = walk::postorder(&graph)
            .map_err(|cycle| GraphError::Cycle(cycle.into_iter().map(|ix| graph.task(ix).label.clone()).collect()))?;
        Ok(graph)
    }

    fn link(&mut self) {
        for index in 0..self.tasks.len() {
            let task = TaskIx::new(index);
            for (name, label) in &self.tasks[index].task.dependencies {
                match self.by_label(label) {
                    Some(dependency) => {
                        self.dependencies[index].push((name.as_str().into(), dependency));
                        self.dependents[dependency.index()].push(task);
                    }
                    None => self.missing.push(Missing { task, name: name.clone(), label: label.clone() }),
                }
            }
        }
        // Two names for one dependency are one dependent.
        for dependents in &mut self.dependents {
            dependents.dedup();
        }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are no tasks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// All tasks in the order of their labels.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TaskIx, &Task)> {
        self.tasks.iter().enumerate().map(|(index, node)| (TaskIx::new(index), &node.task))
    }

    /// The task at `ix`, which must be of this graph.
    #[must_use]
    pub fn task(&self, ix: TaskIx) -> &Task {
        &self.node(ix).task
    }

    /// The same with what was made of it before.
    pub(crate) fn node(&self, ix: TaskIx) -> &Arc<Node> {
        &self.tasks[ix.index()]
    }

    /// The task with this label.
    #[must_use]
    pub fn by_label(&self, label: &str) -> Option<TaskIx> {
        self.tasks.binary_search_by(|node| (*node.task.label).cmp(label)).ok().map(TaskIx::new)
    }

    /// What a task depends on, in the order of the dependencies' names. One task may stand under two names.
    #[must_use]
    pub fn dependencies(&self, ix: TaskIx) -> &[(Arc<str>, TaskIx)] {
        &self.dependencies[ix.index()]
    }

    /// What depends on a task, in the order of labels, each once.
    #[must_use]
    pub fn dependents(&self, ix: TaskIx) -> &[TaskIx] {
        &self.dependents[ix.index()]
    }

    /// Dependencies on labels that the graph doesn't hold, in the order of tasks and names.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Every task after all that it depends on. The reference's order, with its sets read in the order of labels.
    #[must_use]
    pub fn postorder(&self) -> &[TaskIx] {
        &self.postorder
    }

    /// Every task before all that it depends on, in the same manner. Not the reverse of [`Self::postorder`].
    #[must_use]
    pub fn preorder(&self) -> Vec<TaskIx> {
        walk::preorder(self)
    }

    /// These tasks and all that they need.
    #[must_use]
    pub fn closure(&self, roots: &[TaskIx]) -> Self {
        let inside = walk::closure(self, roots);
        let tasks = self.tasks.iter().zip(inside).filter(|(_, inside)| *inside).map(|(node, _)| Arc::clone(node));
        let mut graph = Self {
            tasks: tasks.collect(),
            dependencies: Vec::new(),
            dependents: Vec::new(),
            missing: Vec::new(),
            postorder: Vec::new(),
        };
        graph.dependencies.resize(graph.tasks.len(), Vec::new());
        graph.dependents.resize(graph.tasks.len(), Vec::new());
        graph.link();
        // A part of an acyclic graph is acyclic.
        graph.postorder = walk::postorder(&graph).unwrap_or_default();
        graph
    }
}
