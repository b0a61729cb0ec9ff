//! The queue's calls for workers.

use http::Method;
use taskgraft_core::api::queue::{
    ClaimTaskRequest, ClaimWorkRequest, ClaimWorkResponse, Claimed, CreateArtifactRequest, CreateArtifactResponse,
    Reclaimed, TaskExceptionRequest, TaskStatus, TaskStatusResponse,
};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::ExceptionReason;

use crate::{Error, Queue};

impl Queue<'_> {
    /// Claims work from a task queue (`provisioner/worker-type`); answers within some 20 s, with nothing if there is
    /// none.
    ///
    /// # Errors
    /// As any call.
    pub async fn claim_work(self, task_queue: &str, request: &ClaimWorkRequest) -> Result<Vec<Claimed>, Error> {
        let call = Self::call("claimWork", Method::POST, &["claim-work", task_queue])?.json(request)?;
        Ok(self.client.fetch::<ClaimWorkResponse>(call).await?.tasks)
    }

    /// Claims one run.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else has it.
    pub async fn claim_task(self, id: TaskId, run: u16, request: &ClaimTaskRequest) -> Result<Claimed, Error> {
        self.client.fetch(Self::run_call("claimTask", id, run, "claim")?.json(request)?).await
    }

    /// Renews a claim; with the run's credentials.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the run is no longer the worker's.
    pub async fn reclaim_task(self, id: TaskId, run: u16) -> Result<Reclaimed, Error> {
        self.client.fetch(Self::run_call("reclaimTask", id, run, "reclaim")?).await
    }

    /// Resolves a run as `completed`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is resolved otherwise already.
    pub async fn report_completed(self, id: TaskId, run: u16) -> Result<TaskStatus, Error> {
        self.report("reportCompleted", id, run, "completed").await
    }

    /// Resolves a run as `failed`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is resolved otherwise already.
    pub async fn report_failed(self, id: TaskId, run: u16) -> Result<TaskStatus, Error> {
        self.report("reportFailed", id, run, "failed").await
    }

    /// Resolves a run as `exception`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is resolved otherwise already.
    pub async fn report_exception(self, id: TaskId, run: u16, reason: ExceptionReason) -> Result<TaskStatus, Error> {
        let call = Self::run_call("reportException", id, run, "exception")?.json(&TaskExceptionRequest { reason })?;
        Ok(self.client.fetch::<TaskStatusResponse>(call).await?.status)
    }

    /// Announces an artifact of a run; its bytes go where the answer says, see [`crate::Client::upload`].
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is another one of this name.
    pub async fn create_artifact(
        self,
        id: TaskId,
        run: u16,
        name: &str,
        request: &CreateArtifactRequest,
    ) -> Result<CreateArtifactResponse, Error> {
        let run = run.to_string();
        let path = ["task", id.as_str(), "runs", &run, "artifacts", name];
        self.client.fetch(Self::call("createArtifact", Method::POST, &path)?.json(request)?).await
    }

    async fn report(self, name: &'static str, id: TaskId, run: u16, verb: &str) -> Result<TaskStatus, Error> {
        let call = Self::run_call(name, id, run, verb)?;
        Ok(self.client.fetch::<TaskStatusResponse>(call).await?.status)
    }

    fn run_call(name: &'static str, id: TaskId, run: u16, verb: &str) -> Result<crate::call::Call, Error> {
        Self::call(name, Method::POST, &["task", id.as_str(), "runs", &run.to_string(), verb])
    }
}
