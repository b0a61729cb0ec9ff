//! A push, as its decision task left it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future;
use taskgraft_client::Client;
use taskgraft_core::api::queue::{TaskDefinition, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, MAX_GRAPH_BYTES, ReadError};
use taskgraft_core::morph::GraphConfig;
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::GroupFact;
use taskgraft_core::state::RunState;

use crate::authority::{self, AuthorityError, Said};
use crate::decision_path::{PathError, decision_path};
use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::parameters::{self, ParametersError};
use crate::project::Project;

/// The largest parameters.yml and label-to-taskid.json that are read, in bytes.
const MAX_SMALL: u64 = 64 << 20;

/// How large parameters are in memory, by their text, and a task id with its place among others, in bytes.
const PARSED: u64 = 4;
const ENTRY: usize = 64;

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
    /// The project's config.yml, where it is at hand: what index tasks are made with.
    pub graph_config: Option<GraphConfig>,
    /// parameters.yml.
    pub parameters: Parameters,
    /// full-task-graph.json.
    pub graph: Arc<GraphFile>,
    /// label-to-taskid.json.
    pub labels: Arc<BTreeMap<String, TaskId>>,
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
    /// target-tasks.json is none.
    #[error("read target-tasks.json: {0}")]
    Targets(serde_json::Error),
    /// Things don't belong together.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The parameters don't tell where the index has it.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Taskcluster didn't answer.
    #[error("look up the decision task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

impl PushError {
    /// Whether the service rather than the push is at fault, so that asking again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let transient = |error: &taskgraft_client::Error| !matches!(error, taskgraft_client::Error::Rejected { .. });
        match self {
            Self::Client(error) | Self::Fetch(FetchError::Client { error, .. }) => transient(error),
            Self::Fetch(FetchError::Io { .. }) => true,
            Self::Fetch(FetchError::Missing { .. } | FetchError::NotInDirectory { .. })
            | Self::Parameters(_)
            | Self::Graph(_)
            | Self::Labels(_)
            | Self::Targets(_)
            | Self::Authority(_)
            | Self::Path(_) => false,
        }
    }
}

/// A push and a checkout that don't belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the checkout's configuration: it is of the trust domain `{project}`, the push of `{push}`")]
pub struct OtherProject {
    /// The push's trust domain.
    push: String,
    /// The checkout's.
    project: String,
}

impl Push {
    /// The push of `decision`, looked up and checked to be of one piece.
    ///
    /// # Errors
    /// If something can't be had, can't be read, or doesn't belong together.
    pub async fn load(client: &Client, artifacts: &Artifacts, decision: TaskId) -> Result<Self, PushError> {
        let queue = client.queue();
        let (task, status) = future::try_join(queue.task(decision), queue.status(decision)).await?;
        let read = remembered(artifacts, decision, whole_run(&status));
        let (group, read) = future::join(own_group(client, decision, &task), read).await;
        let (left, (group, group_fact)) = (read?, group?);
        Self::checked(decision, (group, group_fact), (task, status), Left::clone(&left))
    }

    /// The same without its graph and labels, which stay empty: for what is only about tasks that exist.
    ///
    /// # Errors
    /// As [`Push::load`].
    pub async fn ground(client: &Client, artifacts: &Artifacts, decision: TaskId) -> Result<Self, PushError> {
        let queue = client.queue();
        let (task, status) = future::try_join(queue.task(decision), queue.status(decision)).await?;
        let read = read_parameters(artifacts, decision, whole_run(&status));
        let (group, parameters) = future::join(own_group(client, decision, &task), read).await;
        Self::checked(decision, group?, (task, status), Left::only(parameters?)?)
    }

    fn checked(
        decision: TaskId,
        (group, group_fact): (TaskId, Option<GroupFact>),
        (task, status): (TaskDefinition, TaskStatus),
        left: Left,
    ) -> Result<Self, PushError> {
        let Left { parameters, graph, labels } = left;
        authority::check(decision, &task, group_fact.as_ref(), &parameters)?;
        Ok(Self {
            decision: Some(decision),
            group: Some(group),
            group_fact,
            trust_domain: authority::trust_domain(&task.scheduler_id).map(|(domain, _)| domain.to_owned()),
            task: Some((task, status)),
            graph_config: None,
            parameters,
            graph,
            labels,
        })
    }

    /// Checks that the push is what it is said to be.
    ///
    /// # Errors
    /// The first thing that it is not; where it was not looked up, nothing is known of it.
    pub fn check(&self, said: &Said<'_>) -> Result<(), AuthorityError> {
        let decision = self.decision.unwrap_or_else(|| TaskId::from_bytes([0; 16]));
        match &self.task {
            Some((task, _)) => authority::check_said(decision, task, said),
            None => Err(AuthorityError::NoRepository(decision)),
        }
    }

    /// The decision task that the index names for the push with these parameters.
    ///
    /// # Errors
    /// If it names none, or doesn't answer.
    pub async fn find(client: &Client, parameters: &Parameters, trust_domain: &str) -> Result<TaskId, PushError> {
        Ok(client.index().find_task(&decision_path(parameters, trust_domain)?).await?.task_id)
    }

    /// The push whose artifacts are in a directory; nothing is looked up.
    ///
    /// # Errors
    /// If something is missing or can't be read.
    pub async fn offline(artifacts: &Artifacts, decision: Option<TaskId>) -> Result<Self, PushError> {
        let (Left { parameters, graph, labels }, _) =
            read(artifacts, decision.unwrap_or_else(|| TaskId::from_bytes([0; 16])), None).await?;
        Ok(Self {
            decision,
            group: decision,
            group_fact: None,
            task: None,
            trust_domain: None,
            graph_config: None,
            parameters,
            graph,
            labels,
        })
    }

    /// With the configuration of its project.
    ///
    /// # Errors
    /// If that is another project than the push's.
    pub fn of_project(self, project: &Project) -> Result<Self, OtherProject> {
        match &self.trust_domain {
            Some(domain) if *domain != project.trust_domain => {
                Err(OtherProject { push: domain.clone(), project: project.trust_domain.clone() })
            }
            Some(_) | None => Ok(Self { graph_config: Some(project.graph_config.clone()), ..self }),
        }
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

/// The group that a decision task's tasks are in, and its facts. A release promotion is an action task of one group, and
/// decides for another that is named after it.
async fn own_group(
    client: &Client,
    decision: TaskId,
    task: &TaskDefinition,
) -> Result<(TaskId, Option<GroupFact>), taskgraft_client::Error> {
    if task.task_group_id != decision
        && let Some(fact) = group_fact(client, decision).await?
    {
        return Ok((decision, Some(fact)));
    }
    Ok((task.task_group_id, group_fact(client, task.task_group_id).await?))
}

/// A run of a decision task: its artifacts never change once it is resolved.
pub(crate) type Run = (TaskId, u16);

/// What a decision task left for its push.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) parameters: Parameters,
    pub(crate) graph: Arc<GraphFile>,
    pub(crate) labels: Arc<BTreeMap<String, TaskId>>,
}

impl Left {
    /// How many bytes of memory its graph takes now, beside the file.
    pub(crate) fn memory(&self) -> u64 {
        self.graph.memory() as u64
    }

    pub(crate) fn only(parameters: Parameters) -> Result<Self, ReadError> {
        Ok(Self { parameters, graph: Arc::new(GraphFile::read("{}".into())?), labels: Arc::default() })
    }
}

/// The run whose artifacts count: the last that completed, since a run that failed and was tried again may have left some
/// as well; else the last that ended. A run that may still change is none.
fn whole_run(status: &TaskStatus) -> Option<u16> {
    let runs = || status.runs.iter().rev();
    let completed = runs().find(|run| run.state == RunState::Completed);
    completed.or_else(|| status.runs.last().filter(|run| run.resolved.is_some())).map(|run| run.run_id)
}

/// What a decision task left, kept in memory where the process lives on and it can't change any more.
async fn remembered(artifacts: &Artifacts, task: TaskId, run: Option<u16>) -> Result<Arc<Left>, PushError> {
    // Three downloads at once, on the heap: whatever waits for a push would hold them on its stack otherwise.
    let reading = Box::pin(async {
        let (left, bytes) = read(artifacts, task, run).await?;
        Ok((Arc::new(left), bytes))
    });
    if let (Artifacts::Queue(_, cache), Some(run)) = (artifacts, run)
        && let Some(memory) = cache.memory()
    {
        return memory.get((task, run), reading).await;
    }
    Ok(reading.await?.0)
}

/// What a decision task left, and how many bytes of memory all but its graph takes, about.
async fn read(artifacts: &Artifacts, task: TaskId, run: Option<u16>) -> Result<(Left, u64), PushError> {
    let ((parameters, text), graph, labels) = future::try_join3(
        read_sized_parameters(artifacts, task, run),
        read_graph(artifacts, task, run),
        read_labels(artifacts, task, run),
    )
    .await?;
    let label = |label: &String| (label.len() + ENTRY) as u64;
    let bytes = PARSED * text + labels.keys().map(label).sum::<u64>();
    Ok((Left { parameters, graph: Arc::new(graph), labels: Arc::new(labels) }, bytes))
}

/// A decision task's parameters.
pub(crate) async fn read_parameters(
    artifacts: &Artifacts,
    task: TaskId,
    run: Option<u16>,
) -> Result<Parameters, PushError> {
    Ok(read_sized_parameters(artifacts, task, run).await?.0)
}

async fn read_sized_parameters(
    artifacts: &Artifacts,
    task: TaskId,
    run: Option<u16>,
) -> Result<(Parameters, u64), PushError> {
    let bytes = artifacts.read(Wanted { task, run, name: "public/parameters.yml", max: MAX_SMALL }).await?;
    Ok((parameters::read_parameters(&bytes)?, bytes.len() as u64))
}

/// A decision task's whole graph.
pub(crate) async fn read_graph(artifacts: &Artifacts, task: TaskId, run: Option<u16>) -> Result<GraphFile, PushError> {
    let wanted = Wanted { task, run, name: "public/full-task-graph.json", max: MAX_GRAPH_BYTES as u64 };
    Ok(GraphFile::read(artifacts.read(wanted).await?)?)
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

/// The labels that a push was meant to run: target-tasks.json, in any order.
pub(crate) async fn read_targets(artifacts: &Artifacts, push: &Push) -> Result<Vec<String>, PushError> {
    let task = push.decision.unwrap_or_else(|| TaskId::from_bytes([0; 16]));
    let run = push.task.as_ref().and_then(|(_, status)| whole_run(status));
    let bytes = artifacts.read(Wanted { task, run, name: "public/target-tasks.json", max: MAX_SMALL }).await?;
    serde_json::from_slice(&bytes).map_err(PushError::Targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run_of(runs: &[(&str, bool)]) -> Option<u16> {
        let at = "2026-11-22T12:00:00.000Z";
        let runs: Vec<Value> = runs
            .iter()
            .enumerate()
            .map(|(n, (state, resolved))| {
                let mut run = json!({"runId": n, "state": state, "reasonCreated": "scheduled", "scheduled": at});
                if *resolved {
                    run["resolved"] = json!(at);
                }
                run
            })
            .collect();
        let id = TaskId::from_bytes([1; 16]);
        let status = json!({
            "taskId": id, "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "s",
            "projectId": "none", "taskGroupId": id, "priority": "low", "deadline": at, "expires": at,
            "retriesLeft": 5, "state": "completed", "runs": runs,
        });
        whole_run(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn the_run_that_completed_counts() {
        assert_eq!(run_of(&[("exception", true), ("completed", true)]), Some(1));
        assert_eq!(run_of(&[("completed", true), ("exception", true)]), Some(0), "run again, and that failed");
        assert_eq!(run_of(&[("completed", true), ("running", false)]), Some(0), "it is being run again");
        assert_eq!(run_of(&[("failed", true)]), Some(0), "what it left may do");
        assert_eq!(run_of(&[("failed", true), ("running", false)]), None);
        assert_eq!(run_of(&[]), None);
    }
}
