//! Task graphs as JSON: reading a full-task-graph.json without parsing what isn't used, and writing as the reference
//! writes.
//!
//! Reading finds where each task stands. The reference writer's own layout is found by searching for the line that
//! ends a task, without looking at what is in between; any other JSON is read by a real parser. What a search found is
//! parsed and checked when it is used, and only then: a task that nobody asks for may hold anything.

#[cfg(test)]
mod agreement;
mod entry;
#[cfg(test)]
mod fuzz;
mod head;
mod kept;
mod number;
mod place;
mod scan;
mod typed;
mod value;
mod write;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use self::kept::{Found, Kept};
use crate::graph::{GraphError, Label, Node, Task, TaskGraph};

pub use head::Head;
pub use value::{BadValue, parse};
pub use write::{to_string_sorted, to_string_sorted_within};

/// The largest full-task-graph.json that is read, in bytes. The largest known ones are a sixteenth of it.
pub const MAX_GRAPH_BYTES: usize = 4 << 30;
/// The most tasks in one graph.
pub const MAX_LABELS: usize = 2_000_000;
/// The longest label, in bytes as it stands in the file.
pub const MAX_LABEL_BYTES: usize = 4096;
/// The largest task in a graph, in bytes as it stands in the file. The queue takes no definition above 10 MB.
pub const MAX_TASK_BYTES: usize = 64 << 20;

/// Why a text is no task graph, or not one that a task can be taken from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes, labels or bytes in one label or task than is read.
    #[error("the task graph is too large: {what} above {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// Not a JSON object of objects.
    #[error("the task graph is not valid JSON: {0}")]
    Syntax(String),
    /// Two entries have the same label.
    #[error("the task graph has label `{0}` twice")]
    DuplicateLabel(String),
    /// Labels that no task has, all of them, in the order asked.
    #[error("no such task: {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// A used entry that is no task.
    #[error("task `{label}` can't be read: {problem}")]
    Entry {
        /// The entry's key.
        label: String,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// Tasks that make no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Where an entry's key (without its quotes) or value stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    len: u32,
}

impl Span {
    /// None where `end` lies before `start` or too far behind it.
    fn new(start: usize, end: usize) -> Option<Self> {
        let len = u32::try_from(end.checked_sub(start)?).ok()?;
        Some(Self { start, len })
    }

    fn end(self) -> usize {
        self.start + self.len as usize
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end()).unwrap_or_default()
    }
}

/// Keys and values of the file's one object, in the order of the file.
#[derive(Debug)]
struct Spans {
    labels: Vec<Span>,
    values: Vec<Span>,
    /// Whether each label comes after the one before it.
    in_order: bool,
    /// Whether the last label stands in the file as it is, without escapes.
    last_is_plain: bool,
}

impl Spans {
    fn new() -> Self {
        Self { labels: Vec::new(), values: Vec::new(), in_order: true, last_is_plain: true }
    }

    /// Appends an entry. Its label is read here, while it is at hand: going through all of a large file's labels later
    /// would cost a third of finding them.
    fn push(&mut self, bytes: &[u8], label: Span, value: Span) -> Result<(), String> {
        let read = entry::label(label.of(bytes))?;
        let is_plain = matches!(read, Cow::Borrowed(_));
        if let (true, Some(last)) = (self.in_order, self.labels.last()) {
            self.in_order = match self.last_is_plain {
                // UTF-8 has the order of its bytes.
                true => last.of(bytes) < read.as_bytes(),
                false => entry::label(last.of(bytes))? < read,
            };
        }
        self.last_is_plain = is_plain;
        self.labels.push(label);
        self.values.push(value);
        Ok(())
    }
}

/// How a file was read: the search has looked at the ends of tasks only, so that a used task that turns out not to be
/// one is a reason to read the file properly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Scan,
    Typed,
}

/// A full-task-graph.json: label to place, tasks unparsed. Holds the bytes, so it can be kept in an `Arc`.
pub struct GraphFile {
    bytes: Bytes,
    spans: Spans,
    /// Positions in the order of labels; none where the file is in that order.
    sorted: Option<Vec<u32>>,
    reader: Reader,
    /// Tasks that were asked for before.
    kept: Kept,
}

impl GraphFile {
    /// Finds the tasks in `bytes`, which the engine maps from a file.
    ///
    /// # Errors
    ///
    /// No JSON object, one above the bounds, or a label used twice.
    pub fn read(bytes: Bytes) -> Result<Self, ReadError> {
        if bytes.len() > MAX_GRAPH_BYTES {
            return Err(ReadError::TooLarge { what: "bytes", limit: MAX_GRAPH_BYTES });
        }
        match scan::scan(&bytes) {
            // What it takes for two tasks of one label may be parts of tasks.
            Some(spans) => Self::index(bytes.clone(), spans, Reader::Scan).or_else(|_| Self::read_typed(bytes)),
            None => Self::read_typed(bytes),
        }
    }

    /// The slow way, which takes any JSON and checks all of it.
    fn read_typed(bytes: Bytes) -> Result<Self, ReadError> {
        let spans = typed::read(&bytes)?;
        Self::index(bytes, spans, Reader::Typed)
    }

    fn index(bytes: Bytes, spans: Spans, reader: Reader) -> Result<Self, ReadError> {
        let in_order = spans.in_order;
        let mut file = Self { bytes, spans, sorted: None, reader, kept: Kept::default() };
        if !in_order {
            file.sort()?;
        }
        Ok(file)
    }

    fn sort(&mut self) -> Result<(), ReadError> {
        let labels = (0..self.len()).map(|at| self.label(at)).collect::<Result<Vec<_>, _>>()?;
        let mut sorted: Vec<u32> = (0..).take(labels.len()).collect();
        sorted.sort_by(|a, b| labels[*a as usize].cmp(&labels[*b as usize]));
        let twice = sorted.windows(2).find(|pair| labels[pair[0] as usize] == labels[pair[1] as usize]);
        if let Some(pair) = twice {
            return Err(ReadError::DuplicateLabel(labels[pair[0] as usize].clone().into_owned()));
        }
        drop(labels);
        self.sorted = Some(sorted);
        Ok(())
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.labels.len()
    }

    /// Whether there are no tasks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.labels.is_empty()
    }

    /// How many bytes of memory it takes now, about, beside the file: where its tasks stand, and those that were asked for
    /// as far as they are kept.
    #[must_use]
    pub fn memory(&self) -> usize {
        let places = 2 * size_of::<Span>() + self.sorted.as_ref().map_or(0, |_| size_of::<u32>());
        self.len() * places + self.kept.memory()
    }

    /// All labels in their order.
    pub fn labels(&self) -> impl Iterator<Item = Cow<'_, str>> {
        // Every label was read once by `Spans::push`.
        (0..self.len()).filter_map(|rank| self.label(self.at_rank(rank)).ok())
    }

    /// Whether a task has this label.
    #[must_use]
    pub fn contains(&self, label: &str) -> bool {
        self.find(label).is_some()
    }

    /// One task, parsed and checked; none where no task has this label.
    ///
    /// # Errors
    ///
    /// The entry is no task.
    pub fn get(&self, label: &str) -> Result<Option<Task>, ReadError> {
        self.checked(|file| match file.find(label) {
            Some(at) => file.task(at),
            None => Err(ReadError::Unknown(vec![label.to_owned()])),
        })
        .map(Some)
        .or_else(|error| if matches!(error, ReadError::Unknown(_)) { Ok(None) } else { Err(error) })
    }

    /// The tasks with these labels and all that they need, parsed and checked; nothing else is.
    ///
    /// # Errors
    ///
    /// Unknown labels (all of them are named), entries that are no tasks, a circle.
    pub fn closure<L: AsRef<str>>(&self, labels: &[L]) -> Result<TaskGraph, ReadError> {
        self.checked(|file| file.closure_here(labels))
    }

    /// How many bytes the definitions of the tasks have that [`Self::closure`] gives, as they stand in the file.
    ///
    /// # Errors
    ///
    /// As for [`Self::closure`], but for circles.
    pub fn weight<L: AsRef<str>>(&self, labels: &[L]) -> Result<usize, ReadError> {
        let nodes = self.checked(|file| file.needed(labels))?;
        Ok(nodes.values().map(|node| node.task.definition.len()).sum())
    }

    fn closure_here<L: AsRef<str>>(&self, labels: &[L]) -> Result<TaskGraph, ReadError> {
        Ok(TaskGraph::of(self.needed(labels)?.into_values().collect())?)
    }

    /// The tasks with these labels and all that they need, by place.
    fn needed<L: AsRef<str>>(&self, labels: &[L]) -> Result<HashMap<usize, Arc<Node>>, ReadError> {
        let labels = labels.iter().map(AsRef::as_ref);
        let unknown: Vec<String> = labels.clone().filter(|label| !self.contains(label)).map(str::to_owned).collect();
        if !unknown.is_empty() {
            return Err(ReadError::Unknown(unknown));
        }
        let mut queue: Vec<usize> = labels.filter_map(|label| self.find(label)).collect();
        let mut tasks: HashMap<usize, Arc<Node>> = HashMap::new();
        while let Some(at) = queue.pop() {
            if tasks.contains_key(&at) {
                continue;
            }
            let Found { node, needs } = self.kept.get(at, || self.found(at))?;
            queue.extend(needs.iter());
            tasks.insert(at, node);
        }
        Ok(tasks)
    }

    fn found(&self, at: usize) -> Result<Found, ReadError> {
        let task = self.task(at)?;
        let needs = task.dependencies.values().filter_map(|label| self.find(label)).collect();
        Ok(Found { node: Arc::new(task.into()), needs })
    }

    /// All tasks, parsed and checked.
    ///
    /// # Errors
    ///
    /// As for [`Self::closure`].
    pub fn whole(&self) -> Result<TaskGraph, ReadError> {
        self.checked(|file| {
            let tasks = (0..file.len()).map(|at| file.task(at)).collect::<Result<Vec<_>, _>>()?;
            Ok(TaskGraph::new(tasks)?)
        })
    }

    /// Does `work`. When it fails on what the search found, the file may have another layout than it seemed to have:
    /// it is read properly then, and that reading's answer is the one that counts.
    fn checked<T>(&self, work: impl Fn(&Self) -> Result<T, ReadError>) -> Result<T, ReadError> {
        match work(self) {
            Err(_) if self.reader == Reader::Scan => work(&Self::read_typed(self.bytes.clone())?),
            done => done,
        }
    }

    fn at_rank(&self, rank: usize) -> usize {
        self.sorted.as_ref().map_or(rank, |sorted| sorted[rank] as usize)
    }

    fn find(&self, label: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let at = self.at_rank(middle);
            match (*self.label(at).ok()?).cmp(label) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(at),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn label(&self, at: usize) -> Result<Cow<'_, str>, ReadError> {
        entry::label(self.spans.labels[at].of(&self.bytes)).map_err(ReadError::Syntax)
    }

    fn task(&self, at: usize) -> Result<Task, ReadError> {
        let value = self.spans.values[at];
        let label: Label = self.label(at)?.into();
        if value.len as usize > MAX_TASK_BYTES {
            return Err(ReadError::TooLarge { what: "bytes in one task", limit: MAX_TASK_BYTES });
        }
        let entry = self.bytes.slice(value.start..value.end());
        entry::task(&label, &entry).map_err(|problem| ReadError::Entry { label: label.to_string(), problem })
    }
}

impl std::fmt::Debug for GraphFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphFile").field("tasks", &self.len()).field("reader", &self.reader).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, task: &str) -> String {
        format!(
            r#""{label}": {{
    "attributes": {{}},
    "dependencies": {{}},
    "kind": "k",
    "label": "{label}",
    "optimization": null,
    "task": {task}
  }}"#
        )
    }

    fn file(entries: &[String]) -> Result<GraphFile, ReadError> {
        GraphFile::read(format!("{{\n  {}\n}}", entries.join(",\n  ")).into())
    }

    #[test]
    fn what_is_not_used_may_hold_anything() {
        let file = file(&[entry("a", r#"{"x": "\ud800"}"#), entry("b", "{]"), entry("c", "{}")]).unwrap();
        assert_eq!(file.reader, Reader::Scan);
        assert_eq!(file.labels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(file.closure(&["c"]).unwrap().len(), 1);
        let graph = file.closure(&["a"]).unwrap();
        let bad = graph.iter().next().unwrap().1.body().unwrap_err();
        assert_eq!(bad.to_string(), "/x: a lone surrogate, which is no text");
        assert!(matches!(file.closure(&["b"]), Err(ReadError::Syntax(_))));
    }

    #[test]
    fn all_unknown_labels_are_named() {
        let file = file(&[entry("a", "{}")]).unwrap();
        assert_eq!(file.closure(&["x", "a", "y"]).unwrap_err(), ReadError::Unknown(vec!["x".into(), "y".into()]));
        assert!(file.get("x").unwrap().is_none());
    }

    #[test]
    fn a_label_stands_once() {
        for entries in [["a", "a"], ["b", "a"]] {
            let read = file(&[entry(entries[0], "{}"), entry(entries[1], "{}"), entry("b", "{}")]);
            assert!(matches!(read, Err(ReadError::DuplicateLabel(_))));
        }
    }

    #[test]
    fn places_are_named() {
        for (task, expected) in [
            (r#"{"payload": {"env": [0, {"A/B": "\u0000"}]}}"#, "/payload/env/1/A~1B: NUL can't be sent to the queue"),
            (r#"{"payload": {"max": [1, 18446744073709551616]}}"#, "/payload/max/1: an integer above 64 bits"),
            (r#"{"scopes": ["fine", "\udc00"], "x": 1}"#, "/scopes/1: a lone surrogate, which is no text"),
        ] {
            let graph = file(&[entry("a", task)]).unwrap().whole().unwrap();
            assert_eq!(graph.task(graph.by_label("a").unwrap()).body().unwrap_err().to_string(), expected);
        }
    }
}
