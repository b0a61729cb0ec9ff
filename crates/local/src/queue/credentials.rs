//! Temporary credentials that the queue hands out.

use jiff::Timestamp;
use taskgraft_core::api::queue::TaskCredentials;

use super::task::Task;
use super::workers::Worker;
use crate::Ctx;
use crate::http::ApiError;

/// What a run's worker may do in its name until its claim ends: report, upload, and what the task itself may do.
pub(super) fn of_run(
    ctx: &Ctx,
    task: &Task,
    run: u16,
    worker: &Worker,
    until: Timestamp,
    scopes: Vec<String>,
) -> Result<TaskCredentials, ApiError> {
    let task_id = task.task_id;
    let Worker { worker_group, worker_id, .. } = worker;
    let (seconds, millis) = (until.as_millisecond().div_euclid(1000), until.as_millisecond().rem_euclid(1000));
    let seconds = format!("{seconds}.{millis:03}");
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    let client_id = format!("task-client/{task_id}/{run}/on/{worker_group}/{worker_id}/until/{seconds}");
    let mut held = vec![
        format!("queue:reclaim-task:{task_id}/{run}"),
        format!("queue:resolve-task:{task_id}/{run}"),
        format!("queue:create-artifact:{task_id}/{run}"),
    ];
    held.extend(scopes);
    issue(ctx, client_id, held, until)
}

/// Credentials from now on.
pub(super) fn issue(
    ctx: &Ctx,
    client_id: String,
    scopes: Vec<String>,
    until: Timestamp,
) -> Result<TaskCredentials, ApiError> {
    let issued = ctx.auth.issue(client_id, scopes, (ctx.now(), until));
    Ok(TaskCredentials {
        client_id: issued.client_id,
        access_token: issued.access_token,
        certificate: serde_json::to_string(&issued.certificate).map_err(ApiError::internal)?,
    })
}
