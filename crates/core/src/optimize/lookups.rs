//! What optimisation wants to know from the index.

use std::collections::BTreeSet;

use super::strategy::{Strategies, Strategy, texts};
use crate::graph::{TaskGraph, TaskIx};

/// Index paths whose tasks, and the status of those, optimisation needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookups {
    /// Of tasks whose strategy is `index-search` itself; the reference asks for all of these in one batch.
    pub batched: BTreeSet<String>,
    /// Of tasks where it is part of a composite; the reference asks for these one by one, when it comes to them.
    pub single: BTreeSet<String>,
}

impl Lookups {
    /// All paths, each once.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&str> {
        self.batched.iter().chain(&self.single).map(String::as_str).collect()
    }
}

/// The index paths of all tasks that may be optimised. As in the reference these include tasks that will be removed.
#[must_use]
pub fn lookups(graph: &TaskGraph, do_not_optimize: &BTreeSet<TaskIx>, strategies: &Strategies) -> Lookups {
    let mut lookups = Lookups::default();
    for (ix, task) in graph.iter() {
        if do_not_optimize.contains(&ix) {
            continue;
        }
        let (strategy, arg, _) = strategies.of(task);
        let paths = || texts(arg).unwrap_or_default().into_iter().map(str::to_owned);
        if strategy == Strategy::IndexSearch {
            lookups.batched.extend(paths());
        } else if searches(&strategy) {
            lookups.single.extend(paths());
        }
    }
    lookups
}

fn searches(strategy: &Strategy) -> bool {
    match strategy {
        Strategy::IndexSearch => true,
        Strategy::Never | Strategy::Always | Strategy::SkipUnlessChanged => false,
        Strategy::Any(parts) | Strategy::All(parts) => parts.iter().any(searches),
        Strategy::Not(part) | Strategy::Alias(part) => searches(part),
    }
}
