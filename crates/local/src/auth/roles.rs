//! Endpoints about roles.

use rusqlite::params;
use taskgraft_core::api::auth::{self, CreateRoleRequest, ListRoleIdsResponse, ListRolesResponse};
use taskgraft_core::scopes::{self, ScopeExpression, satisfies};

use super::clients::{change, refuse_double_stars};
use super::directory::{Directory, Role, stored_scopes};
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};

const MAX_PAGE: usize = 1000;

/// All roles at once, as the oldest of the three ways to list them does.
pub(super) async fn list(ctx: &Ctx) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let roles: Vec<auth::Role> = directory.roles().values().map(|role| directory.show_role(role)).collect();
    Reply::json(&roles)
}

pub(super) async fn list_page(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let (roles, continuation_token) = page(&directory, call)?;
    let roles = roles.into_iter().map(|role| directory.show_role(role)).collect();
    Reply::json(&ListRolesResponse { roles, continuation_token })
}

pub(super) async fn list_ids(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let (roles, continuation_token) = page(&directory, call)?;
    let role_ids = roles.into_iter().map(|role| role.role_id.clone()).collect();
    Reply::json(&ListRoleIdsResponse { role_ids, continuation_token })
}

fn page<'a>(directory: &'a Directory, call: &Call) -> Result<(Vec<&'a Role>, Option<String>), ApiError> {
    let page = Page::of(call, MAX_PAGE)?;
    let from = page.after.clone().unwrap_or_default();
    let after = directory.roles().range(from.clone()..).map(|(_, role)| role).filter(|role| role.role_id != from);
    Ok(page.cut(after.take(page.limit + 1).collect(), |role| role.role_id.clone()))
}

pub(super) async fn get(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let role = directory.roles().get(call.param("roleId")).ok_or_else(|| ApiError::not_found("Role not found"))?;
    Reply::json(&directory.show_role(role))
}

/// Creates, or answers with what there is when it is what was asked for.
pub(super) async fn create(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (role_id, mut asked) = asked(call)?;
    let may_create = ScopeExpression::Scope(format!("auth:create-role:{role_id}"));
    let needed = asked.scopes.iter().cloned().map(ScopeExpression::Scope);
    call.authorize(ScopeExpression::AllOf(std::iter::once(may_create).chain(needed).collect()))?;
    asked.scopes.sort_unstable_by(|a, b| scopes::compare(a, b));
    let exists = ApiError::conflict(format!("Role with roleId '{role_id}' already exists"));
    let directory = ctx.auth.directory();
    if let Some(known) = directory.roles().get(&role_id) {
        let same = known.description == asked.description && known.scopes == asked.scopes;
        return if same { Reply::json(&directory.show_role(known)) } else { Err(exists) };
    }
    let (id, now) = (role_id.clone(), ctx.now().as_millisecond());
    change(ctx, move |tx| {
        let mut insert = tx.prepare_cached(
            "INSERT INTO roles (role_id, description, scopes, created, last_modified) VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT DO NOTHING",
        )?;
        match insert.execute(params![id, asked.description, stored_scopes(&asked.scopes), now])? {
            0 => Err(exists),
            _ => Ok(()),
        }
    })
    .await?;
    tracing::info!(client = call.client_id(), %role_id, "created a role");
    shown(ctx, &role_id)
}

pub(super) async fn update(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (role_id, mut asked) = asked(call)?;
    let directory = ctx.auth.directory();
    let known = directory.roles().get(&role_id).ok_or_else(|| not_found(&role_id))?;
    let former = directory.expand(&known.scopes).map_err(|error| ApiError::input(error.0))?;
    let added = asked.scopes.iter().filter(|scope| !satisfies(&former, scope)).cloned();
    let may_update = ScopeExpression::Scope(format!("auth:update-role:{role_id}"));
    let needed = std::iter::once(may_update).chain(added.map(ScopeExpression::Scope)).collect();
    call.authorize(ScopeExpression::AllOf(needed))?;
    asked.scopes.sort_unstable_by(|a, b| scopes::compare(a, b));
    let (id, now, before) = (role_id.clone(), ctx.now().as_millisecond(), stored_scopes(&known.scopes));
    change(ctx, move |tx| {
        // The scopes that were compared with must still be the ones that are there.
        let mut update = tx.prepare_cached(
            "UPDATE roles SET description = ?2, scopes = ?3, last_modified = ?4 WHERE role_id = ?1 AND scopes = ?5",
        )?;
        match update.execute(params![id, asked.description, stored_scopes(&asked.scopes), now, before])? {
            0 => Err(ApiError::conflict("The role was changed at the same time")),
            _ => Ok(()),
        }
    })
    .await?;
    tracing::info!(client = call.client_id(), %role_id, "changed a role");
    shown(ctx, &role_id)
}

/// Deletes; that there is none is as good.
pub(super) async fn delete(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let role_id = call.param("roleId").to_owned();
    let id = role_id.clone();
    change(ctx, move |tx| {
        tx.prepare_cached("DELETE FROM roles WHERE role_id = ?1")?.execute([id])?;
        Ok(())
    })
    .await?;
    tracing::info!(client = call.client_id(), %role_id, "deleted a role");
    Ok(Reply::empty())
}

fn asked(call: &Call) -> Result<(String, CreateRoleRequest), ApiError> {
    let asked: CreateRoleRequest = call.input()?;
    refuse_double_stars(&asked.scopes)?;
    Ok((call.param("roleId").to_owned(), asked))
}

fn shown(ctx: &Ctx, role_id: &str) -> Result<Reply, ApiError> {
    let directory = ctx.auth.directory();
    let role = directory.roles().get(role_id).ok_or_else(|| not_found(role_id))?;
    Reply::json(&directory.show_role(role))
}

fn not_found(role_id: &str) -> ApiError {
    ApiError::not_found(format!("Role with roleId '{role_id}' not found"))
}
