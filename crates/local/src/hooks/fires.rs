//! Endpoints about when a hook fired, and when it will.

use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_core::api::hooks::{FireResult, HookFire, HookStatus, LastFire, ListLastFiresResponse};
use taskgraft_core::time::Millis;

use super::definitions::{find, named};
use super::table::{self, Fire};
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};
use crate::queue::Task;

const MAX_PAGE: usize = 1000;

pub(super) async fn list(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (group, hook) = named(call);
    let page = Page::of(call, MAX_PAGE)?;
    let before = page.after.as_deref().map_or(Ok(i64::MAX), str::parse);
    let before = before.map_err(|_| ApiError::input("Invalid continuation token"))?;
    let answer = ctx.store.read(move |tx| {
        let rows = table::fires(tx, (&group, &hook), before, page.limit + 1)?;
        if rows.is_empty() {
            return Err(ApiError::not_found("No such hook or never fired"));
        }
        let (rows, continuation_token) = page.cut(rows, |(row, _)| row.to_string());
        let fires = rows.into_iter().map(|(_, Fire { task_id, fired_by, fired, error })| {
            let task_state = Task::find(tx, task_id)?.map(|task| task.state());
            let result = if error.is_empty() { FireResult::Success } else { FireResult::Error };
            let (hook_group_id, hook_id, task_create_time) = (group.clone(), hook.clone(), moment(fired));
            Ok(HookFire { hook_group_id, hook_id, fired_by, task_id, task_create_time, result, task_state, error })
        });
        let last_fires = fires.collect::<Result<_, ApiError>>()?;
        Ok(ListLastFiresResponse { last_fires, continuation_token })
    });
    Reply::json(&answer.await?)
}

pub(super) async fn status(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let stored = find(ctx, call).await?;
    let (group, hook) = named(call);
    let last = ctx.store.read(move |tx| Ok::<_, ApiError>(table::fires(tx, (&group, &hook), i64::MAX, 1)?.pop()));
    let last_fire = match last.await? {
        None => LastFire::NoFire,
        Some((_, Fire { task_id, fired, error, .. })) if error.is_empty() => {
            LastFire::Success { task_id, time: moment(fired) }
        }
        Some((_, Fire { fired, error, .. })) => {
            // Errors of createTask are objects, those of rendering are texts.
            let object = serde_json::from_str(&error).ok().filter(Value::is_object);
            LastFire::Error { error: object.unwrap_or_else(|| json!({"message": error})), time: moment(fired) }
        }
    };
    Reply::json(&HookStatus { last_fire, next_scheduled_date: stored.next_fire.map(moment) })
}

fn moment(ms: i64) -> Millis {
    Millis(Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX))
}
