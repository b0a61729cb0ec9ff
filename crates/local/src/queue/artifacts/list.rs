//! Which artifacts there are: `listArtifacts`, `listLatestArtifacts`, `artifactInfo`, `latestArtifactInfo`.

use std::sync::Arc;

use taskgraft_core::api::queue::ArtifactList;
use taskgraft_core::ids::TaskId;

use super::fetch::latest_run;
use super::{Artifact, not_found};
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use crate::queue::lists::PAGE;
use crate::queue::task::Task;
use crate::queue::{run_id, task_id};

pub(in crate::queue) async fn list_artifacts(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let (task_id, run) = (task_id(call)?, run_id(call));
    if run > latest_run(ctx, task_id).await? {
        let run = call.param("runId");
        let message = format!("Task with taskId: `{task_id}` has no run with runId: {run}");
        return Err(ApiError::not_found(message));
    }
    list(ctx, call, task_id, run).await
}

pub(in crate::queue) async fn list_latest_artifacts(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let run = latest_run(ctx, task_id).await?;
    list(ctx, call, task_id, run).await
}

async fn list(ctx: &Arc<Ctx>, call: &Call, task_id: TaskId, run: u16) -> Result<Reply, ApiError> {
    let page = Page::of(call, PAGE)?;
    let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit + 1);
    let found = ctx.store.read(move |tx| match Task::find(tx, task_id)? {
        Some(task) => Artifact::of_run(tx, task.row, run, &after, limit),
        None => Ok(Vec::new()),
    });
    let (artifacts, continuation_token) = page.cut(found.await?, |artifact| artifact.name.clone());
    Reply::json(&ArtifactList { artifacts: artifacts.into_iter().map(Artifact::listed).collect(), continuation_token })
}

pub(in crate::queue) async fn artifact_info(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    info(ctx, call, task_id(call)?, run_id(call)).await
}

pub(in crate::queue) async fn latest_artifact_info(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let run = latest_run(ctx, task_id).await?;
    info(ctx, call, task_id, run).await
}

async fn info(ctx: &Arc<Ctx>, call: &Call, task_id: TaskId, run: u16) -> Result<Reply, ApiError> {
    let name = call.param("name").to_owned();
    let found = ctx.store.read(move |tx| match Task::find(tx, task_id)? {
        Some(task) => Artifact::find(tx, task.row, run, &name),
        None => Ok(None),
    });
    let artifact = found.await?.filter(|artifact| artifact.present).ok_or_else(not_found)?;
    Reply::json(&artifact.listed())
}
