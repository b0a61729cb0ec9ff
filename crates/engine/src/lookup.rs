//! Look-ups in few, batched and concurrent calls.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use serde::Deserialize;
use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Answers, Policy, StatusFact, Wants};
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;

/// The most ids or paths in one call.
const BATCH: usize = 1000;
/// The most batches in flight.
const CONCURRENCY: usize = 8;

/// What of a status counts here: recordings and older deployments leave the rest out.
#[derive(Debug, Deserialize)]
struct StatusView {
    state: TaskState,
    expires: Millis,
    #[serde(default)]
    deadline: Option<Millis>,
    #[serde(default, rename = "taskGroupId")]
    group: Option<TaskId>,
    #[serde(default)]
    runs: Vec<RunView>,
}

#[derive(Debug, Deserialize)]
struct RunView {
    #[serde(default)]
    resolved: Option<Millis>,
}

impl From<StatusView> for StatusFact {
    fn from(view: StatusView) -> Self {
        let resolved = view.runs.last().and_then(|run| run.resolved);
        Self {
            state: view.state,
            expires: view.expires,
            deadline: view.deadline.unwrap_or(view.expires),
            resolved,
            group: view.group,
        }
    }
}

/// Answers all of `wants`. Under [`Policy::Reference`] one call after the other and each list whole, as the reference
/// asks.
///
/// # Errors
/// As the calls.
pub(crate) async fn answers(client: &Client, wants: &Wants, policy: Policy) -> Result<Answers, Error> {
    let batch = match policy {
        Policy::Graft => BATCH,
        Policy::Reference => usize::MAX,
    };
    let paths: Vec<String> = wants.index.iter().cloned().collect();
    let ids: Vec<TaskId> = wants.statuses.iter().copied().collect();
    let wanted: Vec<TaskId> = wants.tasks.iter().copied().collect();
    let index = batched(&paths, batch, |paths| client.index().find_tasks_at_index(paths));
    let statuses = statuses_in(client, &ids, batch);
    let tasks = batched(&wanted, batch, |ids| client.queue().tasks::<Value>(ids));
    let (index, statuses, tasks) = match policy {
        Policy::Graft => future::try_join3(index, statuses, tasks).await?,
        Policy::Reference => (index.await?, statuses.await?, tasks.await?),
    };
    Ok(Answers {
        index: index.into_iter().map(|(path, task)| (path, task.task_id)).collect(),
        statuses: statuses.into_iter().collect(),
        tasks: tasks.into_iter().collect(),
    })
}

/// The statuses of tasks, unknown ones left out, in batches of at most 1,000.
///
/// # Errors
/// As the calls.
pub(crate) async fn statuses(client: &Client, ids: &[TaskId]) -> Result<HashMap<TaskId, StatusFact>, Error> {
    statuses_in(client, ids, BATCH).await
}

async fn statuses_in(client: &Client, ids: &[TaskId], batch: usize) -> Result<HashMap<TaskId, StatusFact>, Error> {
    let views = batched(ids, batch, |ids| client.queue().statuses::<StatusView>(ids)).await?;
    Ok(views.into_iter().map(|(id, view)| (id, view.into())).collect())
}

/// Calls `ask` with parts of `all`, a few at a time, and joins what comes back. Nothing is asked for nothing.
async fn batched<'a, T, K: Eq + Hash, V, F: Future<Output = Result<HashMap<K, V>, Error>>>(
    all: &'a [T],
    size: usize,
    ask: impl Fn(&'a [T]) -> F,
) -> Result<HashMap<K, V>, Error> {
    let join = |mut all: HashMap<K, V>, part| {
        all.extend(part);
        future::ok(all)
    };
    // Collected, so that no closure over references is held across an await: such a future is not `Send`.
    let parts: Vec<F> = all.chunks(size).map(ask).collect();
    stream::iter(parts).buffer_unordered(CONCURRENCY).try_fold(HashMap::new(), join).await
}
