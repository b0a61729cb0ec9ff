//! The two entries to planning: what is wanted, and the plan.

use super::build::build;
use super::copies::Rounds;
use super::demand::demand;
use super::facts::{Facts, Wants};
use super::model::{PLAN_VERSION, Plan};
use super::reference;
use super::request::{MAX_TIMES, Policy, Request};
use super::store::MAX_PLANNED;
use super::task::Role;
use super::usable::Looks;
use super::verdict::{LabelVerdict, Refusal, Verdict};
use crate::graph::TaskGraph;
use crate::morph::GraphConfig;
use crate::optimize::{BadEdge, OptimizeError};
use crate::time::Millis;

/// Why there is no plan at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing was asked for.
    #[error("no labels were asked for")]
    NoLabels,
    /// Too few or too many copies.
    #[error("{0} copies of each can't be made: 1 to {MAX_TIMES} can")]
    Times(u32),
    /// More copies than any plan may have.
    #[error("{0} copies are more than a plan may have: at most {MAX_PLANNED}")]
    TooMany(u64),
    /// The group takes no new tasks.
    #[error("the task group was sealed {0} and takes no new tasks")]
    Sealed(Millis),
    /// The group belongs to another scheduler.
    #[error("the task group belongs to scheduler `{theirs}`, and this request would create tasks for `{ours}`")]
    OtherScheduler {
        /// The group's.
        theirs: String,
        /// The request's.
        ours: String,
    },
    /// A task depends on one that the push doesn't have. The reference leaves such a dependency out.
    #[error("task `{label}` depends on `{dependency}` as `{name}`, and this push has no such task")]
    UnknownDependency {
        /// The task's label.
        label: String,
        /// The dependency's name.
        name: String,
        /// The label that isn't there.
        dependency: String,
    },
    /// A deadline that is needed can't be read.
    #[error(transparent)]
    Optimize(#[from] OptimizeError),
    /// A task can't be made once more.
    #[error("make the task once more: {0}")]
    Uncloneable(String),
    /// Optimisation removes what something else needs; the reference stops here too.
    #[error("optimization removes what is needed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    BadEdges(Vec<BadEdge>),
    /// A task can't be had; only under the reference's rules, which stop there.
    #[error("task `{label}`: {why}")]
    Refused {
        /// Its label.
        label: String,
        /// Why.
        why: Refusal,
    },
}

/// What is still to be looked up before `plan` decides on facts. Looks at `graph`, the closure of the request's labels,
/// exactly as [`plan`] does, and names what it missed. Fetch all of it, [`Facts::answer`], and ask again until nothing
/// is wanted: two or three rounds as a rule, more only along chains of unscheduled tasks.
#[must_use]
pub fn wants(graph: &TaskGraph, request: &Request, facts: &Facts, policy: Policy) -> Wants {
    let mut looks = Looks::new(facts);
    match policy {
        Policy::Graft => {
            let demand = demand(graph, request, facts, &mut looks);
            build(graph, request, &mut looks, &demand);
        }
        Policy::Reference => reference::look(graph, request, &mut looks),
    }
    looks.wants
}

/// What comes of planning on the facts so far.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// More has to be looked up, see [`wants`].
    Wants(Wants),
    /// The plan.
    Plan(Box<Plan>),
}

/// [`wants`], and where nothing is wanted [`plan()`], without doing what both do twice.
///
/// # Errors
/// As for [`plan()`].
pub fn attempt(graph: &TaskGraph, request: &Request, facts: &Facts, policy: Policy) -> Result<Attempt, PlanError> {
    check(graph, request, facts, policy)?;
    let mut looks = Looks::new(facts);
    if policy == Policy::Reference {
        reference::look(graph, request, &mut looks);
        if !looks.wants.is_empty() {
            return Ok(Attempt::Wants(looks.wants));
        }
    }
    let plan = decide(graph, request, facts, policy, &mut looks)?;
    Ok(if looks.wants.is_empty() { Attempt::Plan(Box::new(plan)) } else { Attempt::Wants(looks.wants) })
}

/// Decides. `graph` is the closure of the request's labels (labels that it lacks are refused); what the facts don't
/// say is taken as not found.
///
/// # Errors
/// What stops the whole request rather than single labels.
pub fn plan(graph: &TaskGraph, request: &Request, facts: &Facts, policy: Policy) -> Result<Plan, PlanError> {
    check(graph, request, facts, policy)?;
    decide(graph, request, facts, policy, &mut Looks::new(facts))
}

fn decide<'a>(
    graph: &'a TaskGraph,
    request: &'a Request,
    facts: &'a Facts,
    policy: Policy,
    looks: &mut Looks<'a>,
) -> Result<Plan, PlanError> {
    let (verdicts, tasks, mut warnings, stand_ins) = match policy {
        Policy::Graft => {
            let demand = demand(graph, request, facts, looks);
            let (tasks, more) = build(graph, request, looks, &demand);
            let verdicts = demand.decisions.into_iter().map(|decision| decision.verdict).collect();
            (verdicts, tasks, [demand.warnings, more].concat(), Vec::new())
        }
        Policy::Reference => {
            let followed = reference::follow(graph, request, facts)?;
            (followed.verdicts, followed.tasks, followed.warnings, followed.stand_ins)
        }
    };
    warnings.dedup();
    let verdicts = in_order(graph, request, facts, verdicts);
    let has_index_tasks = tasks.iter().any(|task| matches!(task.role, Role::Index { .. }));
    let index_tasks = facts.index_tasks.as_ref().filter(|_| has_index_tasks).map(GraphConfig::for_index_tasks);
    Ok(Plan { verdicts, tasks, warnings, stand_ins, index_tasks, ..Plan::bare(request, facts, policy) })
}

impl Plan {
    /// A plan that creates nothing: for a request that is only about tasks that exist.
    #[must_use]
    pub fn bare(request: &Request, facts: &Facts, policy: Policy) -> Self {
        Self {
            version: PLAN_VERSION,
            policy,
            made: facts.now.into(),
            request: request.clone(),
            root_url: facts.urls.root.trim_end_matches('/').to_owned(),
            proxy_url: facts.urls.proxy.clone(),
            scheduler_id: facts.scheduler_id.clone(),
            verdicts: Vec::new(),
            tasks: Vec::new(),
            stand_ins: Vec::new(),
            tend: Vec::new(),
            elsewhere: Vec::new(),
            index_tasks: None,
            warnings: Vec::new(),
        }
    }
}

fn check(graph: &TaskGraph, request: &Request, facts: &Facts, policy: Policy) -> Result<(), PlanError> {
    if let (Policy::Graft, Some(missing)) = (policy, graph.missing().first()) {
        return Err(PlanError::UnknownDependency {
            label: graph.task(missing.task).label.to_string(),
            name: missing.name.clone(),
            dependency: missing.label.to_string(),
        });
    }
    if let Some(round) = request.rounds().iter().find(|round| !(1..=MAX_TIMES).contains(&round.times)) {
        return Err(PlanError::Times(round.times));
    }
    let (rounds, asked) = (Rounds::of(request), request.labels.iter().filter_map(|label| graph.by_label(label)));
    let copies = asked.map(|ix| u64::from(rounds.copies(graph.task(ix)).total())).fold(0, u64::saturating_add);
    if copies > MAX_PLANNED as u64 {
        return Err(PlanError::TooMany(copies));
    }
    let nothing = match policy {
        Policy::Graft => request.labels.is_empty(),
        // The reference goes through the motions.
        Policy::Reference => request.rounds().is_empty(),
    };
    if nothing && !request.is_optimization() {
        return Err(PlanError::NoLabels);
    }
    check_group(request, facts, policy)
}

/// Whether the group takes the request's tasks, where that is known.
pub(super) fn check_group(request: &Request, facts: &Facts, policy: Policy) -> Result<(), PlanError> {
    let Some(group) = facts.group.as_ref().filter(|_| policy == Policy::Graft && !request.is_optimization()) else {
        return Ok(());
    };
    match (group.sealed, &facts.scheduler_id) {
        (Some(sealed), _) => Err(PlanError::Sealed(sealed)),
        (None, Some(ours)) if *ours != group.scheduler_id => {
            Err(PlanError::OtherScheduler { theirs: group.scheduler_id.clone(), ours: ours.clone() })
        }
        (None, _) => Ok(()),
    }
}

/// What was asked for first, in its order, then the rest, dependents first.
fn in_order(graph: &TaskGraph, request: &Request, facts: &Facts, verdicts: Vec<Verdict>) -> Vec<LabelVerdict> {
    let mut verdicts: Vec<Option<Verdict>> = verdicts.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(verdicts.len());
    for label in &request.labels {
        let found = graph.by_label(label);
        let verdict = match found {
            Some(ix) => verdicts.get_mut(ix.index()).and_then(Option::take),
            None => {
                let nearest = facts.nearest.get(label).cloned().unwrap_or_default();
                Some(Verdict::Refused { why: Refusal::UnknownLabel { nearest } })
            }
        };
        ordered.extend(verdict.map(|verdict| LabelVerdict { label: label.clone(), verdict }));
    }
    for ix in graph.preorder() {
        if let Some(verdict) = verdicts.get_mut(ix.index()).and_then(Option::take) {
            ordered.push(LabelVerdict { label: graph.task(ix).label.to_string(), verdict });
        }
    }
    ordered
}
