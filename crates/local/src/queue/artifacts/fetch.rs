//! Where an artifact's content is: `getArtifact`, `getLatestArtifact`, `artifact`, `latestArtifact`.

use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use serde_json::{Value, json};
use taskgraft_core::api::queue::{ArtifactLocation, StorageType};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::ScopeExpression;

use super::record::code;
use super::{Artifact, not_found, urls};
use crate::Ctx;
use crate::http::{ApiError, Call, ErrorCode, Reply};
use crate::queue::task::Task;
use crate::queue::{run_id, task_id};

/// Tells programs how to download what the answer leads to.
const STORAGE: HeaderName = HeaderName::from_static("x-taskcluster-artifact-storage-type");

pub(in crate::queue) async fn get_artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    redirect(ctx, follow(ctx, call, task_id(call)?, run_id(call)).await?)
}

pub(in crate::queue) async fn get_latest_artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    // Who may not read it doesn't learn whether the task exists.
    call.authorize(ScopeExpression::all_of([format!("queue:get-artifact:{}", call.param("name"))]))?;
    let task_id = task_id(call)?;
    let run = latest_run(ctx, task_id).await?;
    redirect(ctx, follow(ctx, call, task_id, run).await?)
}

pub(in crate::queue) async fn artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    content(ctx, follow(ctx, call, task_id(call)?, run_id(call)).await?)
}

pub(in crate::queue) async fn latest_artifact(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let run = latest_run(ctx, task_id).await?;
    content(ctx, follow(ctx, call, task_id, run).await?)
}

/// Where the bytes of an artifact of a task's last run are, whose name the call's URL gives; `None` for an artifact that
/// says it could not be made.
pub(crate) async fn latest_location(ctx: &Arc<Ctx>, call: &Call, task_id: TaskId) -> Result<Option<String>, ApiError> {
    let run = latest_run(ctx, task_id).await?;
    let artifact = follow(ctx, call, task_id, run).await?;
    Ok((artifact.storage != StorageType::Error).then(|| location(ctx, &artifact)))
}

/// The number of a task's last run.
pub(super) async fn latest_run(ctx: &Arc<Ctx>, task_id: TaskId) -> Result<u16, ApiError> {
    let found = ctx.store.read(move |tx| Task::find(tx, task_id)).await?;
    let task = found.ok_or_else(|| ApiError::not_found("Task not found"))?;
    let last = task.life.runs.last().map(|run| run.run_id);
    last.ok_or_else(|| ApiError::not_found("Task doesn't have any runs"))
}

/// The artifact that the URL names, or the one that it links to. The caller must be allowed to read each on the way.
async fn follow(ctx: &Arc<Ctx>, call: &Call, task_id: TaskId, run: u16) -> Result<Artifact, ApiError> {
    let mut names = vec![call.param("name").to_owned()];
    loop {
        call.authorize(ScopeExpression::all_of(names.iter().map(|name| format!("queue:get-artifact:{name}"))))?;
        let name = names.last().cloned().unwrap_or_default();
        let found = ctx.store.read(move |tx| match Task::find(tx, task_id)? {
            Some(task) => Artifact::find(tx, task.row, run, &name),
            None => Ok(None),
        });
        let artifact = found.await?.filter(|artifact| artifact.present).ok_or_else(not_found)?;
        if artifact.expires < ctx.now() {
            return Err(ApiError::new(ErrorCode::ResourceExpired, "Artifact expired"));
        }
        if artifact.storage != StorageType::Link {
            return Ok(artifact);
        }
        let target = artifact.detail("artifact").to_owned();
        // A run has finitely many artifacts, so this ends.
        if names.contains(&target) {
            return Err(ApiError::input("Artifact leads to a link cycle"));
        }
        names.push(target);
    }
}

/// Where its bytes are.
fn location(ctx: &Ctx, artifact: &Artifact) -> String {
    match &artifact.blob {
        Some(blob) => urls::get(&ctx.root_url, blob, artifact.is_public(), ctx.now()),
        None => artifact.detail("url").to_owned(),
    }
}

fn redirect(ctx: &Ctx, artifact: Artifact) -> Result<Reply, ApiError> {
    if artifact.storage == StorageType::Error {
        let reply = Reply::json(&failure(&artifact))?.with_status(StatusCode::FAILED_DEPENDENCY);
        return reply.with_header(STORAGE, code(artifact.storage));
    }
    let url = location(ctx, &artifact);
    Reply::json(&ArtifactLocation { storage_type: artifact.storage, url: url.clone() })?
        .with_status(StatusCode::SEE_OTHER)
        .with_header(LOCATION, &url)?
        .with_header(STORAGE, code(artifact.storage))
}

fn content(ctx: &Ctx, artifact: Artifact) -> Result<Reply, ApiError> {
    let storage = artifact.storage;
    let mut answer = match storage {
        StorageType::Error => failure(&artifact),
        StorageType::S3 | StorageType::Object | StorageType::Reference | StorageType::Link => {
            json!({"url": location(ctx, &artifact)})
        }
    };
    answer["storageType"] = code(storage).into();
    Reply::json(&answer)
}

fn failure(artifact: &Artifact) -> Value {
    json!({"reason": artifact.detail("reason"), "message": artifact.detail("message")})
}
