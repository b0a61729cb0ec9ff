//! The queue service, as those ask who make and follow tasks; a worker's calls are in [`crate::worker`].

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use taskgraft_core::api::queue::{
    Artifact, ArtifactList, ArtifactLocation, CancelTaskGroupResponse, DependentTasks, PendingTasks, TaskDefinition,
    TaskDefinitionAndStatus, TaskGroup, TaskGroupList, TaskQueueCounts, TaskStatus, TaskStatusResponse, TasksRequest,
};
use taskgraft_core::ids::TaskId;

use crate::call::Call;
use crate::pages::pages;
use crate::{Client, Error};

/// The queue, through a [`Client`].
#[derive(Debug, Clone, Copy)]
pub struct Queue<'a> {
    pub(crate) client: &'a Client,
}

/// One of a batch of statuses, as the caller wants to read it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identified<T> {
    task_id: TaskId,
    status: T,
}

/// A status, as the caller wants to read it.
#[derive(Deserialize)]
struct StatusOf<T> {
    status: T,
}

/// One of a batch of definitions, as the caller wants to read it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Defined<T> {
    task_id: TaskId,
    task: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct TaskPage<T> {
    tasks: Vec<Defined<T>>,
    #[serde(default)]
    continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct StatusPage<T> {
    statuses: Vec<Identified<T>>,
    #[serde(default)]
    continuation_token: Option<String>,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    pub(crate) fn call(name: &'static str, method: Method, path: &[&str]) -> Result<Call, Error> {
        Call::new(name, method, "queue", path)
    }

    /// A call about one task that answers its status.
    async fn act(self, name: &'static str, task: TaskId, verb: &str) -> Result<TaskStatus, Error> {
        let call = Self::call(name, Method::POST, &["task", task.as_str(), verb])?;
        Ok(self.client.fetch::<TaskStatusResponse>(call).await?.status)
    }

    /// Nothing, if the service answers.
    ///
    /// # Errors
    /// As any call.
    pub async fn ping(self) -> Result<(), Error> {
        self.client.fetch(Self::call("ping", Method::GET, &["ping"])?).await.map(|IgnoredAny| ())
    }

    /// Creates a task from the JSON bytes of its definition; the same bytes are sent on each try.
    ///
    /// # Errors
    /// [`Error::Conflict`] for another definition under this id, a sealed group or another scheduler in the group.
    pub async fn create_task(self, id: TaskId, definition: Bytes) -> Result<TaskStatus, Error> {
        let call = Self::call("createTask", Method::PUT, &["task", id.as_str()])?.bytes(definition);
        Ok(self.client.fetch::<TaskStatusResponse>(call).await?.status)
    }

    /// A task's definition.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task.
    pub async fn task(self, id: TaskId) -> Result<TaskDefinition, Error> {
        self.task_as(id).await
    }

    /// A task's definition, read as `T`: a JSON value, say, to send just that again.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task.
    pub async fn task_as<T: DeserializeOwned>(self, id: TaskId) -> Result<T, Error> {
        self.client.fetch(Self::call("task", Method::GET, &["task", id.as_str()])?).await
    }

    /// A task's status.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task.
    pub async fn status(self, id: TaskId) -> Result<TaskStatus, Error> {
        self.status_as(id).await
    }

    /// A task's status, read as `T`: a type with fewer fields, say.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task.
    pub async fn status_as<T: DeserializeOwned>(self, id: TaskId) -> Result<T, Error> {
        let call = Self::call("status", Method::GET, &["task", id.as_str(), "status"])?;
        Ok(self.client.fetch::<StatusOf<T>>(call).await?.status)
    }

    /// The definitions of many tasks, each read as `T`: [`TaskDefinition`], or a JSON value as it came. Unknown ids are
    /// left out.
    ///
    /// # Errors
    /// As any call.
    pub async fn tasks<T: DeserializeOwned + Send>(self, ids: &[TaskId]) -> Result<HashMap<TaskId, T>, Error> {
        let call = Self::call("tasks", Method::POST, &["tasks"]).and_then(|call| call.json(&request(ids)));
        let pages = pages(self.client, call, |page: &TaskPage<T>| page.continuation_token.clone());
        let collect = |mut found: HashMap<_, _>, page: TaskPage<T>| async move {
            found.extend(page.tasks.into_iter().map(|task| (task.task_id, task.task)));
            Ok(found)
        };
        pages.try_fold(HashMap::new(), collect).await
    }

    /// The statuses of many tasks, each read as `T`: [`TaskStatus`], or a type with fewer fields. Unknown ids are left
    /// out.
    ///
    /// # Errors
    /// As any call.
    pub async fn statuses<T: DeserializeOwned + Send>(self, ids: &[TaskId]) -> Result<HashMap<TaskId, T>, Error> {
        let call = Self::call("statuses", Method::POST, &["tasks", "status"]).and_then(|call| call.json(&request(ids)));
        let pages = pages(self.client, call, |page: &StatusPage<T>| page.continuation_token.clone());
        let collect = |mut found: HashMap<_, _>, page: StatusPage<T>| async move {
            found.extend(page.statuses.into_iter().map(|status| (status.task_id, status.status)));
            Ok(found)
        };
        pages.try_fold(HashMap::new(), collect).await
    }

    /// A group's tasks, page after page of at most `limit` (1 to 1,000) tasks.
    pub fn list_task_group(
        self,
        group: TaskId,
        limit: u16,
    ) -> impl Stream<Item = Result<TaskGroupList, Error>> + Send + 'a {
        let call = Self::call("listTaskGroup", Method::GET, &["task-group", group.as_str(), "list"]);
        let call = call.map(|call| call.query("limit", &limit.to_string()));
        pages(self.client, call, |page: &TaskGroupList| page.continuation_token.clone())
    }

    /// The tasks that depend on a task.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task.
    pub async fn list_dependent_tasks(self, id: TaskId) -> Result<Vec<TaskDefinitionAndStatus>, Error> {
        let call = Self::call("listDependentTasks", Method::GET, &["task", id.as_str(), "dependents"]);
        let pages = pages(self.client, call, |page: &DependentTasks| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: DependentTasks| async move {
            all.extend(page.tasks);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }

    /// A group: its scheduler, and whether it is sealed.
    ///
    /// # Errors
    /// As any call; 404 for an unknown group.
    pub async fn get_task_group(self, group: TaskId) -> Result<TaskGroup, Error> {
        self.client.fetch(Self::call("getTaskGroup", Method::GET, &["task-group", group.as_str()])?).await
    }

    /// Seals a group: it takes no new tasks from now on.
    ///
    /// # Errors
    /// As any call.
    pub async fn seal_task_group(self, group: TaskId) -> Result<TaskGroup, Error> {
        let call = Self::call("sealTaskGroup", Method::POST, &["task-group", group.as_str(), "seal"])?;
        self.client.fetch(call).await
    }

    /// Cancels all tasks of a sealed group.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the group is not sealed.
    pub async fn cancel_task_group(self, group: TaskId) -> Result<CancelTaskGroupResponse, Error> {
        let call = Self::call("cancelTaskGroup", Method::POST, &["task-group", group.as_str(), "cancel"])?;
        self.client.fetch(call).await
    }

    /// Makes an unscheduled task pending whatever its dependencies.
    ///
    /// # Errors
    /// [`Error::Conflict`] past its deadline.
    pub async fn schedule_task(self, id: TaskId) -> Result<TaskStatus, Error> {
        self.act("scheduleTask", id, "schedule").await
    }

    /// Gives a resolved task another run whatever its dependencies.
    ///
    /// # Errors
    /// [`Error::Conflict`] past its deadline or after 50 runs.
    pub async fn rerun_task(self, id: TaskId) -> Result<TaskStatus, Error> {
        self.act("rerunTask", id, "rerun").await
    }

    /// Cancels a task; one that is resolved stays as it is.
    ///
    /// # Errors
    /// [`Error::Conflict`] past its deadline.
    pub async fn cancel_task(self, id: TaskId) -> Result<TaskStatus, Error> {
        self.act("cancelTask", id, "cancel").await
    }

    /// The artifacts of a task's last run, or of `run`.
    ///
    /// # Errors
    /// As any call; 404 for an unknown task or run.
    pub async fn list_artifacts(self, id: TaskId, run: Option<u16>) -> Result<Vec<Artifact>, Error> {
        let call = match run {
            Some(run) => {
                let run = run.to_string();
                Self::call("listArtifacts", Method::GET, &["task", id.as_str(), "runs", &run, "artifacts"])
            }
            None => Self::call("listLatestArtifacts", Method::GET, &["task", id.as_str(), "artifacts"]),
        };
        let pages = pages(self.client, call, |page: &ArtifactList| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: ArtifactList| async move {
            all.extend(page.artifacts);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }

    /// Where the bytes of an artifact of a task's last run, or of `run`, are; see [`Client::download`].
    ///
    /// # Errors
    /// 404 when there is none; 424 when the worker could not make it.
    pub async fn artifact(self, id: TaskId, run: Option<u16>, name: &str) -> Result<ArtifactLocation, Error> {
        let call = match run {
            Some(run) => {
                let run = run.to_string();
                Self::call("getArtifact", Method::GET, &["task", id.as_str(), "runs", &run, "artifacts", name])?
            }
            None => Self::call("getLatestArtifact", Method::GET, &["task", id.as_str(), "artifacts", name])?,
        };
        self.client.fetch(call).await
    }

    /// How many tasks of a task queue (`provisioner/worker-type`) are pending.
    ///
    /// # Errors
    /// As any call.
    pub async fn pending_tasks(self, task_queue: &str) -> Result<PendingTasks, Error> {
        self.client.fetch(Self::call("pendingTasks", Method::GET, &["pending", task_queue])?).await
    }

    /// How many tasks of a task queue (`provisioner/worker-type`) are pending and running.
    ///
    /// # Errors
    /// As any call.
    pub async fn task_queue_counts(self, task_queue: &str) -> Result<TaskQueueCounts, Error> {
        let call = Self::call("taskQueueCounts", Method::GET, &["task-queues", task_queue, "counts"])?;
        self.client.fetch(call).await
    }
}

fn request(ids: &[TaskId]) -> TasksRequest {
    TasksRequest { task_ids: ids.iter().map(ToString::to_string).collect() }
}
