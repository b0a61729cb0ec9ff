//! What somebody asked for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::ids::derive::BodyHash;
use crate::ids::{RequestId, TaskId};

/// The most copies of one label that a request may ask for, as in the reference's input schema.
pub const MAX_TIMES: u32 = 100;

/// The most tasks that a request may create unless whoever runs it allows more.
pub const MAX_NEW: usize = 10_000;

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

/// How the reference numbers the artifacts of repeated rounds; one that is alone loses its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numbered {
    /// `task-graph-TIME.json`.
    #[default]
    Times,
    /// `task-graph-ROUND-TIME.json`.
    RoundsAndTimes,
}

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Purpose {
    /// Make the labels of the rounds anew, whatever already ran. No rounds: only to run tasks again, or cancel them.
    Add {
        /// What is made together, one after the other.
        rounds: Vec<Round>,
        /// How their artifacts are named.
        #[serde(default)]
        numbered: Numbered,
    },
    /// Make a task once more from its own definition.
    Clone {
        /// That task.
        of: TaskId,
    },
    /// Optimise a graph as a decision task does: the request's labels are its targets, nothing is stamped with a
    /// parent or an action task, and the strategies may remove targets.
    Optimize {
        /// Labels that are made whatever the strategies say.
        do_not_optimize: Vec<String>,
    },
}

/// What an action task was told to do, by which a later run knows the plan that it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The action's callback.
    pub action: String,
    /// The task that it was asked for.
    pub task: Option<TaskId>,
    /// SHA-256 of its input, written with sorted keys.
    pub input: BodyHash,
}

/// What somebody asked for: with the graph and the [`Facts`](super::Facts), all that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Everything that belongs to this request alone is derived from it.
    pub id: RequestId,
    /// What is wanted.
    pub purpose: Purpose,
    /// Labels of the full graph, as asked for, each once: those of all rounds.
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
    /// What the action task was told, where one carries this out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

impl Request {
    /// A request for one copy of each label, in the order given and each counted once, in the decision task's group.
    #[must_use]
    pub fn add(id: RequestId, decision: Option<TaskId>, group: Option<TaskId>, labels: &[String]) -> Self {
        let request = Self {
            id,
            purpose: Purpose::Add { rounds: Vec::new(), numbered: Numbered::default() },
            labels: Vec::new(),
            decision,
            group,
            action_task: None,
            partial: false,
            rerun_failed: false,
            told: None,
        };
        request.in_rounds(vec![Round { labels: labels.to_vec(), times: 1 }], Numbered::default())
    }

    /// The same for these rounds, in each of which a label counts once.
    #[must_use]
    pub fn in_rounds(mut self, mut rounds: Vec<Round>, numbered: Numbered) -> Self {
        rounds.iter_mut().for_each(|round| round.labels = each_once(&[&round.labels]));
        self.labels = each_once(&rounds.iter().map(|round| round.labels.as_slice()).collect::<Vec<_>>());
        self.purpose = Purpose::Add { rounds, numbered };
        self
    }

    /// The same with so many copies of all labels, made together.
    #[must_use]
    pub fn repeated(self, times: u32) -> Self {
        let labels = self.labels.clone();
        self.in_rounds(vec![Round { labels, times }], Numbered::default())
    }

    /// The labels that are made whatever the strategies say and whatever exists.
    #[must_use]
    pub fn do_not_optimize(&self) -> &[String] {
        match &self.purpose {
            Purpose::Add { .. } | Purpose::Clone { .. } => &self.labels,
            Purpose::Optimize { do_not_optimize } => do_not_optimize,
        }
    }

    /// Whether nothing is to be created: a graph is optimised for its own sake.
    #[must_use]
    pub fn is_optimization(&self) -> bool {
        matches!(self.purpose, Purpose::Optimize { .. })
    }

    /// What is made together; nothing if labels aren't what is made.
    #[must_use]
    pub fn rounds(&self) -> &[Round] {
        match &self.purpose {
            Purpose::Add { rounds, .. } => rounds,
            Purpose::Clone { .. } | Purpose::Optimize { .. } => &[],
        }
    }

    /// How many tasks are asked for at least, `task_duplicates` and what they need not counted.
    #[must_use]
    pub fn asked(&self) -> u64 {
        let of = |round: &Round| (round.labels.len() as u64).saturating_mul(round.times.into());
        self.rounds().iter().map(of).fold(0, u64::saturating_add)
    }

    /// Whether the request is what [`Request::in_rounds`] makes, with numbers in their bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let Purpose::Add { rounds, .. } = &self.purpose else { return true };
        let times = rounds.iter().all(|round| (1..=MAX_TIMES).contains(&round.times));
        let once = rounds.iter().all(|round| round.labels == each_once(&[&round.labels]));
        let all: Vec<&[String]> = rounds.iter().map(|round| round.labels.as_slice()).collect();
        times && once && self.labels == each_once(&all)
    }
}

fn each_once(lists: &[&[String]]) -> Vec<String> {
    let mut seen = HashSet::new();
    lists.iter().copied().flatten().filter(|label| seen.insert(label.as_str())).cloned().collect()
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
