//! `--policy reference`: what the reference's `actions/add_new_jobs.py`, `actions/util.py` and `create.py` make of the
//! same request. Every time starts afresh from the same earlier tasks: what one iteration makes, the next doesn't know.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::PlanError;
use super::copies::Rounds;
use super::facts::Facts;
use super::model::Warning;
use super::order::order;
use super::request::{Policy, Purpose, Request, Round};
use super::store::MAX_PLANNED;
use super::task::{Dependency, PlannedTask, Role, Target, WaitsFor};
use super::template::{Template, entry, template};
use super::usable::Looks;
use super::verdict::{Origin, PassedOver, Reuse, Unneeded, Unusable, Verdict, Why, stand_in};
use crate::graph::{Label, TaskGraph, TaskIx};
use crate::ids::TaskId;
use crate::ids::derive;
use crate::optimize::{
    self, By, Inputs, NotReplaced, Optimized, Outcome, ReferenceJudge, Rejected, Removal, Replacement, Source, Status,
    Unusable as Unfit,
};

/// What the reference's rules lead to.
pub(super) struct Followed {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) tasks: Vec<PlannedTask>,
    pub(super) warnings: Vec<Warning>,
    /// Where there are several rounds, what stands in for labels in each.
    pub(super) stand_ins: Vec<BTreeMap<String, TaskId>>,
}

/// What the reference optimises in one go: the labels of a round and all that they need.
struct Part<'a> {
    graph: Cow<'a, TaskGraph>,
    requested: BTreeSet<TaskIx>,
    fixed: BTreeSet<TaskIx>,
    times: u32,
}

fn parts<'a>(graph: &'a TaskGraph, request: &'a Request) -> Vec<Part<'a>> {
    let part = |graph: Cow<'a, TaskGraph>, labels: &[String], fixed: &[String], times| Part {
        requested: indices(&graph, labels),
        fixed: indices(&graph, fixed),
        graph,
        times,
    };
    match request.rounds() {
        [] => vec![part(Cow::Borrowed(graph), &request.labels, request.do_not_optimize(), 1)],
        [only] => vec![part(Cow::Borrowed(graph), &only.labels, &only.labels, only.times)],
        rounds => {
            let of = |round: &Round| {
                let roots: Vec<TaskIx> = indices(graph, &round.labels).into_iter().collect();
                part(Cow::Owned(graph.closure(&roots)), &round.labels, &round.labels, round.times)
            };
            rounds.iter().map(of).collect()
        }
    }
}

/// What the reference would look up: for each round the index paths of all tasks that may be optimised, then the status
/// of what is there.
pub(super) fn look(graph: &TaskGraph, request: &Request, looks: &mut Looks<'_>) {
    for part in parts(graph, request) {
        for path in optimize::lookups(&part.graph, &part.fixed, &looks.facts.strategies).all() {
            if let Some(id) = looks.indexed(path) {
                looks.status(id);
            }
        }
        if !looks.wants.is_empty() {
            return;
        }
    }
}

fn indices(graph: &TaskGraph, labels: &[String]) -> BTreeSet<TaskIx> {
    labels.iter().filter_map(|label| graph.by_label(label)).collect()
}

/// Decides by the reference's rules.
///
/// # Errors
/// What the reference would stop at too: a definition that can't be read, a task that needs a removed one.
pub(super) fn follow(graph: &TaskGraph, request: &Request, facts: &Facts) -> Result<Followed, PlanError> {
    let rounds = Rounds::of(request);
    let parts = parts(graph, request);
    let (mut tasks, mut warnings, mut stand_ins, mut iteration) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut verdicts: Vec<Option<Verdict>> = vec![None; graph.len()];
    for part in &parts {
        let optimized = optimized(part, facts)?;
        let mut following =
            Following { graph: &part.graph, request, facts, rounds: &rounds, optimized: &optimized, tasks, warnings };
        following.create(iteration..iteration + part.times)?;
        iteration += part.times;
        let mut reused = BTreeMap::new();
        for (ix, task) in part.graph.iter() {
            let verdict = following.verdict(ix, part.requested.contains(&ix), task);
            if let Some(id) = stand_in(&verdict) {
                reused.insert(task.label.to_string(), id);
            }
            if let Some(known) = graph.by_label(&task.label).and_then(|ix| verdicts.get_mut(ix.index())) {
                let verdict = match known.take() {
                    Some(earlier) => stronger(earlier, verdict),
                    None => verdict,
                };
                *known = Some(verdict);
            }
        }
        stand_ins.push(reused);
        (tasks, warnings) = (following.tasks, following.warnings);
    }
    if parts.len() == 1 {
        stand_ins.clear();
    }
    Ok(Followed { verdicts: verdicts.into_iter().flatten().collect(), tasks, warnings, stand_ins })
}

fn optimized(part: &Part<'_>, facts: &Facts) -> Result<Optimized, PlanError> {
    let mut existing: BTreeMap<Label, Vec<TaskId>> = BTreeMap::new();
    for (label, id) in facts.sources.iter().flat_map(|source| source.labels.iter()) {
        existing.insert(label.as_str().into(), vec![*id]);
    }
    let index = facts.index.iter().filter_map(|(path, id)| Some((path.clone(), (*id)?))).collect();
    let statuses: BTreeMap<TaskId, Status> = facts
        .statuses
        .iter()
        .filter_map(|(id, status)| {
            status.map(|status| (*id, Status { state: status.state, expires: status.expires.0 }))
        })
        .collect();
    let optimized = optimize::optimize(
        &part.graph,
        &Inputs {
            requested: &part.requested,
            do_not_optimize: &part.fixed,
            params: &facts.parameters,
            strategies: &facts.strategies,
            existing: &existing,
            index: &index,
            judge: &ReferenceJudge { statuses: &statuses },
            now: facts.now,
        },
    )?;
    let edges = optimize::bad_edges(&part.graph, &optimized);
    if edges.is_empty() { Ok(optimized) } else { Err(PlanError::BadEdges(edges)) }
}

/// Of a label's verdicts in two rounds the one that says more of what is done: made, reused, left out.
fn stronger(earlier: Verdict, later: Verdict) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::New { why: Why::AskedFor { .. }, .. } => 3,
        Verdict::New { .. } => 2,
        Verdict::Reuse(_) => 1,
        Verdict::Removed { .. } | Verdict::Refused { .. } => 0,
    };
    if weight(&later) > weight(&earlier) { later } else { earlier }
}

struct Following<'a> {
    graph: &'a TaskGraph,
    request: &'a Request,
    facts: &'a Facts,
    rounds: &'a Rounds<'a>,
    optimized: &'a Optimized,
    tasks: Vec<PlannedTask>,
    warnings: Vec<Warning>,
}

impl Following<'_> {
    fn create(&mut self, iterations: Range<u32>) -> Result<(), PlanError> {
        let is_new = |ix: TaskIx| self.optimized.outcome(ix).is_kept();
        let order = order(self.graph, is_new, |_, _| true);
        if !order.circle.is_empty() {
            let labels = order.circle.iter().map(|ix| self.graph.task(*ix).label.to_string()).collect();
            self.warnings.push(Warning::SoftCircle { labels });
        }
        // Each iteration makes anew what the labels need.
        let all = (self.tasks.len() as u64).saturating_add(iterations.len() as u64 * order.tasks.len() as u64);
        if all > MAX_PLANNED as u64 {
            return Err(PlanError::TooMany(all));
        }
        let mut templates: BTreeMap<TaskIx, Template> = BTreeMap::new();
        for ix in &order.tasks {
            let node = self.graph.node(*ix);
            let open = template(node, self.request, self.facts, Policy::Reference);
            let open = open.map_err(|why| PlanError::Refused { label: node.task.label.to_string(), why })?;
            templates.insert(*ix, open);
        }
        for iteration in iterations {
            let mut places = BTreeMap::new();
            for ix in &order.tasks {
                if let Some(open) = templates.get(ix) {
                    self.add(*ix, &order.soft_of(*ix), iteration, open, &mut places);
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        ix: TaskIx,
        soft: &[TaskIx],
        iteration: u32,
        open: &Template,
        places: &mut BTreeMap<TaskIx, usize>,
    ) {
        let task = self.graph.task(ix);
        let hard = self.graph.dependencies(ix).iter().map(|(name, on)| (name.to_string(), *on));
        let soft = soft.iter().map(|on| (self.graph.task(*on).label.to_string(), *on));
        let named: BTreeMap<String, TaskIx> = hard.chain(soft).collect();
        let target = |on: TaskIx| match (self.optimized.outcome(on).replaced_by(), places.get(&on)) {
            (Some(id), _) => Some(Target::Existing(id)),
            (None, at) => at.map(|at| Target::New(*at)),
        };
        let dependencies: Vec<Dependency> =
            named.into_iter().filter_map(|(name, on)| Some(Dependency { name, on: target(on)? })).collect();
        places.insert(ix, self.tasks.len());
        for duplicate in 0..self.rounds.copies(task).duplicates() {
            let group = self.request.group;
            self.tasks.push(PlannedTask {
                label: task.label.to_string(),
                task_id: group.map(|_| derive::reference(&self.request.id, iteration, &task.label, duplicate)),
                role: Role::Reference { iteration, duplicate },
                k: 0,
                waits_for: self.waits_for(&dependencies),
                dependencies: dependencies.clone(),
                template: Arc::clone(&open.definition),
                entry: self.graph.node(ix).entry(entry),
            });
        }
    }

    fn waits_for(&self, dependencies: &[Dependency]) -> WaitsFor {
        if self.request.is_optimization() {
            return WaitsFor::default();
        }
        let alone = !dependencies.iter().any(|dependency| matches!(dependency.on, Target::New(_)));
        WaitsFor {
            action: self.request.action_task.filter(|action| Some(*action) != self.request.decision),
            decision: self.request.decision.filter(|_| alone),
        }
    }

    fn verdict(&mut self, ix: TaskIx, asked: bool, task: &crate::graph::Task) -> Verdict {
        let outcome = self.optimized.outcome(ix);
        if let Removal::KeptBy(By::Unknown { name }) | Removal::KeptBy(By::Unusable { name, .. }) = &outcome.removal {
            self.warnings.push(Warning::UnknownStrategy { label: task.label.to_string(), strategy: name.clone() });
        } else if let Err(NotReplaced::KeptBy(By::Unknown { name } | By::Unusable { name, .. })) = &outcome.replacement
        {
            self.warnings.push(Warning::UnknownStrategy { label: task.label.to_string(), strategy: name.clone() });
        }
        if outcome.is_removed() {
            return Verdict::Removed { why: unneeded(outcome), stand_in: outcome.replaced_by() };
        }
        match &outcome.replacement {
            Ok(Replacement::Task { task_id, source }) => Verdict::Reuse(self.reuse(ix, *task_id, source)),
            Ok(Replacement::Nothing(_)) | Err(_) => {
                Verdict::New { why: self.why(ix, asked, outcome), passed_over: passed_over(&outcome.rejected) }
            }
        }
    }

    fn reuse(&self, ix: TaskIx, task_id: TaskId, source: &Source) -> Reuse {
        let label = &*self.graph.task(ix).label;
        let from = match source {
            Source::Index(path) => Origin::Index { path: path.clone() },
            Source::Existing => {
                let list = self.facts.sources.iter().rev().find(|source| source.labels.get(label) == Some(&task_id));
                list.map_or(Origin::Strategy, |source| Origin::Push { source: source.kind, of: source.of })
            }
        };
        Reuse { task_id, from, status: self.facts.statuses.get(&task_id).copied().flatten(), rerun: false }
    }

    fn why(&self, ix: TaskIx, asked: bool, outcome: &Outcome) -> Why {
        match (&self.request.purpose, asked) {
            (Purpose::Add { .. } | Purpose::Clone { .. }, true) => {
                Why::AskedFor { copies: self.rounds.copies(self.graph.task(ix)).total() }
            }
            (Purpose::Optimize { .. }, true) => Why::Kept { by: outcome.removal.to_string() },
            (_, false) => {
                let new = |on: &&TaskIx| self.optimized.outcome(**on).is_kept();
                let by = self.graph.dependents(ix).iter().find(new);
                let label = by.map(|by| self.graph.task(*by).label.to_string()).unwrap_or_default();
                Why::NeededBy { label, with: None }
            }
        }
    }
}

fn unneeded(outcome: &Outcome) -> Unneeded {
    match (&outcome.removal, &outcome.replacement) {
        (removal, Ok(Replacement::Nothing(by))) if removal.is_kept() => Unneeded::Optimized { by: by.to_string() },
        (removal, _) => Unneeded::Optimized { by: removal.to_string() },
    }
}

fn passed_over(rejected: &[Rejected]) -> Vec<PassedOver> {
    let over = rejected.iter().map(|rejected| PassedOver {
        task_id: rejected.task_id,
        from: match &rejected.source {
            Source::Index(path) => Origin::Index { path: path.clone() },
            Source::Existing => Origin::Strategy,
        },
        because: match &rejected.why {
            Unfit::NotIndexed | Unfit::NoStatus => Unusable::Absent,
            Unfit::State(state) => Unusable::Unsuccessful { state: *state, at: None },
            Unfit::Expires { expires, deadline } => {
                Unusable::Expires { at: (*expires).into(), needed_until: (*deadline).into() }
            }
            Unfit::WaitsFor(on) => Unusable::Waits { on: *on },
        },
    });
    over.collect()
}
