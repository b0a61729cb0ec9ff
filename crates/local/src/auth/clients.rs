//! Endpoints about clients.

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use taskgraft_core::api::auth::{Client, CreateClientRequest, CreateClientResponse, ListClientsResponse};
use taskgraft_core::scopes::{self, ScopeExpression};

use super::directory::{Directory, stored_scopes};
use super::root::draw_token;
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};

const MAX_PAGE: usize = 1000;

pub(super) async fn list(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let page = Page::of(call, MAX_PAGE)?;
    let prefix = call.query("prefix").unwrap_or_default();
    let directory = ctx.auth.directory();
    let from = page.after.as_deref().unwrap_or_default();
    let after = directory.clients().range(from.to_owned()..).map(|(_, client)| client);
    let wanted = after.filter(|client| client.client_id.starts_with(prefix) && client.client_id != from);
    let rows: Vec<_> = wanted.take(page.limit + 1).collect();
    let (rows, continuation_token) = page.cut(rows, |client| client.client_id.clone());
    let clients = rows.into_iter().map(|client| directory.show_client(client)).collect();
    Reply::json(&ListClientsResponse { clients, continuation_token })
}

pub(super) async fn get(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    Reply::json(&shown(&directory, call.param("clientId"))?)
}

/// Creates, or answers with what there is when it is what was asked for.
pub(super) async fn create(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (client_id, mut asked) = asked(call)?;
    let given = asked.scopes.get_or_insert_default();
    let needed = given.iter().cloned().map(ScopeExpression::Scope);
    let may_create = ScopeExpression::Scope(format!("auth:create-client:{client_id}"));
    call.authorize(ScopeExpression::AllOf(std::iter::once(may_create).chain(needed).collect()))?;
    given.sort_unstable_by(|a, b| scopes::compare(a, b));
    let directory = ctx.auth.directory();
    if let Some(known) = directory.clients().get(&client_id) {
        let same = known.description == asked.description
            && known.expires == asked.expires.0
            && asked.scopes.as_ref() == Some(&known.scopes)
            && known.delete_on_expiration == asked.delete_on_expiration
            && !known.disabled;
        return if same { answer_with_token(ctx, &client_id) } else { Err(exists()) };
    }
    let (id, now) = (client_id.clone(), ctx.now());
    change(ctx, move |tx| insert(tx, &id, &asked, now)).await?;
    tracing::info!(client = call.client_id(), %client_id, "created a client");
    answer_with_token(ctx, &client_id)
}

fn insert(tx: &Transaction<'_>, client_id: &str, asked: &CreateClientRequest, now: Timestamp) -> Result<(), ApiError> {
    let now = now.as_millisecond();
    let mut insert = tx.prepare_cached(
        "INSERT INTO clients (client_id, access_token, description, scopes, expires, created, last_modified, \
         last_date_used, last_rotated, delete_on_expiration, disabled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6, ?6, ?7, 0) ON CONFLICT DO NOTHING",
    )?;
    let rows = insert.execute(params![
        client_id,
        draw_token(),
        asked.description,
        stored_scopes(asked.scopes.as_deref().unwrap_or_default()),
        asked.expires.epoch(),
        now,
        asked.delete_on_expiration,
    ])?;
    if rows == 0 { Err(exists()) } else { Ok(()) }
}

pub(super) async fn update(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (client_id, mut asked) = asked(call)?;
    let directory = ctx.auth.directory();
    let known = directory.clients().get(&client_id).ok_or_else(not_found)?;
    let added = asked.scopes.iter().flatten().filter(|scope| !known.scopes.contains(scope)).cloned();
    let may_update = ScopeExpression::Scope(format!("auth:update-client:{client_id}"));
    let needed = std::iter::once(may_update).chain(added.map(ScopeExpression::Scope)).collect();
    call.authorize(ScopeExpression::AllOf(needed))?;
    if let Some(given) = &mut asked.scopes {
        given.sort_unstable_by(|a, b| scopes::compare(a, b));
    }
    let (id, now, before) = (client_id.clone(), ctx.now().as_millisecond(), stored_scopes(&known.scopes));
    change(ctx, move |tx| {
        // The scopes that were compared with must still be the ones that are there.
        let mut updated = tx.prepare_cached(
            "UPDATE clients SET description = ?2, expires = ?3, delete_on_expiration = ?4, scopes = coalesce(?5, scopes), \
             last_modified = ?6 WHERE client_id = ?1 AND scopes = ?7",
        )?;
        let scopes = asked.scopes.as_deref().map(stored_scopes);
        let expires = asked.expires.epoch();
        let deleted = asked.delete_on_expiration;
        match updated.execute(params![id, asked.description, expires, deleted, scopes, now, before])? {
            0 => Err(ApiError::conflict("The client was changed at the same time")),
            _ => Ok(()),
        }
    })
    .await?;
    tracing::info!(client = call.client_id(), %client_id, "changed a client");
    Reply::json(&shown(&ctx.auth.directory(), &client_id)?)
}

pub(super) async fn reset(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let client_id = changeable(call)?;
    let (id, now) = (client_id.clone(), ctx.now().as_millisecond());
    change(ctx, move |tx| {
        let mut update = tx.prepare_cached(
            "UPDATE clients SET access_token = ?2, last_rotated = ?3, last_modified = ?3 WHERE client_id = ?1",
        )?;
        if update.execute(params![id, draw_token(), now])? == 0 { Err(not_found()) } else { Ok(()) }
    })
    .await?;
    tracing::info!(client = call.client_id(), %client_id, "gave a client a new access token");
    answer_with_token(ctx, &client_id)
}

pub(super) async fn switch(ctx: &Ctx, call: &mut Call, disabled: bool) -> Result<Reply, ApiError> {
    let client_id = changeable(call)?;
    let (id, now) = (client_id.clone(), ctx.now().as_millisecond());
    change(ctx, move |tx| {
        let mut update =
            tx.prepare_cached("UPDATE clients SET disabled = ?2, last_modified = ?3 WHERE client_id = ?1")?;
        if update.execute(params![id, disabled, now])? == 0 { Err(not_found()) } else { Ok(()) }
    })
    .await?;
    tracing::info!(client = call.client_id(), %client_id, disabled, "switched a client");
    Reply::json(&shown(&ctx.auth.directory(), &client_id)?)
}

/// Deletes; that there is none is as good.
pub(super) async fn delete(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let client_id = changeable(call)?;
    let id = client_id.clone();
    change(ctx, move |tx| {
        tx.prepare_cached("DELETE FROM clients WHERE client_id = ?1")?.execute([id])?;
        Ok(())
    })
    .await?;
    tracing::info!(client = call.client_id(), %client_id, "deleted a client");
    Ok(Reply::empty())
}

/// Writes, and judges by the result from then on.
pub(super) async fn change<F>(ctx: &Ctx, work: F) -> Result<(), ApiError>
where
    F: FnOnce(&Transaction<'_>) -> Result<(), ApiError> + Send + 'static,
{
    let (loader, user) = (ctx.auth.clone(), ctx.auth.clone());
    let work = move |tx: &Transaction<'_>| {
        work(tx)?;
        Ok(((), loader.reloaded(tx)?))
    };
    ctx.store.write_then(work, move |directory| user.replace(directory)).await
}

/// The client named in the URL, unless it can't be changed over the API.
fn changeable(call: &Call) -> Result<String, ApiError> {
    let client_id = call.param("clientId");
    if client_id.starts_with("static/") {
        return Err(ApiError::input(format!(
            "clientId \"{client_id}\" starts with \"static/\" which is reserved for statically configured clients. \
             Contact your administrator to change static clients."
        )));
    }
    Ok(client_id.to_owned())
}

fn asked(call: &Call) -> Result<(String, CreateClientRequest), ApiError> {
    let client_id = changeable(call)?;
    let asked: CreateClientRequest = call.input()?;
    refuse_double_stars(asked.scopes.as_deref().unwrap_or_default())?;
    Ok((client_id, asked))
}

/// `a**` would be read as covering `a*` by some and `a` by others.
pub(super) fn refuse_double_stars(scopes: &[String]) -> Result<(), ApiError> {
    match scopes.iter().any(|scope| scope.ends_with("**")) {
        true => Err(ApiError::input("scopes must not end with `**`")),
        false => Ok(()),
    }
}

fn shown(directory: &Directory, client_id: &str) -> Result<Client, ApiError> {
    directory.clients().get(client_id).map(|client| directory.show_client(client)).ok_or_else(not_found)
}

fn answer_with_token(ctx: &Ctx, client_id: &str) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let client = directory.clients().get(client_id).ok_or_else(not_found)?;
    Reply::json(&CreateClientResponse {
        client: directory.show_client(client),
        access_token: client.access_token.clone(),
    })
}

fn not_found() -> ApiError {
    ApiError::not_found("Client not found")
}

fn exists() -> ApiError {
    ApiError::conflict("Client already exists")
}
