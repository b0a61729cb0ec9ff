//! The first phase: leaving tasks out. Dependents are decided before what they need.

use super::Inputs;
use super::outcome::{By, Removal};
use super::strategy::{Changes, removes};
use crate::graph::{Task, TaskGraph, TaskIx};

/// What the first phase says about each task.
pub(crate) fn remove_tasks(graph: &TaskGraph, inputs: &Inputs<'_>) -> Vec<Removal> {
    let mut removing = Removing {
        graph,
        decided: vec![None; graph.len()],
        removed: vec![false; graph.len()],
        candidate: vec![false; graph.len()],
    };
    let mut changes = Changes::new(inputs.params);
    for ix in graph.preorder() {
        removing.decide(ix, inputs, &mut changes);
    }
    removing.finish()
}

struct Removing<'a> {
    graph: &'a TaskGraph,
    /// None as long as a task is neither kept nor removed: it is a candidate.
    decided: Vec<Option<Removal>>,
    removed: Vec<bool>,
    /// Tasks that will go unless something among their `if_dependencies` stays, and those that only such tasks need.
    candidate: Vec<bool>,
}

impl<'a> Removing<'a> {
    fn decide(&mut self, ix: TaskIx, inputs: &Inputs<'a>, changes: &mut Changes<'a>) {
        let prunable = self.prunable_dependents(ix);
        if inputs.do_not_optimize.contains(&ix) {
            return self.keep(ix, Removal::DoNotOptimize, prunable);
        }
        let stays = |dependent: &&TaskIx| !self.removed[dependent.index()] && !prunable.contains(dependent);
        if let Some(dependent) = self.graph.dependents(ix).iter().find(stays) {
            return self.keep(ix, Removal::NeededBy(*dependent), prunable);
        }
        if !inputs.requested.contains(&ix) {
            return self.remove(ix, Removal::NobodyNeedsIt, &prunable);
        }
        let task = self.graph.task(ix);
        let (strategy, arg, by) = inputs.strategies.of(task);
        match removes(&strategy, arg, changes) {
            Ok(true) => self.remove(ix, Removal::RemovedBy(by), &prunable),
            Ok(false) => self.keep_unless_pruned(ix, by, prunable),
            Err(problem) => self.keep_unless_pruned(ix, unusable(task, problem), prunable),
        }
    }

    fn keep_unless_pruned(&mut self, ix: TaskIx, by: By, prunable: Vec<TaskIx>) {
        if self.graph.task(ix).if_dependencies.is_empty() {
            self.keep(ix, Removal::KeptBy(by), prunable);
        } else {
            self.decided[ix.index()] = Some(Removal::KeptBy(by));
            self.candidate[ix.index()] = true;
        }
    }

    /// Candidates that depend on this task and don't make it stay: those that name it in their `if_dependencies`, and
    /// those that are candidates only because of their own dependents.
    fn prunable_dependents(&self, ix: TaskIx) -> Vec<TaskIx> {
        let label = &self.graph.task(ix).label;
        let is_prunable = |dependent: &&TaskIx| {
            let conditions = &self.graph.task(**dependent).if_dependencies;
            self.candidate[dependent.index()] && (conditions.is_empty() || conditions.contains(label))
        };
        self.graph.dependents(ix).iter().filter(is_prunable).copied().collect()
    }

    /// This task stays, and with it all that waited for one of its `if_dependencies` to stay.
    fn keep(&mut self, ix: TaskIx, why: Removal, mut queue: Vec<TaskIx>) {
        self.decided[ix.index()] = Some(why);
        while let Some(dependent) = queue.pop() {
            let is_conditional = !self.graph.task(dependent).if_dependencies.is_empty();
            if is_conditional && std::mem::replace(&mut self.candidate[dependent.index()], false) {
                self.decided[dependent.index()].get_or_insert(Removal::DependencyStays(ix));
                let candidates = self.graph.dependents(dependent).iter().filter(|ix| self.candidate[ix.index()]);
                queue.extend(candidates);
            }
        }
    }

    /// This task goes, if none of its dependents can still come to stay.
    fn remove(&mut self, ix: TaskIx, why: Removal, prunable: &[TaskIx]) {
        if prunable.is_empty() {
            self.decided[ix.index()] = Some(why);
            self.removed[ix.index()] = true;
        } else {
            self.candidate[ix.index()] = true;
        }
    }

    /// What is a candidate to the end goes, unless something that stays needs it: a task may have been made a
    /// candidate before one of its dependents came to stay by another way.
    fn finish(mut self) -> Vec<Removal> {
        for (ix, _) in self.graph.iter().filter(|(ix, _)| self.candidate[ix.index()]) {
            let stays = |dependent: &&TaskIx| !self.candidate[dependent.index()] && !self.removed[dependent.index()];
            self.decided[ix.index()] = Some(match self.graph.dependents(ix).iter().find(stays) {
                Some(dependent) => Removal::NeededBy(*dependent),
                None => Removal::IfDependencies,
            });
        }
        self.decided.into_iter().map(|removal| removal.unwrap_or(Removal::NobodyNeedsIt)).collect()
    }
}

/// How reasons name a strategy that can't be asked.
pub(super) fn unusable(task: &Task, problem: String) -> By {
    By::Unusable { name: task.strategy().map_or("never", |(name, _)| name).to_owned(), problem }
}
