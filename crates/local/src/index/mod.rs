//! The index: names for tasks, so that a later push finds what an earlier one built.

mod artifact;
mod handlers;
pub(crate) mod ops;

pub(crate) use handlers::purge;

use crate::http::{Access, Endpoint, PAGED, Service};

/// What an index path looks like: parts of any of these characters, with dots between.
const PATH: &str = "^([a-zA-Z0-9_!~*'()%-]+\\.)*[a-zA-Z0-9_!~*'()%-]+$";

/// Taskcluster's index service.
pub(crate) const SERVICE: Service =
    Service { name: "index", params: &[("namespace", PATH), ("indexPath", PATH)], endpoints: ENDPOINTS };

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("findTask", "/task/<indexPath>", Access::Scope("index:find-task:<indexPath>"), |ctx, call| Box::pin(handlers::find_task(ctx, call))),
    Endpoint::post("findTasksAtIndex", "/tasks/indexes", Access::Handler, |ctx, call| Box::pin(handlers::find_tasks_at_index(ctx, call))).json("index/v1/list-tasks-at-index.json").query(PAGED),
    Endpoint::get("listNamespaces", "/namespaces/<namespace?>", Access::Scope("index:list-namespaces:<namespace>"), |ctx, call| Box::pin(handlers::list_namespaces(ctx, call))).query(PAGED),
    Endpoint::post("listNamespacesPost", "/namespaces/<namespace?>", Access::Scope("index:list-namespaces:<namespace>"), |ctx, call| Box::pin(handlers::list_namespaces(ctx, call))).json("index/v1/list-namespaces-request.json"),
    Endpoint::get("listTasks", "/tasks/<namespace?>", Access::Scope("index:list-tasks:<namespace>"), |ctx, call| Box::pin(handlers::list_tasks(ctx, call))).query(PAGED),
    Endpoint::post("listTasksPost", "/tasks/<namespace?>", Access::Scope("index:list-tasks:<namespace>"), |ctx, call| Box::pin(handlers::list_tasks(ctx, call))),
    Endpoint::put("insertTask", "/task/<namespace>", Access::Scope("index:insert-task:<namespace>"), |ctx, call| Box::pin(handlers::insert_task(ctx, call))).json("index/v1/insert-task-request.json"),
    Endpoint::delete("deleteTask", "/task/<namespace>", Access::Scope("index:delete-task:<namespace>"), |ctx, call| Box::pin(handlers::delete_task(ctx, call))),
    Endpoint::get("findArtifactFromTask", "/task/<indexPath>/artifacts/<*name>", Access::Scope("queue:get-artifact:<name>"), |ctx, call| Box::pin(artifact::find(ctx, call))),
];
