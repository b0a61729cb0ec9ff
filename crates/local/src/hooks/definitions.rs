//! Endpoints about what hooks are: making, changing, removing and looking at them.

use jiff::Timestamp;
use serde_json::Value;
use taskgraft_core::action::render::Template;
use taskgraft_core::api::hooks::{Hook, HookRequest, ListHookGroupsResponse, ListHooksResponse};
use taskgraft_core::ids::TaskId;

use super::cron::Schedule;
use super::table::{self, Stored};
use super::trigger_schema;
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};

pub(super) async fn list_groups(ctx: &Ctx) -> Result<Reply, ApiError> {
    let groups = ctx.store.read(|tx| Ok::<_, ApiError>(table::groups(tx)?)).await?;
    Reply::json(&ListHookGroupsResponse { groups })
}

pub(super) async fn list(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let group = call.param("hookGroupId").to_owned();
    let stored = ctx.store.read(move |tx| Ok::<_, ApiError>(table::of_group(tx, &group)?)).await?;
    if stored.is_empty() {
        return Err(ApiError::not_found("No such group"));
    }
    Reply::json(&ListHooksResponse { hooks: stored.into_iter().map(|stored| stored.hook).collect() })
}

pub(super) async fn get(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    Reply::json(&find(ctx, call).await?.hook)
}

/// The hook that the URL names.
pub(super) async fn find(ctx: &Ctx, call: &Call) -> Result<Stored, ApiError> {
    let (group, hook) = named(call);
    ctx.store.read(move |tx| table::find(tx, &group, &hook)).await
}

/// Group and id of the hook that the URL names.
pub(super) fn named(call: &Call) -> (String, String) {
    (call.param("hookGroupId").to_owned(), call.param("hookId").to_owned())
}

/// Makes a hook, or answers as if for one that is the same in everything, bindings included.
pub(super) async fn create(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (group, hook) = put_names(call)?;
    let request: HookRequest = call.input()?;
    let next_fire = check(&request, ctx.now())?;
    // As a real service has it: a request without bindings is never the same as a hook that has them, none or some.
    let comparable = request.bindings.is_some();
    let new = Stored { hook: definition(group, hook, request, Vec::new()), token: draw(), seed: draw(), next_fire };
    ctx.store
        .write(move |tx| {
            let Hook { hook_group_id, hook_id, .. } = &new.hook;
            match table::find(tx, hook_group_id, hook_id) {
                Ok(known) if comparable && known.hook == new.hook => Ok(()),
                Ok(_) => Err(ApiError::conflict(format!("hook `{hook_group_id}/{hook_id}` already exists."))),
                Err(_) => table::put(tx, &new),
            }
        })
        .await?;
    tracing::info!(client = call.client_id(), hook = call.param("hookId"), "created a hook");
    Reply::json(call.body())
}

pub(super) async fn update(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (group, hook) = put_names(call)?;
    // Whether it is there comes before whether the change is any good.
    find(ctx, call).await?;
    let request: HookRequest = call.input()?;
    let next_fire = check(&request, ctx.now())?;
    let changed = ctx.store.write(move |tx| {
        let known = table::find(tx, &group, &hook)?;
        let hook = definition(group, hook, request, known.hook.bindings);
        // Another seed: what the old schedule would have made has nothing to do with the new one.
        let changed = Stored { hook, token: known.token, seed: draw(), next_fire };
        table::put(tx, &changed)?;
        Ok::<_, ApiError>(changed.hook)
    });
    let changed = changed.await?;
    tracing::info!(client = call.client_id(), hook = call.param("hookId"), "changed a hook");
    Reply::json(&changed)
}

/// Removes; that there is none is as good.
pub(super) async fn remove(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (group, hook) = named(call);
    ctx.store.write(move |tx| Ok::<_, ApiError>(table::remove(tx, &group, &hook)?)).await?;
    tracing::info!(client = call.client_id(), hook = call.param("hookId"), "removed a hook");
    Reply::json(&serde_json::json!({}))
}

/// The names in the URL, put into the body too, where they may stand but not differ.
fn put_names(call: &mut Call) -> Result<(String, String), ApiError> {
    let (group, hook) = named(call);
    let Value::Object(body) = call.body_mut() else { return Err(ApiError::input("a hook is an object")) };
    for (key, name, what) in [("hookGroupId", &group, "Hook Group Ids"), ("hookId", &hook, "Hook Ids")] {
        if body.get(key).is_some_and(|given| given != name) {
            return Err(ApiError::input(format!("{what} do not match")));
        }
    }
    body.insert("hookGroupId".to_owned(), group.clone().into());
    body.insert("hookId".to_owned(), hook.clone().into());
    Ok((group, hook))
}

/// What no schema says of a hook; when it is to fire first.
fn check(request: &HookRequest, now: Timestamp) -> Result<Option<i64>, ApiError> {
    let schedule = Schedule::parse(&request.schedule).map_err(|error| ApiError::input(error.to_string()))?;
    trigger_schema::compile(&request.trigger_schema)
        .map_err(|error| ApiError::input(format!("triggerSchema is not a valid JSON schema:\n * {error}")))?;
    Template::check(&request.task).map_err(|error| ApiError::input(format!("task: {error}")))?;
    Ok(schedule.next_after(now).map(Timestamp::as_millisecond))
}

fn definition(
    hook_group_id: String,
    hook_id: String,
    request: HookRequest,
    bindings: Vec<taskgraft_core::api::hooks::Binding>,
) -> Hook {
    let HookRequest { metadata, bindings: given, schedule, task, trigger_schema } = request;
    Hook { hook_group_id, hook_id, metadata, bindings: given.unwrap_or(bindings), schedule, task, trigger_schema }
}

/// A secret: 122 random bits.
pub(super) fn draw() -> String {
    TaskId::from_bytes(rand::random()).to_string()
}
