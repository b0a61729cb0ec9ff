//! Whether an earlier task can stand in for a new one.
//!
//! Usable: completed and outliving the dependents' deadline; or pending or running; or unscheduled with every ancestor
//! usable. Whatever its state it must outlive that deadline, or the queue refuses the dependents.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::facts::{Facts, StatusFact, Wants};
use super::same::dependencies;
use super::verdict::Unusable;
use crate::ids::TaskId;
use crate::state::TaskState;
use crate::time::Millis;

/// More ancestors than this are not looked at; what is beyond is taken to be well.
const MAX_ANCESTORS: usize = 2000;

/// What is known, and what turned out to be wanted.
pub(super) struct Looks<'a> {
    pub(super) facts: &'a Facts,
    pub(super) wants: Wants,
}

impl<'a> Looks<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self { facts, wants: Wants::default() }
    }

    /// A task's status; `None` if it is absent, or not known yet and now wanted.
    pub(super) fn status(&mut self, id: TaskId) -> Option<StatusFact> {
        match self.facts.statuses.get(&id) {
            Some(status) => *status,
            None => {
                self.wants.statuses.insert(id);
                None
            }
        }
    }

    /// A task's definition, likewise.
    pub(super) fn task(&mut self, id: TaskId) -> Option<&'a Value> {
        match self.facts.tasks.get(&id) {
            Some(task) => task.as_ref(),
            None => {
                self.wants.tasks.insert(id);
                None
            }
        }
    }

    /// What an index path leads to, likewise.
    pub(super) fn indexed(&mut self, path: &str) -> Option<TaskId> {
        match self.facts.index.get(path) {
            Some(found) => *found,
            None => {
                self.wants.index.insert(path.to_owned());
                None
            }
        }
    }

    /// Whether `id` can stand in for a task that others need until `until`.
    pub(super) fn usable(&mut self, id: TaskId, until: Option<Timestamp>) -> Result<StatusFact, Unusable> {
        let status = self.status(id).ok_or(Unusable::Absent)?;
        match status.state {
            TaskState::Failed | TaskState::Exception => {
                return Err(Unusable::Unsuccessful { state: status.state, at: status.resolved });
            }
            TaskState::Unscheduled | TaskState::Pending | TaskState::Running | TaskState::Completed => {}
        }
        outlives(&status, until)?;
        if status.state == TaskState::Unscheduled {
            self.ancestors_going(id)?;
        }
        Ok(status)
    }

    /// Whether `id`, which failed, can be run again for tasks that need it until `until`.
    pub(super) fn rerunnable(&mut self, id: TaskId, until: Option<Timestamp>) -> Option<StatusFact> {
        let status = self.status(id)?;
        let failed = matches!(status.state, TaskState::Failed | TaskState::Exception);
        if !failed || outlives(&status, until).is_err() || status.deadline.0 <= self.facts.now {
            return None;
        }
        let on = dependency_ids(self.task(id)?);
        let done = on.into_iter().map(|id| self.status(id).is_some_and(|status| status.state == TaskState::Completed));
        // Each is asked for, so that all are wanted at once.
        done.fold(true, |all, one| all & one).then_some(status)
    }

    /// Whether everything that an unscheduled task waits for will be there one day.
    fn ancestors_going(&mut self, id: TaskId) -> Result<(), Unusable> {
        let mut seen = BTreeSet::from([id]);
        let mut unscheduled = vec![id];
        let mut stuck = None;
        while let Some(id) = unscheduled.pop() {
            let Some(definition) = self.task(id) else { continue };
            let any_end = definition.get("requires").and_then(Value::as_str) == Some("all-resolved");
            for on in dependency_ids(definition) {
                if seen.len() >= MAX_ANCESTORS || !seen.insert(on) {
                    continue;
                }
                let known = self.facts.statuses.contains_key(&on);
                match self.status(on).map(|status| status.state) {
                    Some(TaskState::Completed | TaskState::Pending | TaskState::Running) => {}
                    Some(TaskState::Unscheduled) => unscheduled.push(on),
                    Some(TaskState::Failed | TaskState::Exception) if any_end => {}
                    Some(TaskState::Failed | TaskState::Exception) => stuck = Some(on),
                    None if known => stuck = Some(on),
                    None => {}
                }
            }
        }
        stuck.map_or(Ok(()), |on| Err(Unusable::Waits { on }))
    }
}

fn outlives(status: &StatusFact, until: Option<Timestamp>) -> Result<(), Unusable> {
    match until {
        Some(until) if status.expires.0 < until => {
            Err(Unusable::Expires { at: status.expires, needed_until: Millis::from(until) })
        }
        Some(_) | None => Ok(()),
    }
}

fn dependency_ids(definition: &Value) -> Vec<TaskId> {
    dependencies(definition).iter().filter_map(|id| id.parse().ok()).collect()
}
