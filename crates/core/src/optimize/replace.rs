//! The second phase: tasks that exist stand in for ones of the graph. Dependencies are decided first, as a task whose
//! dependencies are new has to be new too.

use jiff::Timestamp;

use super::candidate::{Candidate, Rejected, Source, Unusable};
use super::outcome::{NotReplaced, Optimized, Outcome, Removal, Replacement};
use super::remove::unusable;
use super::strategy::{Answer, NoAnswer, replaces};
use super::{Inputs, OptimizeError};
use crate::definition::Datestamp;
use crate::graph::{TaskGraph, TaskIx};
use crate::ids::TaskId;

/// Completes what the first phase decided.
pub(super) fn replace_tasks(
    graph: &TaskGraph,
    inputs: &Inputs<'_>,
    removals: Vec<Removal>,
) -> Result<Optimized, OptimizeError> {
    let mut replacing = Replacing {
        graph,
        inputs,
        gone: removals.iter().map(|removal| !removal.is_kept()).collect(),
        deadlines: vec![None; graph.len()],
        rejected: vec![Vec::new(); graph.len()],
    };
    let mut replacements: Vec<_> = removals.iter().map(|_| Err(NotReplaced::DoNotOptimize)).collect();
    for ix in graph.postorder() {
        let replacement = replacing.replace(*ix)?;
        replacing.gone[ix.index()] |= replacement.is_ok();
        replacements[ix.index()] = replacement;
    }
    let decided = removals.into_iter().zip(replacements).zip(replacing.rejected);
    let outcomes =
        decided.map(|((removal, replacement), rejected)| Outcome { removal, replacement, rejected }).collect();
    Ok(Optimized::new(outcomes))
}

struct Replacing<'a> {
    graph: &'a TaskGraph,
    inputs: &'a Inputs<'a>,
    /// Tasks that are removed or replaced.
    gone: Vec<bool>,
    /// Deadlines that have been needed.
    deadlines: Vec<Option<Timestamp>>,
    rejected: Vec<Vec<Rejected>>,
}

impl Replacing<'_> {
    fn replace(&mut self, ix: TaskIx) -> Result<Result<Replacement, NotReplaced>, OptimizeError> {
        if self.inputs.do_not_optimize.contains(&ix) {
            return Ok(Err(NotReplaced::DoNotOptimize));
        }
        let stays = |dependency: &&TaskIx| !self.gone[dependency.index()];
        if let Some(dependency) = self.graph.dependencies(ix).iter().map(|(_, dependency)| dependency).find(stays) {
            return Ok(Err(NotReplaced::Needs(*dependency)));
        }
        let (graph, inputs) = (self.graph, self.inputs);
        let task = graph.task(ix);
        for task_id in inputs.existing.get(&task.label).into_iter().flatten() {
            if let Some(source) = self.judge(ix, *task_id, Source::Existing)? {
                return Ok(Ok(Replacement::Task { task_id: *task_id, source }));
            }
        }
        let (strategy, arg, by) = inputs.strategies.of(task);
        let mut search = |paths: &[&str]| self.search(ix, paths);
        match replaces(&strategy, arg, &mut search) {
            Ok(Answer::Keep) => Ok(Err(NotReplaced::KeptBy(by))),
            Ok(Answer::Task(task_id, source)) => Ok(Ok(Replacement::Task { task_id, source })),
            Ok(Answer::Nothing) => Ok(Ok(Replacement::Nothing(by))),
            Err(NoAnswer::Unusable(problem)) => Ok(Err(NotReplaced::KeptBy(unusable(task, problem)))),
            Err(NoAnswer::Failed(error)) => Err(error),
        }
    }

    /// The first usable task at these paths of the index.
    fn search(&mut self, ix: TaskIx, paths: &[&str]) -> Result<Option<(TaskId, Source)>, OptimizeError> {
        for path in paths {
            let source = Source::Index((*path).to_owned());
            match self.inputs.index.get(*path) {
                None => {
                    self.rejected[ix.index()].push(Rejected { source, task_id: None, why: Unusable::NotIndexed });
                }
                Some(task_id) => {
                    if let Some(source) = self.judge(ix, *task_id, source)? {
                        return Ok(Some((*task_id, source)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// `source` back if the candidate is usable; else it is noted why not.
    fn judge(&mut self, ix: TaskIx, task_id: TaskId, source: Source) -> Result<Option<Source>, OptimizeError> {
        let deadline = self.last_deadline_of_dependents(ix)?;
        match self.inputs.judge.judge(&Candidate { task: ix, task_id, source: &source, deadline }) {
            Ok(()) => Ok(Some(source)),
            Err(why) => {
                self.rejected[ix.index()].push(Rejected { source, task_id: Some(task_id), why });
                Ok(None)
            }
        }
    }

    fn last_deadline_of_dependents(&mut self, ix: TaskIx) -> Result<Option<Timestamp>, OptimizeError> {
        let mut last = None;
        for dependent in self.graph.dependents(ix) {
            last = last.max(Some(self.deadline(*dependent)?));
        }
        Ok(last)
    }

    fn deadline(&mut self, ix: TaskIx) -> Result<Timestamp, OptimizeError> {
        if let Some(deadline) = self.deadlines[ix.index()] {
            return Ok(deadline);
        }
        let task = self.graph.task(ix);
        let body = task.body().map_err(|bad| OptimizeError::Definition { label: task.label.clone(), bad })?;
        let deadline = Datestamp::read(&body["deadline"]).and_then(|deadline| deadline.at(self.inputs.now));
        let deadline = deadline.map_err(|error| OptimizeError::Deadline { label: task.label.clone(), error })?;
        // As it will be written: in milliseconds.
        let deadline = crate::time::floor_ms(deadline);
        self.deadlines[ix.index()] = Some(deadline);
        Ok(deadline)
    }
}
