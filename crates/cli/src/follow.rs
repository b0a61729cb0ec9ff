//! Following tasks to their end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::{End, Followed, Following};

use crate::exit::{Failure, Kind};
use crate::progress::Progress;

/// The pause between two looks: short at first, for short tasks, and then longer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
    let mut following = Following::default();
    following.add(client, &ids).await?;
    let mut known: BTreeSet<TaskId> = BTreeSet::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let look = following.look(client).await?;
        for task in tasks {
            if let Some(end) = look.ends.get(&task.id)
                && known.insert(task.id)
            {
                progress.ended(&task.label, *end);
                pause = FIRST_PAUSE;
            }
        }
        if ids.iter().all(|id| look.ends.contains_key(id)) {
            return Ok(ids.iter().filter_map(|id| look.ends.get(id).copied()).collect());
        }
        progress.running(look.running);
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
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
