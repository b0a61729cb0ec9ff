//! Endpoints that fire hooks, and those about the token that does so without credentials.

use std::sync::Arc;

use ring::hmac;
use serde_json::{Value, json};
use taskgraft_core::api::hooks::{FiredBy, TriggerToken};
use taskgraft_core::ids::TaskId;

use super::definitions::{draw, find, named};
use super::fire::{FireError, Fired, Firing, fire};
use super::table::{self, Stored};
use super::trigger_schema;
use crate::Ctx;
use crate::http::{ApiError, Call, ErrorCode, Reply};

/// What a slugid that Taskcluster makes looks like, as the real service checks it.
const SLUG: [&[u8]; 3] = [b"QRST", b"CGKOSWaeimquy26-", b"AQgw"];

pub(super) async fn with_credentials(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let stored = find(ctx, call).await?;
    let client = call.client_id().to_owned();
    trigger(ctx, stored, FiredBy::TriggerHook, call.body().clone(), Some(client)).await
}

pub(super) async fn with_token(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let stored = find(ctx, call).await?;
    if !is_same_secret(call.param("token"), &stored.token) {
        return Err(ApiError::unauthorized("invalid hook token"));
    }
    trigger(ctx, stored, FiredBy::TriggerHookWithToken, call.body().clone(), None).await
}

/// Compares in a time that says nothing about the secret.
fn is_same_secret(given: &str, secret: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"trigger token");
    hmac::verify(&key, given.as_bytes(), hmac::sign(&key, secret.as_bytes()).as_ref()).is_ok()
}

/// Fires a hook for somebody: `client` is who, if they signed.
async fn trigger(
    ctx: &Arc<Ctx>,
    stored: Stored,
    fired_by: FiredBy,
    payload: Value,
    client: Option<String>,
) -> Result<Reply, ApiError> {
    let schema = trigger_schema::compile(&stored.hook.trigger_schema).map_err(ApiError::input)?;
    trigger_schema::within_bounds(&stored.hook.trigger_schema, &payload).map_err(ApiError::input)?;
    trigger_schema::check(&schema, &payload).map_err(ApiError::input)?;
    let task_id = given_id(&payload)?.unwrap_or_else(|| TaskId::from_bytes(rand::random()));
    let mut context = json!({"payload": payload});
    if let Some(client) = client {
        context["clientId"] = client.into();
    }
    let now = ctx.now();
    let role = format!("hook-id:{}/{}", stored.hook.hook_group_id, stored.hook.hook_id);
    let firing = Firing { hook: stored.hook, fired_by, context, task_id, now, advance: None };
    match fire(ctx, firing).await {
        Ok(Fired::Task) => Reply::json(&json!({"taskId": task_id, "status": {"taskId": task_id}})),
        Ok(Fired::Nothing) => Reply::json(&json!({})),
        Err(FireError::Render(error)) => Err(ApiError::input(format!("While firing hook:\n\n{error}"))),
        Err(FireError::Create(error)) if error.code == ErrorCode::InsufficientScopes => {
            let who = format!("The role `{role}` does not have sufficient scopes to create the task:\n\n");
            Err(ApiError::new(ErrorCode::InsufficientScopes, who + &error.message))
        }
        Err(FireError::Create(error)) if error.code.status().is_server_error() => Err(error),
        Err(FireError::Create(ApiError { code, message })) => {
            Err(ApiError::input(format!("While calling createTask: {}\n\n{message}", code.as_str())))
        }
    }
}

/// The id that the payload wants the task to have.
fn given_id(payload: &Value) -> Result<Option<TaskId>, ApiError> {
    let Some(given) = payload.get("taskId").filter(|given| !matches!(given, Value::Null | Value::Bool(false))) else {
        return Ok(None);
    };
    let text = given.as_str().unwrap_or_default();
    if text.is_empty() && given.is_string() {
        return Ok(None);
    }
    let is_slug = |id: &TaskId| {
        let bytes = id.as_str().as_bytes();
        [8, 10, 21].into_iter().zip(SLUG).all(|(at, allowed)| bytes.get(at).is_some_and(|byte| allowed.contains(byte)))
    };
    let id = text.parse().ok().filter(is_slug);
    let shown = if given.is_string() { text.to_owned() } else { given.to_string() };
    id.map(Some).ok_or_else(|| ApiError::input(format!("Invalid taskId format: {shown}")))
}

pub(super) async fn token(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    Reply::json(&TriggerToken { token: find(ctx, call).await?.token })
}

pub(super) async fn reset_token(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (group, hook) = named(call);
    let reset = ctx.store.write(move |tx| {
        let known = table::find(tx, &group, &hook)?;
        let token = draw();
        table::put(tx, &Stored { token: token.clone(), ..known })?;
        Ok::<_, ApiError>(token)
    });
    let token = reset.await?;
    tracing::info!(client = call.client_id(), hook = call.param("hookId"), "gave a hook a new token");
    Reply::json(&TriggerToken { token })
}
