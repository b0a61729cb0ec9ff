//! From the walk's decisions to the tasks to create.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::copies::Rounds;
use super::demand::{Decision, Demand};
use super::model::Warning;
use super::order::order;
use super::render::deadline;
use super::request::Request;
use super::task::{Dependency, PlannedTask, Role, Target, WaitsFor};
use super::template::{INDEX_PURPOSE, IndexTask, Template, entry, index_entry};
use super::usable::Looks;
use super::verdict::Verdict;
use crate::graph::{TaskGraph, TaskIx};
use crate::ids::TaskId;
use crate::ids::derive;

struct Builder<'a, 'l> {
    graph: &'a TaskGraph,
    request: &'a Request,
    looks: &'l mut Looks<'a>,
    decisions: &'l [Decision],
    rounds: Rounds<'a>,
    /// What was asked for.
    asked: BTreeSet<TaskIx>,
    /// Per task of the graph, the places of its copies.
    places: Vec<Vec<usize>>,
    tasks: Vec<PlannedTask>,
    warnings: Vec<Warning>,
}

/// The tasks to create, dependencies first, and more warnings.
pub(super) fn build<'a>(
    graph: &'a TaskGraph,
    request: &'a Request,
    looks: &mut Looks<'a>,
    demand: &Demand,
) -> (Vec<PlannedTask>, Vec<Warning>) {
    let decisions = &demand.decisions;
    let mut builder = Builder {
        places: vec![Vec::new(); graph.len()],
        tasks: Vec::new(),
        warnings: Vec::new(),
        graph,
        request,
        looks,
        decisions,
        rounds: Rounds::of(request),
        asked: if request.is_optimization() {
            BTreeSet::new()
        } else {
            request.labels.iter().filter_map(|label| graph.by_label(label)).collect()
        },
    };
    let is_new = |ix: TaskIx| decisions[ix.index()].template.is_some();
    // What is shared must not depend on what is not, softly either.
    let may_follow = |ix: TaskIx, on: TaskIx| builder.is_own(ix) || !builder.is_own(on);
    let order = order(graph, is_new, may_follow);
    if !order.circle.is_empty() {
        let labels = order.circle.iter().map(|ix| graph.task(*ix).label.to_string()).collect();
        builder.warnings.push(Warning::SoftCircle { labels });
    }
    for ix in &order.tasks {
        builder.add(*ix, &order.soft_of(*ix));
    }
    (builder.tasks, builder.warnings)
}

impl Builder<'_, '_> {
    fn is_copy(&self, ix: TaskIx) -> bool {
        self.asked.contains(&ix)
    }

    fn is_own(&self, ix: TaskIx) -> bool {
        self.decisions[ix.index()].is_bridge || self.is_copy(ix)
    }

    fn add(&mut self, ix: TaskIx, soft: &[TaskIx]) {
        let decision = &self.decisions[ix.index()];
        let Some(open) = &decision.template else { return };
        let task = self.graph.task(ix);
        let roles: Vec<Role> = if self.is_copy(ix) {
            (0..self.rounds.copies(task).total()).map(|n| Role::Copy { n }).collect()
        } else if decision.is_bridge {
            vec![Role::Bridge]
        } else {
            vec![Role::Needed { body: self.graph.node(ix).body_hash() }]
        };
        for role in roles {
            let dependencies = self.dependencies(ix, &role, soft);
            let waits_for = self.waits_for(&task.label, &role, &dependencies, open);
            let k = if matches!(role, Role::Needed { .. }) { decision.k } else { 0 };
            let planned = PlannedTask {
                label: task.label.to_string(),
                task_id: task_id(self.request, &task.label, &role, k),
                role,
                k,
                dependencies,
                waits_for,
                template: Arc::clone(&open.definition),
                entry: self.graph.node(ix).entry(entry),
            };
            self.places[ix.index()].push(self.tasks.len());
            self.tasks.push(planned);
            if let Some(index) = &open.index {
                self.add_index_task(index);
            }
        }
    }

    /// Adds the index task of the task just added.
    fn add_index_task(&mut self, index: &IndexTask) {
        let parent = self.tasks.len() - 1;
        let task_id = self.tasks[parent].task_id.map(|id| derive::morph(id, INDEX_PURPOSE));
        self.tasks.push(PlannedTask {
            label: index.label.clone(),
            role: Role::Index { parent },
            task_id,
            k: 0,
            dependencies: vec![Dependency { name: "parent".to_owned(), on: Target::New(parent) }],
            waits_for: WaitsFor::default(),
            template: Arc::clone(&index.definition),
            entry: Arc::new(index_entry(&index.label)),
        });
    }

    fn dependencies(&self, ix: TaskIx, role: &Role, soft: &[TaskIx]) -> Vec<Dependency> {
        let hard = self.graph.dependencies(ix).iter().map(|(name, on)| (name.to_string(), *on));
        let soft = soft.iter().map(|on| (self.graph.task(*on).label.to_string(), *on));
        // As in the reference a soft dependency takes the name from a hard one that has it.
        let named: BTreeMap<String, TaskIx> = hard.chain(soft).collect();
        let targets = named.into_iter().filter_map(|(name, on)| {
            let on = self.target(ix, role, on)?;
            Some(Dependency { name, on })
        });
        targets.collect()
    }

    fn target(&self, ix: TaskIx, role: &Role, on: TaskIx) -> Option<Target> {
        match &self.decisions[on.index()].verdict {
            Verdict::Reuse(reuse) => Some(Target::Existing(reuse.task_id)),
            Verdict::New { .. } => {
                let n = match role {
                    Role::Copy { n } if self.is_copy(on) => {
                        let copies = |ix| self.rounds.copies(self.graph.task(ix));
                        copies(on).matching(*n, &copies(ix))
                    }
                    Role::Copy { .. }
                    | Role::Needed { .. }
                    | Role::Bridge
                    | Role::Index { .. }
                    | Role::Clone { .. }
                    | Role::Reference { .. } => 0,
                };
                self.places[on.index()].get(n as usize).map(|at| Target::New(*at))
            }
            Verdict::Removed { .. } | Verdict::Refused { .. } => None,
        }
    }

    fn waits_for(&mut self, label: &str, role: &Role, dependencies: &[Dependency], open: &Template) -> WaitsFor {
        if self.request.is_optimization() {
            return WaitsFor::default();
        }
        let until = deadline(&open.definition, self.looks.facts.now);
        let is_copy = matches!(role, Role::Copy { .. });
        let mut waits = WaitsFor::default();
        if let Some(action) =
            self.request.action_task.filter(|action| is_copy && Some(*action) != self.request.decision)
        {
            if self.may_wait_for(action, until) {
                waits.action = Some(action);
            } else if !self.warnings.iter().any(|warning| matches!(warning, Warning::ActionNotDependable { .. })) {
                self.warnings.push(Warning::ActionNotDependable { label: label.to_owned() });
            }
        }
        // As in the reference, something with no new task before it waits for the decision task; a shared one only if
        // it would wait for nothing at all.
        let alone = if is_copy {
            !dependencies.iter().any(|dependency| matches!(dependency.on, Target::New(_)))
        } else {
            dependencies.is_empty()
        };
        if let Some(decision) = self.request.decision.filter(|_| alone) {
            if self.may_wait_for(decision, until) {
                waits.decision = Some(decision);
            } else if !self.warnings.contains(&Warning::DecisionNotDependable) {
                self.warnings.push(Warning::DecisionNotDependable);
            }
        }
        waits
    }

    /// Whether a new task may depend on `id`. If nothing can be looked up it is taken to be well.
    fn may_wait_for(&mut self, id: TaskId, until: Option<jiff::Timestamp>) -> bool {
        let known = self.looks.facts.statuses.contains_key(&id);
        self.looks.usable(id, until).is_ok() || !known
    }
}

/// The id for a role; none if the group is not known.
pub(super) fn task_id(request: &Request, label: &str, role: &Role, k: u8) -> Option<TaskId> {
    let group = request.group?;
    match role {
        Role::Copy { n } => Some(derive::copy(&request.id, label, *n, k)),
        Role::Bridge => Some(derive::copy(&request.id, label, 0, k)),
        Role::Needed { body } => Some(derive::needed(group, label, body, k)),
        Role::Reference { iteration, duplicate } => Some(derive::reference(&request.id, *iteration, label, *duplicate)),
        Role::Clone { of } => Some(derive::clone(&request.id, *of, k)),
        Role::Index { .. } => None,
    }
}
