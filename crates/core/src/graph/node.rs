//! A task of a graph with what planning makes of it: the same each time, so that it is made once, however many graphs the
//! task is in.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::Task;
use crate::ids::derive::BodyHash;

/// A task, and what was made of it so far.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) task: Task,
    body: OnceLock<BodyHash>,
    entry: OnceLock<Arc<Map<String, Value>>>,
    opened: OnceLock<(Option<String>, Arc<Value>)>,
}

impl From<Task> for Node {
    fn from(task: Task) -> Self {
        Self { task, body: OnceLock::new(), entry: OnceLock::new(), opened: OnceLock::new() }
    }
}

impl Node {
    /// The hash of its unresolved body.
    pub(crate) fn body_hash(&self) -> BodyHash {
        *self.body.get_or_init(|| BodyHash::of(&self.task.definition))
    }

    /// Its entry as `make` makes it, which has to be the same each time.
    pub(crate) fn entry(&self, make: impl FnOnce(&Task) -> Map<String, Value>) -> Arc<Map<String, Value>> {
        Arc::clone(self.entry.get_or_init(|| Arc::new(make(&self.task))))
    }

    /// Its definition with this parent as `make` makes it, which has to be the same each time. It is kept for the first
    /// parent, so that has to be one that others will have too: previews of one push all have the same.
    ///
    /// # Errors
    /// What `make` fails with.
    pub(crate) fn opened<E>(
        &self,
        parent: Option<String>,
        make: impl FnOnce(&Task, Option<&str>) -> Result<Value, E>,
    ) -> Result<Arc<Value>, E> {
        if let Some((_, definition)) = self.opened.get().filter(|(of, _)| *of == parent) {
            return Ok(Arc::clone(definition));
        }
        let definition = Arc::new(make(&self.task, parent.as_deref())?);
        // Somebody may have kept one meanwhile: then that one stays.
        let _ = self.opened.set((parent, Arc::clone(&definition)));
        Ok(definition)
    }
}
