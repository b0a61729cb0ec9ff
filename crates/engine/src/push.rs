//! A push, as its decision task left it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future;
use taskgraft_client::Client;
use taskgraft_core::api::queue::{TaskDefinition, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, MAX_GRAPH_BYTES, ReadError};
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::{GroupFact, Policy};

use crate::authority::{self, AuthorityError};
use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::parameters::{self, ParametersError};
use crate::reference::{self, ReferenceError};

/// The largest parameters.yml and label-to-taskid.json that are read, in bytes.
const MAX_SMALL: u64 = 64 << 20;

/// What a decision task left: the whole graph, what of it was scheduled, and for whom.
#[derive(Clone)]
pub struct Push {
    /// The decision task; none where its artifacts came from a directory and nobody said whose they are.
    pub decision: Option<TaskId>,
    /// The group that new tasks join: the decision task's own.
    pub group: Option<TaskId>,
    /// The group's facts, where it was looked up.
    pub group_fact: Option<GroupFact>,
    /// The decision task's definition and status, where they were looked up.
    pub task: Option<(TaskDefinition, TaskStatus)>,
    /// Such as `lander`; index paths start with it.
    pub trust_domain: Option<String>,
    /// parameters.yml.
    pub parameters: Parameters,
    /// full-task-graph.json.
    pub graph: Arc<GraphFile>,
    /// label-to-taskid.json.
    pub labels: BTreeMap<String, TaskId>,
}

/// Why a push can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// An artifact can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// parameters.yml is none.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// full-task-graph.json is none.
    #[error("read full-task-graph.json: {0}")]
    Graph(#[from] ReadError),
    /// label-to-taskid.json is none.
    #[error("read label-to-taskid.json: {0}")]
    Labels(serde_json::Error),
    /// Things don't belong together.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The reference's way leads nowhere.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Taskcluster didn't answer.
    #[error("look up the decision task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

impl Push {
    /// The push of `decision` by the rules of `policy`: itself, checked, or as the reference would find it.
    ///
    /// The reference takes its trust domain from a checkout; here the decision task's schedulerId tells it.
    ///
    /// # Errors
    /// If something can't be had, can't be read, or doesn't belong together.
    pub async fn load_by(
        policy: Policy,
        client: &Client,
        artifacts: &Artifacts,
        decision: TaskId,
    ) -> Result<Self, PushError> {
        match policy {
            Policy::Graft => Self::load(client, artifacts, decision).await,
            Policy::Reference => {
                let scheduler = client.queue().task(decision).await?.scheduler_id;
                let Some((domain, _)) = authority::trust_domain(&scheduler) else {
                    return Err(AuthorityError::Scheduler { decision, scheduler }.into());
                };
                reference::load(client, artifacts, decision, domain, None).await
            }
        }
    }

    /// The push of `decision`, looked up and checked to be of one piece.
    ///
    /// # Errors
    /// If something can't be had, can't be read, or doesn't belong together.
    pub async fn load(client: &Client, artifacts: &Artifacts, decision: TaskId) -> Result<Self, PushError> {
        let queue = client.queue();
        let (task, status) = future::try_join(queue.task(decision), queue.status(decision)).await?;
        // Artifacts of a run that is resolved stay as they are.
        let run = status.runs.last().filter(|run| run.resolved.is_some()).map(|run| run.run_id);
        let (group, read) = future::join(group_fact(client, task.task_group_id), read(artifacts, decision, run)).await;
        let ((parameters, graph, labels), group_fact) = (read?, group?);
        authority::check(decision, &task, group_fact.as_ref(), &parameters)?;
        Ok(Self {
            decision: Some(decision),
            group: Some(task.task_group_id),
            group_fact,
            trust_domain: authority::trust_domain(&task.scheduler_id).map(|(domain, _)| domain.to_owned()),
            task: Some((task, status)),
            parameters,
            graph: Arc::new(graph),
            labels,
        })
    }

    /// The push whose artifacts are in a directory; nothing is looked up.
    ///
    /// # Errors
    /// If something is missing or can't be read.
    pub async fn offline(artifacts: &Artifacts, decision: Option<TaskId>) -> Result<Self, PushError> {
        let (parameters, graph, labels) =
            read(artifacts, decision.unwrap_or_else(|| TaskId::from_bytes([0; 16])), None).await?;
        Ok(Self {
            decision,
            group: decision,
            group_fact: None,
            task: None,
            trust_domain: None,
            parameters,
            graph: Arc::new(graph),
            labels,
        })
    }

    /// The schedulerId of the push's tasks: the decision task's, else made of trust domain and level as the reference
    /// does.
    #[must_use]
    pub fn scheduler_id(&self) -> Option<String> {
        match &self.task {
            Some((task, _)) => Some(task.scheduler_id.clone()),
            None => Some(format!("{}-level-{}", self.trust_domain.as_ref()?, self.parameters.level().ok()?)),
        }
    }
}

/// The group's facts; none if the queue doesn't know it.
pub(crate) async fn group_fact(client: &Client, group: TaskId) -> Result<Option<GroupFact>, taskgraft_client::Error> {
    match client.queue().get_task_group(group).await {
        Ok(group) => Ok(Some(GroupFact { scheduler_id: group.scheduler_id, sealed: group.sealed })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read(
    artifacts: &Artifacts,
    task: TaskId,
    run: Option<u16>,
) -> Result<(Parameters, GraphFile, BTreeMap<String, TaskId>), PushError> {
    future::try_join3(
        read_parameters(artifacts, task, run),
        read_graph(artifacts, task, run),
        read_labels(artifacts, task, run),
    )
    .await
}

/// A decision task's parameters.
pub(crate) async fn read_parameters(
    artifacts: &Artifacts,
    task: TaskId,
    run: Option<u16>,
) -> Result<Parameters, PushError> {
    let bytes = artifacts.read(Wanted { task, run, name: "public/parameters.yml", max: MAX_SMALL }).await?;
    Ok(parameters::read_parameters(&bytes)?)
}

/// A decision task's whole graph.
pub(crate) async fn read_graph(artifacts: &Artifacts, task: TaskId, run: Option<u16>) -> Result<GraphFile, PushError> {
    let wanted = Wanted { task, run, name: "public/full-task-graph.json", max: MAX_GRAPH_BYTES as u64 };
    let bytes = artifacts.read(wanted).await?;
    Ok(GraphFile::read(bytes)?)
}

/// The tasks that a decision, action or cron task made or reused, by label.
pub(crate) async fn read_labels(
    artifacts: &Artifacts,
    task: TaskId,
    run: Option<u16>,
) -> Result<BTreeMap<String, TaskId>, PushError> {
    let wanted = Wanted { task, run, name: "public/label-to-taskid.json", max: MAX_SMALL };
    let bytes = artifacts.read(wanted).await?;
    serde_json::from_slice(&bytes).map_err(PushError::Labels)
}
