//! Following tasks to their end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;
use taskgraft_client::Client;
use taskgraft_core::api::queue::{Requires, TaskDefinition};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;

use crate::end::End;
use crate::exit::{Failure, Kind};
use crate::progress::Progress;
use crate::push;

/// The pause between two looks: short at first, for short tasks, and then longer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A task that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Its label.
    pub(crate) label: String,
    /// Its id.
    pub(crate) id: TaskId,
}

/// How a task that was followed ended, as data.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    label: String,
    task_id: TaskId,
    state: &'static str,
}

impl Ended {
    /// Of tasks and their ends, in the same order.
    pub(crate) fn of(tasks: &[Followed], ends: &[End]) -> Vec<Self> {
        let each = tasks.iter().zip(ends);
        each.map(|(task, end)| Self { label: task.label.clone(), task_id: task.id, state: end.as_str() }).collect()
    }
}

/// Follows tasks until each is resolved or can never start; tells their ends in the order they were given.
pub(crate) async fn follow(client: &Client, tasks: &[Followed], progress: &Progress<'_>) -> Result<Vec<End>, Failure> {
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let needs = needs(client, &ids).await?;
    let watched: BTreeSet<TaskId> = ids.iter().chain(needs.values().flatten()).copied().collect();
    let watched: Vec<TaskId> = watched.into_iter().collect();
    let mut known: BTreeMap<TaskId, End> = BTreeMap::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let found = push::statuses(client, &watched).await?;
        let states: HashMap<TaskId, TaskState> = found.into_iter().map(|(id, status)| (id, status.state)).collect();
        let ends = ends(&ids, &needs, &states);
        for task in tasks {
            if let Some(end) = ends.get(&task.id)
                && known.insert(task.id, *end).is_none()
            {
                progress.ended(&task.label, *end);
                pause = FIRST_PAUSE;
            }
        }
        if ids.iter().all(|id| ends.contains_key(id)) {
            return Ok(ids.iter().filter_map(|id| ends.get(id).copied()).collect());
        }
        let running = ids.iter().filter(|id| states.get(id) == Some(&TaskState::Running)).count();
        progress.running(running);
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
    }
}

/// What must succeed before each of these may start.
async fn needs(client: &Client, ids: &[TaskId]) -> Result<HashMap<TaskId, Vec<TaskId>>, Failure> {
    let mut needs = HashMap::new();
    for ids in ids.chunks(1000) {
        let definitions = client.queue().tasks::<TaskDefinition>(ids).await?;
        let strict = definitions.into_iter().filter(|(_, task)| task.requires == Requires::AllCompleted);
        needs.extend(strict.map(|(id, task)| (id, task.dependencies)));
    }
    Ok(needs)
}

/// The ends that are certain by now.
fn ends(
    ids: &[TaskId],
    needs: &HashMap<TaskId, Vec<TaskId>>,
    states: &HashMap<TaskId, TaskState>,
) -> BTreeMap<TaskId, End> {
    let mut ends: BTreeMap<TaskId, End> = BTreeMap::new();
    for id in states.keys().chain(ids) {
        match states.get(id) {
            Some(state) if state.is_resolved() => ends.insert(*id, End::Resolved(*state)),
            Some(_) => None,
            None => ends.insert(*id, End::Gone),
        };
    }
    // Being stuck is handed on from dependency to dependent; each round settles at least one task.
    loop {
        let lost = |id: &TaskId| ends.get(id).is_some_and(|end| !end.is_green());
        let waits = |id: &&TaskId| states.get(id) == Some(&TaskState::Unscheduled) && !ends.contains_key(id);
        let stuck: Vec<TaskId> = ids
            .iter()
            .filter(waits)
            .filter(|id| needs.get(id).is_some_and(|needed| needed.iter().any(lost)))
            .copied()
            .collect();
        if stuck.is_empty() {
            return ends;
        }
        ends.extend(stuck.into_iter().map(|id| (id, End::Stuck)));
    }
}

/// [`Kind::NotGreen`], unless all of them are green.
pub(crate) fn judge(tasks: &[Followed], ends: &[End]) -> Result<(), Failure> {
    let lost: Vec<(&Followed, End)> =
        tasks.iter().zip(ends.iter().copied()).filter(|(_, end)| !end.is_green()).collect();
    let Some((first, _)) = lost.first() else { return Ok(()) };
    Err(Failure::new(Kind::NotGreen, format!("{} of {} jobs did not become green", lost.len(), tasks.len()))
        .notes("they", lost.iter().map(|(task, end)| format!("{} {} ({})", task.label, end.as_str(), task.id)))
        .note("look at it", format!("taskgraft task {} --log", first.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> TaskId {
        TaskId::from_bytes([n; 16])
    }

    #[test]
    fn what_waits_for_a_failure_is_stuck_and_so_is_what_waits_for_that() {
        let ids = [id(1), id(2), id(3), id(4)];
        let needs = HashMap::from([(id(2), vec![id(1)]), (id(3), vec![id(2)]), (id(4), vec![id(9)])]);
        let states = HashMap::from([
            (id(1), TaskState::Failed),
            (id(2), TaskState::Unscheduled),
            (id(3), TaskState::Unscheduled),
            (id(4), TaskState::Unscheduled),
            (id(9), TaskState::Running),
        ]);
        let ends = ends(&ids, &needs, &states);
        assert_eq!(ends.get(&id(1)), Some(&End::Resolved(TaskState::Failed)));
        assert_eq!((ends.get(&id(2)), ends.get(&id(3))), (Some(&End::Stuck), Some(&End::Stuck)));
        assert_eq!(ends.get(&id(4)), None, "what it waits for still runs");
    }

    #[test]
    fn a_forgotten_task_is_gone() {
        assert_eq!(ends(&[id(1)], &HashMap::new(), &HashMap::new()).get(&id(1)), Some(&End::Gone));
    }
}
