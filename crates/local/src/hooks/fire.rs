//! Firing a hook: its template becomes a task, which is created as anybody's would be, with the scopes of its role.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::action::render::{RenderError, Template, render};
use taskgraft_core::api::hooks::{FiredBy, Hook};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::format_ms;

use super::table::{self, Fire};
use crate::Ctx;
use crate::http::ApiError;
use crate::queue::{NewTask, create_with};

/// Who creates the tasks of hooks, as a real deployment names it.
const CLIENT: &str = "static/taskcluster/hooks";

/// The schema of what a template comes to.
const TASK: &str = "queue/v1/create-task-request.json";

/// How long a task may take to resolve, and how long it is kept, where its template doesn't say.
const DEADLINE: SignedDuration = SignedDuration::from_hours(24);
const EXPIRES: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The longest error that is kept of a fire, in characters.
const MAX_ERROR: usize = 128 << 10;

/// A hook that is about to fire.
pub(super) struct Firing {
    pub(super) hook: Hook,
    pub(super) fired_by: FiredBy,
    /// What its template may use beside `firedBy`, `taskId` and `now`: an object.
    pub(super) context: Value,
    pub(super) task_id: TaskId,
    /// The template's `now`.
    pub(super) now: Timestamp,
    /// From when to when its schedule moves on with this.
    pub(super) advance: Option<(i64, Option<i64>)>,
}

/// What came of it.
pub(super) enum Fired {
    /// The task is there.
    Task,
    /// The template came to nothing.
    Nothing,
}

/// Why there is no task.
#[derive(Debug, thiserror::Error)]
pub(super) enum FireError {
    /// The template can't be rendered.
    #[error("{0}")]
    Render(#[from] RenderError),
    /// The task can't be created.
    #[error(transparent)]
    Create(#[from] ApiError),
}

/// Fires: task, note and schedule are written together or not at all. A fire that fails is noted too, and moves the
/// schedule on, unless the fault is ours: then the schedule tries again.
pub(super) async fn fire(ctx: &Arc<Ctx>, firing: Firing) -> Result<Fired, FireError> {
    let firing = Arc::new(firing);
    let result = match rendered(&firing).await {
        Ok(Some(task)) => create(ctx, &firing, task).await.map(|()| Fired::Task).map_err(FireError::from),
        Ok(None) => Ok(Fired::Nothing),
        Err(error) => Err(error),
    };
    match &result {
        Ok(Fired::Task) => {}
        Ok(Fired::Nothing) => advance(ctx, &firing).await?,
        Err(FireError::Create(error)) if error.code.status().is_server_error() => {}
        Err(error) => note_failure(ctx, &firing, error).await?,
    }
    result
}

/// What the template comes to, with what a task needs at least; nothing for what JavaScript takes for false.
async fn rendered(firing: &Arc<Firing>) -> Result<Option<Value>, FireError> {
    let work = Arc::clone(firing);
    // A template may take a second.
    let rendering = tokio::task::spawn_blocking(move || {
        let mut context = work.context.clone();
        context["firedBy"] = json!(work.fired_by);
        context["taskId"] = json!(work.task_id);
        render(&Template::check(&work.hook.task)?, &context, work.now)
    });
    let mut task = rendering.await.map_err(ApiError::internal)??;
    match &mut task {
        Value::Null | Value::Bool(false) => return Ok(None),
        Value::Number(number) if number.as_f64() == Some(0.0) => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Object(fields) => {
            let after = |length| json!(format_ms(firing.now.saturating_add(length).unwrap_or(firing.now)));
            for (key, value) in [
                ("created", after(SignedDuration::ZERO)),
                ("deadline", after(DEADLINE)),
                ("expires", after(EXPIRES)),
                ("taskGroupId", json!(firing.task_id)),
            ] {
                fields.entry(key).or_insert(value);
            }
        }
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
    Ok(Some(task))
}

async fn create(ctx: &Arc<Ctx>, firing: &Arc<Firing>, mut task: Value) -> Result<(), ApiError> {
    ctx.check_schema(TASK, &mut task)?;
    let Hook { hook_group_id, hook_id, .. } = &firing.hook;
    let acting = ctx.auth.acting(CLIENT, format!("assume:hook-id:{hook_group_id}/{hook_id}"));
    let new = NewTask::prepare(ctx, firing.task_id, &mut task, |needed| acting.authorize(&needed))?;
    let (noted, fired) = (Arc::clone(firing), ctx.now().as_millisecond());
    create_with(ctx, new, move |tx| {
        let Firing { hook, fired_by, task_id, advance, .. } = &*noted;
        let fire = Fire { task_id: *task_id, fired_by: *fired_by, fired, error: String::new() };
        if !table::note(tx, hook, &fire)? {
            return Err(ApiError::conflict(format!("this hook has fired with the taskId `{task_id}` before")));
        }
        match advance {
            Some((from, to)) if !table::advance(tx, hook, *from, *to)? => Err(changed_meanwhile()),
            Some(_) | None => Ok(()),
        }
    })
    .await
}

async fn advance(ctx: &Arc<Ctx>, firing: &Arc<Firing>) -> Result<(), ApiError> {
    let firing = Arc::clone(firing);
    let Some((from, to)) = firing.advance else { return Ok(()) };
    ctx.store
        .write(move |tx| match table::advance(tx, &firing.hook, from, to)? {
            true => Ok(()),
            false => Err(changed_meanwhile()),
        })
        .await
}

async fn note_failure(ctx: &Arc<Ctx>, firing: &Arc<Firing>, error: &FireError) -> Result<(), ApiError> {
    let text = match error {
        FireError::Render(error) => error.to_string(),
        FireError::Create(ApiError { code, message }) => {
            json!({"message": message, "code": code.as_str(), "statusCode": code.status().as_u16()}).to_string()
        }
    };
    // A text that is cut off is no JSON any more, and is shown as the text it is.
    let error: String = text.chars().take(MAX_ERROR).collect();
    let (firing, fired) = (Arc::clone(firing), ctx.now().as_millisecond());
    ctx.store
        .write(move |tx| {
            let fire = Fire { task_id: firing.task_id, fired_by: firing.fired_by, fired, error };
            table::note(tx, &firing.hook, &fire)?;
            match firing.advance {
                Some((from, to)) if !table::advance(tx, &firing.hook, from, to)? => Err(changed_meanwhile()),
                Some(_) | None => Ok(()),
            }
        })
        .await
}

/// Ours to settle, and no failure of the hook: what it is now decides when it fires next.
fn changed_meanwhile() -> ApiError {
    ApiError::new(crate::http::ErrorCode::InternalServerError, "the hook was changed while it fired")
}
