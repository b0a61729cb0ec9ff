//! The push that a command is about: which one, its graph, and where its tasks stand.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use taskgraft_client::Client;
use taskgraft_core::api::queue::{TaskDefinitionAndStatus, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, MAX_GRAPH_BYTES, ReadError};
use taskgraft_engine::{Artifacts, FetchError, PushRef, ResolveError, Wanted};

use crate::exit::Failure;

/// The most bytes of an artifact that only maps labels to ids.
const MAX_LIST_BYTES: u64 = 256 << 20;
/// How many tasks are listed or asked about at once.
const PAGE: u16 = 1000;

/// The decision task of the push that somebody named.
pub(crate) async fn resolve(client: &Client, text: &str) -> Result<TaskId, Failure> {
    let push: PushRef = text.parse().map_err(|why: taskgraft_engine::InvalidPushRef| {
        Failure::mistake(why.to_string()).notes(
            "a push is",
            ["TADoGLV5QUWAYivg1ReyTw", "https://tc.example.com/tasks/groups/TADoGLV5QUWAYivg1ReyTw", "lander@a1b2c3d"]
                .map(str::to_owned),
        )
    })?;
    Ok(push.resolve(client).await?)
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let message = format!("failed to {error}");
        match error {
            ResolveError::Unknown { .. } => Self::mistake(message)
                .note("it may be", "too early: a push is found once its decision task has completed")
                .note("or use", "the decision task's id, or the URL of its group"),
            ResolveError::Ambiguous { revisions, .. } => {
                Self::mistake(message).notes("which", revisions.into_iter().take(10))
            }
            ResolveError::Client(error) => error.into(),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let message = format!("failed to {error}");
        match error {
            FetchError::Missing { .. } => {
                Self::mistake(message).note("it may be", "no decision task, or one that has not completed yet")
            }
            FetchError::Client { error, .. } => error.into(),
            FetchError::Io { .. } => Self::mistake(message),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::mistake(format!("failed to read full-task-graph.json: {error}"))
    }
}

/// The push's whole graph, its tasks unparsed.
pub(crate) async fn graph(artifacts: &Artifacts, decision: TaskId) -> Result<GraphFile, Failure> {
    let name = "public/full-task-graph.json";
    let wanted = Wanted { task: decision, run: None, name, max: MAX_GRAPH_BYTES as u64 };
    Ok(GraphFile::read(artifacts.read(wanted).await?)?)
}

/// The ids of the tasks that the decision task created or found, by label; none if it didn't come that far.
pub(crate) async fn scheduled(artifacts: &Artifacts, decision: TaskId) -> Result<BTreeMap<String, TaskId>, Failure> {
    let name = "public/label-to-taskid.json";
    let bytes = match artifacts.read(Wanted { task: decision, run: None, name, max: MAX_LIST_BYTES }).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes)
        .map_err(|why| Failure::mistake(format!("failed to read label-to-taskid.json: {why}")))
}

/// All tasks of a group, oldest first.
pub(crate) async fn members(client: &Client, group: TaskId) -> Result<Vec<TaskDefinitionAndStatus>, Failure> {
    let pages = client.queue().list_task_group(group, PAGE);
    let mut tasks = pages
        .try_fold(Vec::new(), async |mut all, page| {
            all.extend(page.tasks);
            Ok(all)
        })
        .await?;
    tasks.sort_by_key(|member| (member.task.created, member.status.task_id));
    Ok(tasks)
}

/// The statuses of these tasks; unknown ones are left out.
pub(crate) async fn statuses(client: &Client, ids: &[TaskId]) -> Result<HashMap<TaskId, TaskStatus>, Failure> {
    let mut found = HashMap::new();
    for ids in ids.chunks(usize::from(PAGE)) {
        found.extend(client.queue().statuses::<TaskStatus>(ids).await?);
    }
    Ok(found)
}
