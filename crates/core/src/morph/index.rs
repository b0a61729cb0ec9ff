//! Index tasks: the queue takes at most 64 routes, so a task with more of them leaves its index routes to a task of
//! its own that inserts them.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::config::GraphConfig;
use super::{MorphError, added, needed};
use crate::ids::TaskId;
use crate::json;
use crate::optimize::FinalTask;

/// The most routes that the queue takes.
pub const MAX_ROUTES: usize = 64;

/// Takes the index routes from each of `tasks` that has more than 64 routes, and gives the tasks that insert them.
///
/// # Errors
///
/// The graph configuration or a definition lacks what is needed.
pub fn index_tasks(
    tasks: &mut [FinalTask],
    config: &GraphConfig,
    level: &str,
    new_id: &dyn Fn(&FinalTask) -> TaskId,
) -> Result<Vec<FinalTask>, MorphError> {
    let has_too_many = |task: &&mut FinalTask| routes(task).is_some_and(|routes| routes.len() > MAX_ROUTES);
    let parents = tasks.iter_mut().filter(has_too_many);
    parents.map(|parent| index_task(parent, config, level, new_id)).collect()
}

fn routes(task: &FinalTask) -> Option<&Vec<Value>> {
    task.definition.get("routes").and_then(Value::as_array)
}

fn index_task(
    parent: &mut FinalTask,
    config: &GraphConfig,
    level: &str,
    new_id: &dyn Fn(&FinalTask) -> TaskId,
) -> Result<FinalTask, MorphError> {
    let paths = take_index_paths(parent);
    let label = format!("index-task-{}", parent.task.label);
    let worker = config.worker_type("misc", level)?;
    let deadline = needed(parent, "/deadline")?;
    let description = needed(parent, "/metadata/description")?.as_str().unwrap_or_default();
    let command = std::iter::once("insert-indexes.js").chain(paths.iter().map(String::as_str));
    let definition = json!({
        "provisionerId": worker.provisioner_id,
        "workerType": worker.worker_type,
        "dependencies": [parent.task_id],
        "created": {"relative-datestamp": "0 seconds"},
        "deadline": deadline,
        // It has no use once its parent is overdue.
        "expires": deadline,
        "metadata": {
            "name": label,
            "description": format!("index-task for {description}"),
            "owner": needed(parent, "/metadata/owner")?,
            "source": needed(parent, "/metadata/source")?,
        },
        "scopes": scopes(&paths, &config.index_path_regexes()?),
        "payload": {
            "image": {
                "path": "public/image.tar.zst",
                "namespace": "taskgraph.cache.level-3.docker-images.v2.index-task.latest",
                "type": "indexed-image",
            },
            "features": {"taskclusterProxy": true},
            "maxRunTime": 600,
            "command": command.collect::<Vec<_>>(),
            "env": {
                "TARGET_TASKID": parent.task_id,
                "INDEX_RANK": rank(&parent.definition),
            },
        },
    });
    Ok(added(&label, new_id(parent), &[("parent".to_owned(), parent.task_id)], definition))
}

/// The paths of the task's index routes, which are taken from it.
fn take_index_paths(task: &mut FinalTask) -> Vec<String> {
    let Some(routes) = task.definition.get_mut("routes").and_then(Value::as_array_mut) else { return Vec::new() };
    let path = |route: &Value| route.as_str().and_then(|route| route.strip_prefix("index.")).map(str::to_owned);
    let paths = routes.iter().filter_map(path).collect();
    routes.retain(|route| path(route).is_none());
    paths
}

/// The scopes to insert at `paths`, summarised: temporary credentials hold only so many.
fn scopes(paths: &[String], shorten: &[Regex]) -> BTreeSet<String> {
    let kept = |path: &String| {
        let found = shorten.iter().find_map(|regex| regex.captures(path));
        found.map_or(path.clone(), |found| format!("{}*", found.get(1).map_or("", |group| group.as_str())))
    };
    paths.iter().map(|path| format!("index:insert-task:{}", kept(path))).collect()
}

/// `extra.index.rank` as Python's `str` writes it, or 0.
fn rank(definition: &Value) -> String {
    match definition.pointer("/extra/index/rank") {
        None => "0".to_owned(),
        Some(Value::Null) => "None".to_owned(),
        Some(Value::Bool(true)) => "True".to_owned(),
        Some(Value::Bool(false)) => "False".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Number(_) | Value::Array(_) | Value::Object(_))) => json::to_string_sorted(other),
    }
}
