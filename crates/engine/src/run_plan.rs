//! The plan of an action task, kept as an artifact of the run that made it, for the run that finishes it.

use taskgraft_client::{Client, Error, Upload};
use taskgraft_core::api::queue::{CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::plan::{MAX_PLAN_BYTES, Plan, PlanFileError, PlanHash};
use taskgraft_core::time::Millis;

use crate::cache::Cache;
use crate::fetch::FetchError;
use crate::own_run::OwnRun;

/// Its name. Public, since a task's own credentials can make but not read private artifacts; in a folder of its own,
/// so that the worker's upload of `public/` at the run's end doesn't meet it.
pub const PLAN_ARTIFACT: &str = "public/taskgraft/plan.json";

/// Why a run's plan can't be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum RunPlanError {
    /// Taskcluster refused, or didn't answer.
    #[error("store the plan: failed to {0}")]
    Client(#[from] Error),
    /// An earlier run's plan can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What is there is no plan.
    #[error("read the plan of run {run}: {error}")]
    File {
        /// Whose it is.
        run: u16,
        /// What is wrong with it.
        error: PlanFileError,
    },
    /// The queue keeps the artifact otherwise than asked.
    #[error("store the plan: the queue doesn't take uploads")]
    NoUpload,
    /// What was read back is not what was written.
    #[error("store the plan: it reads back as {read}, and was {written}")]
    NotStored {
        /// Its hash.
        written: PlanHash,
        /// The hash of what is there.
        read: PlanHash,
    },
}

/// Stores `plan` as an artifact of the run, and reads it back.
///
/// # Errors
/// If it can't be stored, or reads back as another.
pub(crate) async fn store(
    client: &Client,
    cache: &Cache,
    own: OwnRun,
    plan: &Plan,
    expires: Millis,
) -> Result<(), RunPlanError> {
    let content_type = "application/json".to_owned();
    let request = CreateArtifactRequest::S3 { expires, content_type, content_length: None };
    match client.queue().create_artifact(own.task, own.run, PLAN_ARTIFACT, &request).await? {
        CreateArtifactResponse::S3 { put_url, content_type, .. } => {
            client.upload(&put_url, &content_type, Upload::Bytes(plan.to_json().into())).await?;
        }
        CreateArtifactResponse::Reference {} | CreateArtifactResponse::Link {} | CreateArtifactResponse::Error {} => {
            return Err(RunPlanError::NoUpload);
        }
    }
    let read = of_run(client, cache, own, own.run).await?.map(|plan| plan.hash());
    let written = plan.hash();
    match read {
        Some(read) if read == written => Ok(()),
        Some(read) => Err(RunPlanError::NotStored { written, read }),
        None => Err(RunPlanError::NoUpload),
    }
}

/// The plan of the newest run that has one, up to this one: a process may die and be started again within its run.
///
/// # Errors
/// If the queue doesn't answer, or what is there is no plan.
pub(crate) async fn earlier(client: &Client, cache: &Cache, own: OwnRun) -> Result<Option<Plan>, RunPlanError> {
    for run in (0..=own.run).rev() {
        if let Some(plan) = of_run(client, cache, own, run).await? {
            return Ok(Some(plan));
        }
    }
    Ok(None)
}

async fn of_run(client: &Client, cache: &Cache, own: OwnRun, run: u16) -> Result<Option<Plan>, RunPlanError> {
    let location = match client.queue().artifact(own.task, Some(run), PLAN_ARTIFACT).await {
        Ok(location) => location,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let io = |error| FetchError::Io { name: PLAN_ARTIFACT.into(), error };
    let file = cache.scratch().map_err(io)?;
    match client.download(&location.url, file.path(), MAX_PLAN_BYTES as u64).await {
        Ok(_) => {}
        // Announced and never uploaded: the run died in between, and so before it created anything.
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let bytes = std::fs::read(file.path()).map_err(io)?;
    Plan::read(&bytes).map(Some).map_err(|error| RunPlanError::File { run, error })
}
