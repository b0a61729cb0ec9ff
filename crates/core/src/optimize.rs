//! Optimisation: which tasks of a target graph are created, which are left out, and which exist already.
//!
//! The reference's rules (its `optimize/base.py` and `optimize/strategies.py`) as pure functions that also say why:
//! first tasks are removed, dependents before what they need; then tasks are replaced by ones that exist, dependencies
//! first. What the reference does with anything that it looks up is decided by a [`Judge`], so that another policy
//! can be stricter about what may be reused.

mod candidate;
mod lookups;
mod outcome;
mod remove;
mod replace;
mod strategy;
mod subgraph;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use candidate::{Candidate, Judge, ReferenceJudge, Rejected, Source, Status, Unusable};
pub use lookups::{Lookups, lookups};
pub use outcome::{By, NotReplaced, Optimized, Outcome, Removal, Replacement};
pub(crate) use remove::remove_tasks;
pub(crate) use strategy::{Answer, NoAnswer, replaces};
pub use strategy::{Strategies, Strategy};
pub use subgraph::{BadEdge, FinalTask, SubgraphError, SubgraphInputs, bad_edges, label_to_taskid, subgraph, to_json};

use crate::definition::DefinitionError;
use crate::graph::{Label, TaskGraph, TaskIx};
use crate::ids::TaskId;
use crate::json::BadValue;
use crate::params::Parameters;

/// All that optimisation depends on besides the graph.
pub struct Inputs<'a> {
    /// Tasks that somebody asked for; what is only needed by others goes when they go.
    pub requested: &'a BTreeSet<TaskIx>,
    /// Tasks that are created whatever their strategies say.
    pub do_not_optimize: &'a BTreeSet<TaskIx>,
    /// The decision's parameters.
    pub params: &'a Parameters,
    /// What strategies there are.
    pub strategies: &'a Strategies,
    /// For each label tasks that exist, the preferred one first. The reference knows at most one.
    pub existing: &'a BTreeMap<Label, Vec<TaskId>>,
    /// What the index has at the paths that [`lookups`] names.
    pub index: &'a BTreeMap<String, TaskId>,
    /// Who says whether a task that exists may be used.
    pub judge: &'a dyn Judge,
    /// From when relative deadlines count.
    pub now: Timestamp,
}

/// Why a graph can't be optimised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptimizeError {
    /// A definition can't be read, but its deadline is needed.
    #[error("task `{label}`: {bad}")]
    Definition {
        /// Whose.
        label: Label,
        /// What is wrong with it.
        bad: BadValue,
    },
    /// A deadline can't be read.
    #[error("task `{label}`: /deadline: {error}")]
    Deadline {
        /// Whose.
        label: Label,
        /// What is wrong with it.
        error: DefinitionError,
    },
}

/// Decides for every task of `graph`.
///
/// # Errors
///
/// A deadline that is needed to judge a candidate can't be read.
pub fn optimize(graph: &TaskGraph, inputs: &Inputs<'_>) -> Result<Optimized, OptimizeError> {
    let removals = remove::remove_tasks(graph, inputs);
    replace::replace_tasks(graph, inputs, removals)
}
