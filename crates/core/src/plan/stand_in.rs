//! Which earlier task stands in for one that something new needs: on the push, in the index, or promised by another
//! request.

use std::collections::{BTreeMap, BTreeSet};

use super::demand::Walk;
use super::model::Warning;
use super::request::Policy;
use super::same::same_task;
use super::template::template;
use super::verdict::{Origin, PassedOver, Reuse, Unusable};
use crate::definition::{References, resolve_references};
use crate::graph::TaskIx;
use crate::ids::TaskId;
use crate::ids::derive::{self, MAX_K};
use crate::optimize::{Answer, By, NoAnswer, Source, replaces};

impl Walk<'_, '_> {
    /// An earlier task to use; or how many derived ids to pass over, `None` if that is all of them.
    pub(super) fn stand_in(&mut self, ix: TaskIx, passed_over: &mut Vec<PassedOver>) -> Result<Reuse, Option<u8>> {
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
        let body = self.graph.node(ix).body_hash();
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
        let Ok(open) = template(self.graph.node(ix), self.request, self.facts, Policy::Graft) else { return false };
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
}
