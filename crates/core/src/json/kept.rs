//! Tasks of a graph that were read before: whoever asks about one push asks for the same builds again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ReadError;
use crate::graph::Node;

/// The most text, in bytes as it stands in the file, whose tasks are kept.
const MAX_KEPT: usize = 16 << 20;

/// How large a task is in memory, by its text, once a plan was made of it.
const PARSED: usize = 4;

/// A task, and where what it depends on stands.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) node: Arc<Node>,
    pub(super) needs: Arc<[usize]>,
}

/// Tasks by their places in the file.
#[derive(Default)]
pub(super) struct Kept(Mutex<Tasks>);

#[derive(Default)]
struct Tasks {
    found: HashMap<usize, Found>,
    bytes: usize,
}

impl Kept {
    /// The task at a place, read by `read` if it isn't there.
    ///
    /// # Errors
    /// What `read` fails with.
    pub(super) fn get(&self, at: usize, read: impl FnOnce() -> Result<Found, ReadError>) -> Result<Found, ReadError> {
        let tasks = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = tasks().found.get(&at) {
            return Ok(found.clone());
        }
        // Not while others wait: at worst two read the same.
        let found = read()?;
        tasks().put(at, &found, MAX_KEPT);
        Ok(found)
    }

    /// How many bytes of memory all of them take, about.
    pub(super) fn memory(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes * PARSED
    }
}

impl Tasks {
    /// Keeps a task; where that is too much, instead of all others.
    fn put(&mut self, at: usize, found: &Found, most: usize) {
        // Two may have read it at once.
        if self.found.contains_key(&at) {
            return;
        }
        let bytes = found.node.task.definition.len();
        if self.bytes.saturating_add(bytes) > most {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.found.insert(at, found.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::GraphFile;

    fn file() -> GraphFile {
        let entry = |label: &str, needs: &str| {
            format!(
                r#""{label}": {{"attributes": {{}}, "dependencies": {{{needs}}}, "kind": "k", "label": "{label}",
                "optimization": null, "task": {{"payload": "{label}"}}}}"#
            )
        };
        let entries = [entry("a", r#""b": "b""#), entry("b", ""), entry("c", r#""b": "b""#)];
        GraphFile::read(format!("{{{}}}", entries.join(",")).into()).unwrap()
    }

    #[test]
    fn a_task_is_read_once_and_is_the_same_in_each_graph() {
        let file = file();
        let [first, second] = ["a", "c"].map(|label| file.closure(&[label]).unwrap());
        let shared = |graph: &crate::graph::TaskGraph| Arc::as_ptr(graph.node(graph.by_label("b").unwrap()));
        assert_eq!(shared(&first), shared(&second));
        assert_eq!((first.len(), second.len()), (2, 2));
        assert!(first.by_label("c").is_none());
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let (file, mut tasks) = (file(), Tasks::default());
        let found: Vec<Found> = (0..3).map(|at| file.found(at).unwrap()).collect();
        let size = found[0].node.task.definition.len();
        for (at, found) in found.iter().enumerate() {
            // Twice, as by two who read it at once.
            tasks.put(at, found, 2 * size);
            tasks.put(at, found, 2 * size);
            assert_eq!(tasks.bytes, tasks.found.len() * size);
        }
        assert_eq!(tasks.found.keys().collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn a_graph_weighs_what_is_kept_of_it() {
        let file = file();
        let before = file.memory();
        file.closure(&["a"]).unwrap();
        assert_eq!(file.memory() - before, PARSED * file.weight(&["a"]).unwrap());
        let kept = file.memory();
        file.closure(&["b"]).unwrap();
        assert_eq!(file.memory(), kept, "it was there");
    }
}
