//! What somebody asked for.

use serde::{Deserialize, Serialize};

use crate::ids::{RequestId, TaskId};

/// The most copies of one label that a request may ask for, as in the reference's input schema.
pub const MAX_TIMES: u32 = 100;

/// Which rules a plan follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// taskgraft's own: the reference's, with everything in docs/compatibility.md better on purpose.
    #[default]
    Graft,
    /// Exactly what the reference package does in the same place: no other request, check, morph or change.
    Reference,
}

/// Labels that are made together, so that copy n of one depends on copy n of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Labels of the full graph.
    pub labels: Vec<String>,
    /// How many copies of each, 1 to [`MAX_TIMES`].
    pub times: u32,
}

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Purpose {
    /// Make the request's labels anew, whatever already ran.
    Add {
        /// How many copies of each, 1 to [`MAX_TIMES`].
        times: u32,
    },
    /// Optimise a graph as a decision task does: the request's labels are its targets, nothing is stamped with a
    /// parent or an action task, and the strategies may remove targets.
    Optimize {
        /// Labels that are made whatever the strategies say.
        do_not_optimize: Vec<String>,
    },
}

/// What somebody asked for: with the graph and the [`Facts`](super::Facts), all that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Everything that belongs to this request alone is derived from it.
    pub id: RequestId,
    /// What is wanted.
    pub purpose: Purpose,
    /// Labels of the full graph, as asked for; use [`Request::add`] to have repeated ones counted once.
    pub labels: Vec<String>,
    /// The decision task whose graph this is. Without one (a graph read from a directory) planned ids are null.
    pub decision: Option<TaskId>,
    /// The group that new tasks join: the decision task's own.
    pub group: Option<TaskId>,
    /// The action task that carries the request out. Requested copies depend on it.
    pub action_task: Option<TaskId>,
    /// Create what can be had even if some of the labels can't.
    pub partial: bool,
    /// Rerun needed dependencies that failed on this push rather than making them anew.
    pub rerun_failed: bool,
}

impl Request {
    /// A request for one copy of each label, in the order given and each counted once, in the decision task's group.
    #[must_use]
    pub fn add(id: RequestId, decision: Option<TaskId>, group: Option<TaskId>, labels: &[String]) -> Self {
        let mut request = Self {
            id,
            purpose: Purpose::Add { times: 1 },
            labels: Vec::with_capacity(labels.len()),
            decision,
            group,
            action_task: None,
            partial: false,
            rerun_failed: false,
        };
        let mut seen = std::collections::HashSet::new();
        request.labels.extend(labels.iter().filter(|label| seen.insert(label.as_str())).cloned());
        request
    }

    /// The labels that are made whatever the strategies say and whatever exists.
    #[must_use]
    pub fn do_not_optimize(&self) -> &[String] {
        match &self.purpose {
            Purpose::Add { .. } => &self.labels,
            Purpose::Optimize { do_not_optimize } => do_not_optimize,
        }
    }

    /// Whether nothing is to be created: a graph is optimised for its own sake.
    #[must_use]
    pub fn is_optimization(&self) -> bool {
        matches!(self.purpose, Purpose::Optimize { .. })
    }

    /// How many copies of each label are wanted.
    #[must_use]
    pub fn times(&self) -> u32 {
        match self.purpose {
            Purpose::Add { times } => times.clamp(1, MAX_TIMES),
            Purpose::Optimize { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_asked_for_twice_counts_once_and_keeps_its_place() {
        let labels = ["b", "a", "b", "c", "a"].map(str::to_owned);
        let request = Request::add(TaskId::from_bytes([0; 16]).into(), None, None, &labels);
        assert_eq!(request.labels, ["b", "a", "c"]);
        assert_eq!(request.do_not_optimize(), request.labels);
    }
}
