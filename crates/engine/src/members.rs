//! A group's tasks, and of those that a group may have the ones that others' needs made.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use taskgraft_client::{Client, Error};
use taskgraft_core::action::member::Member;
use taskgraft_core::ids::TaskId;
use taskgraft_core::ids::derive::{self, BodyHash, MAX_K};
use taskgraft_core::json::{GraphFile, ReadError};
use taskgraft_core::plan::StatusFact;
use taskgraft_core::state::TaskState;

use crate::lookup;

/// How many tasks a page of a listing has, which is the most that the queue gives.
const PAGE: u16 = 1000;

/// All tasks of a group.
///
/// # Errors
/// If the queue doesn't answer.
pub(crate) async fn members(client: &Client, group: TaskId) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    let mut pages = std::pin::pin!(client.queue().list_task_group(group, PAGE));
    while let Some(page) = pages.try_next().await? {
        members.extend(page.tasks.into_iter().map(Member::from));
    }
    Ok(members)
}

/// Why it can't be told what others' needs made.
#[derive(Debug, thiserror::Error)]
pub enum PromisedError {
    /// The graph can't be used.
    #[error("read full-task-graph.json: {0}")]
    Graph(#[from] ReadError),
    /// The queue didn't answer.
    #[error("look up what others need: failed to {0}")]
    Client(#[from] Error),
}

/// The statuses of tasks that somebody's needs may have made of `labels`. An id is looked at only if the one before it
/// has a task that failed.
///
/// # Errors
/// If a task of the graph can't be read, or the queue doesn't answer.
pub(crate) async fn promised(
    client: &Client,
    graph: &GraphFile,
    group: TaskId,
    labels: impl Iterator<Item = &str>,
) -> Result<BTreeMap<TaskId, StatusFact>, PromisedError> {
    let mut open: Vec<(&str, BodyHash)> = Vec::new();
    for label in labels {
        open.extend(graph.body_hash(label)?.map(|body| (label, body)));
    }
    let mut all = BTreeMap::new();
    for k in 0..=MAX_K {
        if open.is_empty() {
            break;
        }
        let id = |(label, body): &(&str, BodyHash)| derive::needed(group, label, body, k);
        let ids: Vec<TaskId> = open.iter().map(id).collect();
        let found: HashMap<TaskId, StatusFact> = lookup::statuses(client, &ids).await?;
        let failed = |id| found.get(&id).is_some_and(|status| is_failed(status.state));
        open.retain(|each| failed(id(each)));
        all.extend(found);
    }
    Ok(all)
}

fn is_failed(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Exception)
}
