//! Following tasks to their end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::{Requires, TaskDefinition};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;

use crate::lookup;

/// The most definitions that are asked for at once.
const PAGE: usize = 1000;

/// A task that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Its label.
    pub label: String,
    /// Its id.
    pub id: TaskId,
}

/// What became of a followed task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It is resolved like this.
    Resolved(TaskState),
    /// It never starts, since something that it needs to succeed did not.
    Stuck,
    /// The queue has forgotten it.
    Gone,
}

impl End {
    /// Whether it did what it should.
    #[must_use]
    pub fn is_green(self) -> bool {
        self == Self::Resolved(TaskState::Completed)
    }

    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved(state) => state.as_str(),
            Self::Stuck => "never starts",
            Self::Gone => "gone",
        }
    }
}

/// Tasks that are followed until each is resolved or can never start.
#[derive(Debug, Default)]
pub struct Following {
    /// Each of them, with what must succeed before it may start.
    needs: BTreeMap<TaskId, Vec<TaskId>>,
}

/// How far they have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The ends that are certain by now.
    pub ends: BTreeMap<TaskId, End>,
    /// How many are running.
    pub running: usize,
}

impl Following {
    /// Follows these as well.
    ///
    /// # Errors
    /// If the queue doesn't answer: then none of them is followed.
    pub async fn add(&mut self, client: &Client, ids: &[TaskId]) -> Result<(), Error> {
        let mut added: BTreeMap<TaskId, Vec<TaskId>> = ids.iter().map(|id| (*id, Vec::new())).collect();
        for ids in ids.chunks(PAGE) {
            let definitions = client.queue().tasks::<TaskDefinition>(ids).await?;
            let strict = definitions.into_iter().filter(|(_, task)| task.requires == Requires::AllCompleted);
            added.extend(strict.map(|(id, task)| (id, task.dependencies)));
        }
        self.needs.append(&mut added);
        Ok(())
    }

    /// Follows this one no longer.
    pub fn forget(&mut self, id: TaskId) {
        self.needs.remove(&id);
    }

    /// Whether this one is followed.
    #[must_use]
    pub fn has(&self, id: TaskId) -> bool {
        self.needs.contains_key(&id)
    }

    /// Whether nothing is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// Looks at all of them, in batches.
    ///
    /// # Errors
    /// If the queue doesn't answer.
    pub async fn look(&self, client: &Client) -> Result<Look, Error> {
        let watched: BTreeSet<TaskId> =
            self.needs.iter().flat_map(|(id, needs)| needs.iter().chain([id])).copied().collect();
        let watched: Vec<TaskId> = watched.into_iter().collect();
        let found = lookup::statuses(client, &watched).await?;
        let states: HashMap<TaskId, TaskState> = found.into_iter().map(|(id, status)| (id, status.state)).collect();
        let running = self.needs.keys().filter(|id| states.get(id) == Some(&TaskState::Running)).count();
        let mut ends = ends(&self.needs, &states);
        ends.retain(|id, _| self.needs.contains_key(id));
        Ok(Look { ends, running })
    }
}

/// The ends that are certain, also of what is needed.
fn ends(needs: &BTreeMap<TaskId, Vec<TaskId>>, states: &HashMap<TaskId, TaskState>) -> BTreeMap<TaskId, End> {
    let mut ends: BTreeMap<TaskId, End> = BTreeMap::new();
    for id in states.keys().chain(needs.keys()) {
        match states.get(id) {
            Some(state) if state.is_resolved() => ends.insert(*id, End::Resolved(*state)),
            Some(_) => None,
            None => ends.insert(*id, End::Gone),
        };
    }
    // Being stuck is handed on from dependency to dependent; each round settles at least one task.
    loop {
        let lost = |id: &TaskId| ends.get(id).is_some_and(|end| !end.is_green());
        let waits = |id: &TaskId| states.get(id) == Some(&TaskState::Unscheduled) && !ends.contains_key(id);
        let stuck: Vec<TaskId> =
            needs.iter().filter(|(id, needed)| waits(id) && needed.iter().any(lost)).map(|(id, _)| *id).collect();
        if stuck.is_empty() {
            return ends;
        }
        ends.extend(stuck.into_iter().map(|id| (id, End::Stuck)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> TaskId {
        TaskId::from_bytes([n; 16])
    }

    #[test]
    fn what_waits_for_a_failure_is_stuck_and_so_is_what_waits_for_that() {
        let needs =
            BTreeMap::from([(id(1), Vec::new()), (id(2), vec![id(1)]), (id(3), vec![id(2)]), (id(4), vec![id(9)])]);
        let states = HashMap::from([
            (id(1), TaskState::Failed),
            (id(2), TaskState::Unscheduled),
            (id(3), TaskState::Unscheduled),
            (id(4), TaskState::Unscheduled),
            (id(9), TaskState::Running),
        ]);
        let ends = ends(&needs, &states);
        assert_eq!(ends.get(&id(1)), Some(&End::Resolved(TaskState::Failed)));
        assert_eq!((ends.get(&id(2)), ends.get(&id(3))), (Some(&End::Stuck), Some(&End::Stuck)));
        assert_eq!(ends.get(&id(4)), None, "what it waits for still runs");
    }

    #[test]
    fn a_forgotten_task_is_gone() {
        let needs = BTreeMap::from([(id(1), Vec::new())]);
        assert_eq!(ends(&needs, &HashMap::new()).get(&id(1)), Some(&End::Gone));
    }
}
