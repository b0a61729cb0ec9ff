//! The graft policy's walk: down from what was asked for, making only what nothing usable stands in for.
//!
//! The reference decides from the bottom: a task whose dependency has to be made is made too. Here a task is looked at
//! when something new needs it, and what only reused tasks need is left alone, however it ended.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::copies::Rounds;
use super::facts::Facts;
use super::model::Warning;
use super::render::deadline;
use super::request::{Policy, Purpose, Request};
use super::same::same_task;
use super::template::{Template, template};
use super::usable::Looks;
use super::verdict::{Origin, PassedOver, Refusal, Reuse, Unneeded, Unusable, Verdict, Why};
use crate::definition::{References, resolve_references};
use crate::graph::{TaskGraph, TaskIx};
use crate::ids::TaskId;
use crate::ids::derive::{self, BodyHash, MAX_K};
use crate::optimize::{self, Answer, By, Inputs, Judge, NoAnswer, Removal, Source, Unusable as Never, replaces};

/// What the walk found for one task.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// For a new one: its open definition.
    pub(super) template: Option<Template>,
    /// For a new one that is shared: how many ids were passed over.
    pub(super) k: u8,
    /// Whether it needs something that was asked for, and so is this request's own.
    pub(super) is_bridge: bool,
}

/// All that the walk found.
pub(super) struct Demand {
    pub(super) decisions: Vec<Decision>,
    pub(super) warnings: Vec<Warning>,
}

pub(super) struct Walk<'a, 'l> {
    graph: &'a TaskGraph,
    request: &'a Request,
    facts: &'a Facts,
    looks: &'l mut Looks<'a>,
    rounds: Rounds<'a>,
    asked: BTreeSet<TaskIx>,
    fixed: BTreeSet<TaskIx>,
    removals: Vec<Removal>,
    /// For each task something asked for that it needs, if any.
    above: Vec<Option<TaskIx>>,
    /// For each task the first new task that needs it.
    needed_by: Vec<Option<TaskIx>>,
    /// For each task the latest deadline of the new tasks that need it.
    until: Vec<Option<Timestamp>>,
    warnings: Vec<Warning>,
}

/// Decides for every task of the graph. What `looks` wants afterwards was not known and taken as absent.
pub(super) fn demand<'a>(
    graph: &'a TaskGraph,
    request: &'a Request,
    facts: &'a Facts,
    looks: &mut Looks<'a>,
) -> Demand {
    let indices = |labels: &[String]| labels.iter().filter_map(|label| graph.by_label(label)).collect::<BTreeSet<_>>();
    let (asked, fixed) = (indices(&request.labels), indices(request.do_not_optimize()));
    let mut walk = Walk {
        removals: removals(graph, facts, &asked, &fixed),
        above: vec![None; graph.len()],
        needed_by: vec![None; graph.len()],
        until: vec![None; graph.len()],
        warnings: Vec::new(),
        graph,
        request,
        facts,
        looks,
        rounds: Rounds::of(request),
        asked,
        fixed,
    };
    walk.mark_above();
    let mut decisions: Vec<Option<Decision>> = vec![None; graph.len()];
    for ix in graph.preorder() {
        let decision = walk.decide(ix);
        walk.demand_dependencies(ix, &decision);
        decisions[ix.index()] = Some(decision);
    }
    let mut decisions: Vec<Decision> = decisions.into_iter().flatten().collect();
    refuse_dependents(graph, &mut decisions);
    Demand { decisions, warnings: walk.warnings }
}

/// The first phase of optimisation; it looks nothing up.
fn removals(
    graph: &TaskGraph,
    facts: &Facts,
    requested: &BTreeSet<TaskIx>,
    do_not_optimize: &BTreeSet<TaskIx>,
) -> Vec<Removal> {
    let inputs = Inputs {
        requested,
        do_not_optimize,
        params: &facts.parameters,
        strategies: &facts.strategies,
        existing: &BTreeMap::new(),
        index: &BTreeMap::new(),
        judge: &Nobody,
        now: facts.now,
    };
    optimize::remove_tasks(graph, &inputs)
}

/// The first phase judges no candidates.
struct Nobody;

impl Judge for Nobody {
    fn judge(&self, _: &optimize::Candidate<'_>) -> Result<(), Never> {
        Err(Never::NoStatus)
    }
}

impl<'a> Walk<'a, '_> {
    fn mark_above(&mut self) {
        for ix in self.graph.postorder() {
            let dependencies = self.graph.dependencies(*ix).iter().map(|(_, on)| *on);
            let asked = |on: TaskIx| if self.fixed.contains(&on) { Some(on) } else { self.above[on.index()] };
            self.above[ix.index()] = dependencies.filter_map(asked).next();
        }
    }

    fn decide(&mut self, ix: TaskIx) -> Decision {
        let asked = self.asked.contains(&ix) && self.removals[ix.index()].is_kept();
        let needed_by = self.needed_by[ix.index()];
        if !asked && needed_by.is_none() {
            return self.unneeded(ix);
        }
        let is_fixed = self.fixed.contains(&ix);
        let above = self.above[ix.index()].filter(|_| !is_fixed);
        let mut passed_over = Vec::new();
        let mut k = 0;
        if !is_fixed && above.is_none() {
            match self.stand_in(ix, &mut passed_over) {
                Ok(reuse) => return decided(Verdict::Reuse(reuse)),
                Err(Some(next)) => k = next,
                Err(None) => return decided(Verdict::Refused { why: Refusal::NoFreeId }),
            }
        }
        let why = self.why(ix, asked, needed_by, above);
        match template(self.graph.task(ix), self.request, self.facts, Policy::Graft) {
            Ok(open) => Decision {
                verdict: Verdict::New { why, passed_over },
                template: Some(open),
                k,
                is_bridge: above.is_some(),
            },
            Err(why) => decided(Verdict::Refused { why }),
        }
    }

    fn unneeded(&self, ix: TaskIx) -> Decision {
        let why = match &self.removals[ix.index()] {
            Removal::RemovedBy(by) => Unneeded::Optimized { by: by.to_string() },
            removal @ Removal::IfDependencies => Unneeded::Optimized { by: removal.to_string() },
            Removal::NobodyNeedsIt
            | Removal::DoNotOptimize
            | Removal::NeededBy(_)
            | Removal::KeptBy(_)
            | Removal::DependencyStays(_) => Unneeded::OnlyReused,
        };
        decided(Verdict::Removed { why, stand_in: None })
    }

    fn why(&self, ix: TaskIx, asked: bool, needed_by: Option<TaskIx>, above: Option<TaskIx>) -> Why {
        let label = |ix: TaskIx| self.graph.task(ix).label.to_string();
        match (asked, &self.request.purpose, needed_by) {
            (true, Purpose::Add { .. } | Purpose::Clone { .. }, _) => {
                Why::AskedFor { copies: self.rounds.copies(self.graph.task(ix)).total() }
            }
            (true, Purpose::Optimize { .. }, _) => Why::Kept { by: self.removals[ix.index()].to_string() },
            (false, _, needed_by) => {
                Why::NeededBy { label: needed_by.map(label).unwrap_or_default(), with: above.map(label) }
            }
        }
    }

    /// An earlier task to use; or how many derived ids to pass over, `None` if that is all of them.
    fn stand_in(&mut self, ix: TaskIx, passed_over: &mut Vec<PassedOver>) -> Result<Reuse, Option<u8>> {
        if let Some(reuse) = self.on_push(ix, passed_over) {
            return Ok(reuse);
        }
        if let Some(reuse) = self.in_index(ix, passed_over) {
            return Ok(reuse);
        }
        if self.request.rerun_failed
            && let Some(reuse) = self.failed_on_push(ix)
        {
            return Ok(reuse);
        }
        match self.request.group {
            Some(group) if !self.request.is_optimization() => self.promised(ix, group, passed_over),
            Some(_) | None => Err(Some(0)),
        }
    }

    fn earlier(&self, ix: TaskIx) -> Vec<(TaskId, Origin)> {
        let label = &*self.graph.task(ix).label;
        let mut seen = BTreeSet::new();
        let newest_first = self.facts.sources.iter().rev();
        let of_label = newest_first.filter_map(|source| {
            let from = Origin::Push { source: source.kind, of: source.of };
            source.labels.get(label).map(|id| (*id, from))
        });
        of_label.filter(|(id, _)| seen.insert(*id)).collect()
    }

    fn on_push(&mut self, ix: TaskIx, passed_over: &mut Vec<PassedOver>) -> Option<Reuse> {
        let mut found = None;
        // All are asked about at once, though the first usable one is taken.
        for (task_id, from) in self.earlier(ix) {
            match self.looks.usable(task_id, self.until[ix.index()]) {
                Ok(status) if found.is_none() => {
                    found = Some(Reuse { task_id, from, status: Some(status), rerun: false });
                }
                Ok(_) => {}
                Err(because) if found.is_none() => {
                    passed_over.push(PassedOver { task_id: Some(task_id), from, because });
                }
                Err(_) => {}
            }
        }
        found
    }

    fn in_index(&mut self, ix: TaskIx, passed_over: &mut Vec<PassedOver>) -> Option<Reuse> {
        let task = self.graph.task(ix);
        let (strategy, arg, by) = self.facts.strategies.of(task);
        if let By::Unknown { name } | By::Unusable { name, .. } = &by {
            self.warnings.push(Warning::UnknownStrategy { label: task.label.to_string(), strategy: name.clone() });
        }
        let until = self.until[ix.index()];
        let mut status = None;
        let looks = &mut *self.looks;
        let mut search = |paths: &[&str]| {
            // All are asked about at once, though the first usable one is taken.
            let found: Vec<_> = paths.iter().map(|path| ((*path).to_owned(), looks.indexed(path))).collect();
            for (path, task_id) in found {
                let because = match task_id.map(|id| (id, looks.usable(id, until))) {
                    Some((id, Ok(usable))) => {
                        status = Some(usable);
                        return Ok::<_, std::convert::Infallible>(Some((id, Source::Index(path))));
                    }
                    Some((_, Err(because))) => because,
                    None => Unusable::Absent,
                };
                passed_over.push(PassedOver { task_id, from: Origin::Index { path }, because });
            }
            Ok(None)
        };
        match replaces(&strategy, arg, &mut search) {
            Ok(Answer::Task(task_id, Source::Index(path))) => {
                Some(Reuse { task_id, from: Origin::Index { path }, status, rerun: false })
            }
            Ok(Answer::Task(task_id, Source::Existing)) => {
                Some(Reuse { task_id, from: Origin::Strategy, status, rerun: false })
            }
            // A composite that would put nothing in its place: something needs it, so that can't be.
            Ok(Answer::Keep | Answer::Nothing) => None,
            Err(NoAnswer::Unusable(_)) => {
                let strategy = by.to_string();
                self.warnings.push(Warning::UnknownStrategy { label: task.label.to_string(), strategy });
                None
            }
            Err(NoAnswer::Failed(never)) => match never {},
        }
    }

    fn failed_on_push(&mut self, ix: TaskIx) -> Option<Reuse> {
        let mut found = None;
        for (task_id, from) in self.earlier(ix) {
            let status = self.looks.rerunnable(task_id, self.until[ix.index()]);
            if found.is_none() {
                found = status.map(|status| Reuse { task_id, from, status: Some(status), rerun: true });
            }
        }
        found
    }

    /// Looks under the ids that are derived for this need, in order.
    fn promised(&mut self, ix: TaskIx, group: TaskId, passed_over: &mut Vec<PassedOver>) -> Result<Reuse, Option<u8>> {
        let task = self.graph.task(ix);
        let body = BodyHash::of(&task.definition);
        for k in 0..=MAX_K {
            let task_id = derive::needed(group, &task.label, &body, k);
            let Some(status) = self.looks.status(task_id) else { return Err(Some(k)) };
            let Some(theirs) = self.looks.task(task_id) else { return Err(Some(k)) };
            let from = Origin::Promised { k };
            let because = if self.is_this(ix, task_id, theirs) {
                match self.looks.usable(task_id, self.until[ix.index()]) {
                    Ok(_) => return Ok(Reuse { task_id, from, status: Some(status), rerun: false }),
                    Err(because) => because,
                }
            } else {
                self.warnings.push(Warning::ForeignTask { label: task.label.to_string(), task_id });
                Unusable::Foreign
            };
            passed_over.push(PassedOver { task_id: Some(task_id), from, because });
        }
        Err(None)
    }

    /// Whether a task is what this label would become. Ids of dependencies are not compared, so any do.
    fn is_this(&self, ix: TaskIx, own: TaskId, theirs: &serde_json::Value) -> bool {
        let task = self.graph.task(ix);
        let Ok(open) = template(task, self.request, self.facts, Policy::Graft) else { return false };
        let names = task.dependencies.keys().cloned().chain(task.soft_dependencies.iter().map(ToString::to_string));
        let ids: BTreeMap<String, TaskId> =
            names.map(|name| (name.clone(), derive::morph(TaskId::from_bytes([0; 16]), &name))).collect();
        let references = References {
            own,
            decision: self.request.decision.unwrap_or(own),
            dependencies: &ids,
            urls: &self.facts.urls,
        };
        let Ok(mut ours) = resolve_references(&open.definition, &references) else { return false };
        let ids: Vec<TaskId> = ids.into_values().collect();
        let joined = crate::definition::extend_dependencies(&mut ours, &ids).and_then(|()| {
            let group = self.request.group.unwrap_or(own);
            crate::definition::join_group(&mut ours, group, self.facts.scheduler_id.as_deref().unwrap_or("-"), false)
        });
        joined.is_ok() && same_task(&ours, theirs, &self.facts.urls)
    }

    fn demand_dependencies(&mut self, ix: TaskIx, decision: &Decision) {
        let Some(open) = &decision.template else { return };
        let until = deadline(&open.definition, self.facts.now);
        for (_, on) in self.graph.dependencies(ix) {
            let at = on.index();
            self.needed_by[at] = self.needed_by[at].or(Some(ix));
            self.until[at] = self.until[at].max(until);
        }
    }
}

fn decided(verdict: Verdict) -> Decision {
    Decision { verdict, template: None, k: 0, is_bridge: false }
}

/// What depends on something refused is refused, and what only that needs is not needed.
fn refuse_dependents(graph: &TaskGraph, decisions: &mut [Decision]) {
    let mut any = false;
    for ix in graph.postorder() {
        if !is_new(&decisions[ix.index()]) {
            any |= matches!(decisions[ix.index()].verdict, Verdict::Refused { .. });
            continue;
        }
        let refused = |on: &&TaskIx| matches!(decisions[on.index()].verdict, Verdict::Refused { .. });
        if let Some(on) = graph.dependencies(*ix).iter().map(|(_, on)| on).find(refused) {
            let label = graph.task(*on).label.to_string();
            decisions[ix.index()] = decided(Verdict::Refused { why: Refusal::DependsOn { label } });
        }
    }
    if !any {
        return;
    }
    for ix in graph.preorder() {
        let new_dependent = graph.dependents(ix).iter().find(|on| is_new(&decisions[on.index()])).copied();
        let only_needed = match &decisions[ix.index()].verdict {
            Verdict::New { why: Why::NeededBy { .. }, .. } | Verdict::Reuse(_) => true,
            Verdict::New { .. } | Verdict::Removed { .. } | Verdict::Refused { .. } => false,
        };
        match (only_needed, new_dependent) {
            (true, None) => {
                decisions[ix.index()] = decided(Verdict::Removed { why: Unneeded::OnlyRefused, stand_in: None })
            }
            (true, Some(on)) => {
                if let Verdict::New { why: Why::NeededBy { label, .. }, .. } = &mut decisions[ix.index()].verdict {
                    *label = graph.task(on).label.to_string();
                }
            }
            (false, _) => {}
        }
    }
}

fn is_new(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::New { .. })
}
