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
use super::template::{Template, template};
use super::usable::Looks;
use super::verdict::{Refusal, Unneeded, Verdict, Why};
use crate::graph::{TaskGraph, TaskIx};
use crate::optimize::{self, Inputs, Judge, Removal, Unusable as Never};

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
    pub(super) graph: &'a TaskGraph,
    pub(super) request: &'a Request,
    pub(super) facts: &'a Facts,
    pub(super) looks: &'l mut Looks<'a>,
    rounds: Rounds<'a>,
    asked: BTreeSet<TaskIx>,
    fixed: BTreeSet<TaskIx>,
    removals: Vec<Removal>,
    /// For each task something asked for that it needs, if any.
    above: Vec<Option<TaskIx>>,
    /// For each task the first new task that needs it.
    needed_by: Vec<Option<TaskIx>>,
    /// For each task the latest deadline of the new tasks that need it.
    pub(super) until: Vec<Option<Timestamp>>,
    pub(super) warnings: Vec<Warning>,
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
        match template(self.graph.node(ix), self.request, self.facts, Policy::Graft) {
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
