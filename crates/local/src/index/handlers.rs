//! The index's endpoints, but for artifacts.

use taskgraft_core::api::index::{
    FindTasksAtIndexRequest, IndexedTask, InsertTaskRequest, ListNamespacesResponse, ListTasksResponse,
};
use taskgraft_core::scopes::ScopeExpression;

use super::ops;
use crate::Ctx;
use crate::http::{ApiError, Call, Page, Reply};

const MAX_PAGE: usize = 1000;

/// How many paths `findTasksAtIndex` takes at once.
const MAX_PATHS: usize = 10_000;

pub(super) async fn find_task(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    Reply::json(&found(ctx, call.param("indexPath")).await?)
}

/// The entry at a path, or 404.
pub(super) async fn found(ctx: &Ctx, path: &str) -> Result<IndexedTask, ApiError> {
    let (path, now) = (path.to_owned(), ctx.now());
    let found = ctx.store.read(move |tx| Ok::<_, ApiError>(ops::find(tx, &path, now)?)).await?;
    found.ok_or_else(|| ApiError::not_found("Indexed task not found"))
}

/// What is found, by path; what isn't is left out.
pub(super) async fn find_tasks_at_index(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let FindTasksAtIndexRequest { mut indexes } = call.input()?;
    if indexes.len() > MAX_PATHS {
        return Err(ApiError::input(format!("at most {MAX_PATHS} indexes can be asked for at once")));
    }
    call.authorize(ScopeExpression::all_of(indexes.iter().map(|path| format!("index:find-task:{path}"))))?;
    indexes.sort_unstable();
    indexes.dedup();
    let page = Page::of(call, MAX_PAGE)?;
    let now = ctx.now();
    let answer = ctx.store.read(move |tx| {
        let mut tasks = Vec::new();
        let after = page.after.clone().unwrap_or_default();
        for path in indexes.iter().filter(|path| **path > after) {
            tasks.extend(ops::find(tx, path, now)?);
            if tasks.len() > page.limit {
                break;
            }
        }
        let (tasks, continuation_token) = page.cut(tasks, |last| last.namespace.clone());
        Ok::<_, ApiError>(ListTasksResponse { tasks, continuation_token })
    });
    Reply::json(&answer.await?)
}

pub(super) async fn list_tasks(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (within, page, now) = (call.param("namespace").to_owned(), Page::of(call, MAX_PAGE)?, ctx.now());
    let answer = ctx.store.read(move |tx| {
        let tasks = ops::list(tx, &within, &page, now)?;
        let (tasks, continuation_token) = page.cut(tasks, |last| last_part(&last.namespace));
        Ok::<_, ApiError>(ListTasksResponse { tasks, continuation_token })
    });
    Reply::json(&answer.await?)
}

pub(super) async fn list_namespaces(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let (within, page, now) = (call.param("namespace").to_owned(), Page::of(call, MAX_PAGE)?, ctx.now());
    let answer = ctx.store.read(move |tx| {
        let namespaces = ops::list_namespaces(tx, &within, &page, now)?;
        let (namespaces, continuation_token) = page.cut(namespaces, |last| last.name.clone());
        Ok::<_, ApiError>(ListNamespacesResponse { namespaces, continuation_token })
    });
    Reply::json(&answer.await?)
}

pub(super) async fn insert_task(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let path = call.param("namespace").to_owned();
    if path.len() > ops::MAX_PATH {
        return Err(ApiError::input(format!("an index path has at most {} characters", ops::MAX_PATH)));
    }
    let task: InsertTaskRequest = call.input()?;
    if i32::try_from(task.rank).is_err() {
        return Err(ApiError::input("a rank has at most 32 bits"));
    }
    Reply::json(&ctx.store.write(move |tx| Ok::<_, ApiError>(ops::insert(tx, &path, &task)?)).await?)
}

/// Deletes; that there is none is as good.
pub(super) async fn delete_task(ctx: &Ctx, call: &mut Call) -> Result<Reply, ApiError> {
    let path = call.param("namespace").to_owned();
    ctx.store.write(move |tx| Ok::<_, ApiError>(ops::delete(tx, &path)?)).await?;
    Reply::json(&serde_json::json!({}))
}

/// Forgets what has expired.
pub(crate) async fn purge(ctx: &Ctx) -> Result<(), ApiError> {
    let now = ctx.now();
    let purged = ctx.store.write(move |tx| Ok::<_, ApiError>(ops::purge(tx, now)?)).await?;
    tracing::debug!(purged, "forgot what expired in the index");
    Ok(())
}

fn last_part(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_owned()
}
