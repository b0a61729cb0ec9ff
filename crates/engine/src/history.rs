//! What earlier actions and cron tasks made on this push, as their artifacts say.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt as _, future, stream};
use taskgraft_client::{Client, Error};
use taskgraft_core::api::index::IndexedTask;
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Source, SourceKind};

use crate::fetch::Artifacts;
use crate::push::{Push, PushError, read_labels};

/// The most artifacts fetched at a time.
const CONCURRENCY: usize = 16;
/// The most earlier actions that are looked at, the newest ones.
const MAX_EARLIER: usize = 1000;

/// Something about earlier work that the asker should know though it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An earlier action or cron task left no label-to-taskid.json that can be read: what it made is not known from it.
    NoLabels {
        /// The task.
        task: TaskId,
        /// Why.
        why: String,
    },
    /// The index names a task that is not one of this push's: it has another schedulerId.
    Foreign {
        /// The task.
        task: TaskId,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLabels { task, why } => write!(f, "what the earlier action {task} made is not known: {why}"),
            Self::Foreign { task } => {
                write!(f, "{task} is indexed as an action of this push, but has another schedulerId: not looked at")
            }
        }
    }
}

/// Where earlier work is indexed, and what it is.
struct Place {
    kind: SourceKind,
    path: String,
}

impl Place {
    /// `<trust domain>.v2.<project>.<by>.<value>.<what>`, unless a part is unknown.
    fn new(push: &Push, kind: SourceKind, by: &str, value: Option<&str>, what: &str) -> Option<Self> {
        let (domain, project) = (push.trust_domain.as_ref()?, push.parameters.text("project").ok()?);
        Some(Self { kind, path: format!("{domain}.v2.{project}.{by}.{}.{what}", value?) })
    }
}

/// What is known of earlier work, oldest first: the decision task's own list leads.
///
/// The places are asked all at once, as are the artifacts. One that is missing is a [`Notice`].
///
/// # Errors
/// If the index or the queue doesn't answer.
pub(crate) async fn earlier(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
    own: Option<TaskId>,
) -> Result<(Vec<Source>, Vec<Notice>), Error> {
    let (push_id, revision) = (push.parameters.pushlog_id().ok(), push.parameters.text("head_rev").ok());
    let places = [
        Place::new(push, SourceKind::Action, "pushlog-id", push_id.as_deref(), "actions"),
        Place::new(push, SourceKind::Action, "revision", revision, "actions"),
        // Where git projects publish them.
        Place::new(push, SourceKind::Action, "revision", revision, "taskgraph.actions"),
        Place::new(push, SourceKind::Cron, "revision", revision, "cron"),
    ];
    let listings = places.into_iter().flatten().map(|place| async move {
        let listed = client.index().list_tasks(&place.path).await?;
        Ok::<_, Error>(listed.into_iter().map(move |task| (place.kind, task)))
    });
    let listings: Vec<_> = listings.collect();
    let found: Vec<_> = future::try_join_all(listings).await?.into_iter().flatten().collect();
    let found = oldest_first(found, own.into_iter().chain(push.decision).collect());
    let ids: Vec<_> = found.iter().map(|(_, task)| *task).collect();
    let statuses = if ids.is_empty() { HashMap::new() } else { client.queue().statuses::<TaskStatus>(&ids).await? };
    let reads = found.into_iter().map(|(kind, task)| {
        let status = statuses.get(&task);
        async move { read_one(artifacts, push, kind, task, status).await }
    });
    // Collected, so that no closure over references is held across an await: such a future is not `Send`.
    let reads: Vec<_> = reads.collect();
    let read: Vec<_> = stream::iter(reads).buffered(CONCURRENCY).collect().await;
    let (mut sources, mut notices) = (vec![decision_source(push)], Vec::new());
    for one in read {
        match one {
            Ok(source) => sources.push(source),
            Err(notice) => notices.push(notice),
        }
    }
    Ok((sources, notices))
}

/// The same, asking just what the reference asks, one after the other: an action without its artifact is an error.
///
/// # Errors
/// If an artifact is missing, or anything doesn't answer.
pub(crate) async fn earlier_as_reference(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
) -> Result<Vec<Source>, PushError> {
    let (push_id, revision) = (push.parameters.pushlog_id().ok(), push.parameters.text("head_rev").ok());
    let mut actions = Vec::new();
    for (by, value) in [("pushlog-id", push_id.as_deref()), ("revision", revision)] {
        if let Some(place) = Place::new(push, SourceKind::Action, by, value, "actions") {
            actions.extend(client.index().list_tasks(&place.path).await?.into_iter().map(|task| (place.kind, task)));
        }
    }
    let mut sources = vec![decision_source(push)];
    for (kind, of) in oldest_first(actions, BTreeSet::new()) {
        sources.push(Source { kind, of: Some(of), labels: Arc::new(read_labels(artifacts, of, None).await?) });
    }
    if let Some(place) = Place::new(push, SourceKind::Cron, "revision", revision, "cron") {
        let tasks = client.index().list_tasks(&place.path).await?.into_iter().map(|task| (place.kind, task)).collect();
        let cron = oldest_first(tasks, BTreeSet::new());
        for (kind, of) in cron {
            match read_labels(artifacts, of, None).await {
                Ok(labels) => sources.push(Source { kind, of: Some(of), labels: Arc::new(labels) }),
                // The reference tolerates this for cron tasks only.
                Err(PushError::Fetch(error)) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(sources)
}

pub(crate) fn decision_source(push: &Push) -> Source {
    Source { kind: SourceKind::Decision, of: push.decision, labels: Arc::clone(&push.labels) }
}

/// Each task once, by when it will be forgotten: tasks of one push live equally long, so that is their order of making.
fn oldest_first(found: Vec<(SourceKind, IndexedTask)>, except: BTreeSet<TaskId>) -> Vec<(SourceKind, TaskId)> {
    let mut found: Vec<_> = found
        .into_iter()
        .filter(|(_, task)| !except.contains(&task.task_id))
        .map(|(kind, task)| (task.expires, task.task_id, kind))
        .collect();
    found.sort_unstable_by_key(|(expires, task, _)| (*expires, *task));
    let mut seen = BTreeSet::new();
    found.retain(|(_, task, _)| seen.insert(*task));
    let surplus = found.len().saturating_sub(MAX_EARLIER);
    found.into_iter().skip(surplus).map(|(_, task, kind)| (kind, task)).collect()
}

async fn read_one(
    artifacts: &Artifacts,
    push: &Push,
    kind: SourceKind,
    of: TaskId,
    status: Option<&TaskStatus>,
) -> Result<Source, Notice> {
    let no_labels = |why: String| Notice::NoLabels { task: of, why };
    let status = status.ok_or_else(|| no_labels("the queue has forgotten it".into()))?;
    if push.scheduler_id().is_some_and(|ours| ours != status.scheduler_id) {
        return Err(Notice::Foreign { task: of });
    }
    let run = status.runs.last().filter(|run| run.resolved.is_some()).map(|run| run.run_id);
    match read_labels(artifacts, of, run).await {
        Ok(labels) => Ok(Source { kind, of: Some(of), labels: Arc::new(labels) }),
        Err(error) => Err(no_labels(error.to_string())),
    }
}
