//! In-tree actions: how a project's `.taskcluster.yml` makes an action task, through a hook or without one.
//!
//! ```text
//! actions.json ─► {decision, user} ─► hook `in-tree-action-<level>-<permission>/<hash>` ─► .taskcluster.yml ─► task
//! ```
//!
//! The hooks' names and payloads, and what `.taskcluster.yml` is rendered with, are those of Taskcluster's deployments
//! (wire.md, "In-tree hooks"). Whatever comes from a push or its askers is data there, never a template's text.

use ring::digest;
use serde_json::{Map, Value, json};

/// The name under which the file's tasks are, in the hook's template, once rendered.
const RENDERED: &str = "taskclusterYmlTasks";

/// A `.taskcluster.yml` that makes no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InTreeError {
    /// It is of another version.
    #[error("read .taskcluster.yml: its version is not 1")]
    Version,
    /// It lacks `tasks`.
    #[error("read .taskcluster.yml: `tasks` must be a list with one template, or a template of a list")]
    Tasks,
}

/// By which of a project's roles an action acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The repository's own pushes.
    Push,
    /// Pull requests to it.
    PullRequest,
}

impl Side {
    /// Which side a decision task is on, by its parameter `tasks_for`.
    #[must_use]
    pub fn of(tasks_for: &str) -> Self {
        if tasks_for.starts_with("github-pull-request") { Self::PullRequest } else { Self::Push }
    }

    /// What hook ids begin with.
    fn hook(self) -> &'static str {
        match self {
            Self::Push => "in-tree-action",
            Self::PullRequest => "in-tree-pr-action",
        }
    }

    /// What stands between the repository and the permission in a role's name.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Push => "action",
            Self::PullRequest => "pr-action",
        }
    }
}

/// By which part of a hook's name a version of `.taskcluster.yml` is told: ten hexadecimal digits of its SHA-256.
#[must_use]
pub fn hook_hash(taskcluster_yml: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, taskcluster_yml);
    hash.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// The hooks' group of a project.
#[must_use]
pub fn hook_group(trust_domain: &str) -> String {
    format!("project-{trust_domain}")
}

/// The hook of a permission at a level, for one version of `.taskcluster.yml`.
#[must_use]
pub fn hook_id(side: Side, level: &str, permission: &str, hash: &str) -> String {
    format!("{}-{level}-{permission}/{hash}", side.hook())
}

/// The template that a hook of the permission renders: `.taskcluster.yml` in the context of an action, which the hook's
/// payload tells. The callback of all but generic actions is the permission itself, whatever the payload says.
///
/// # Errors
/// If the file has no tasks.
pub fn hook_task(taskcluster_yml: &Value, side: Side, permission: &str) -> Result<Value, InTreeError> {
    let cb_name = if permission == super::table::GENERIC {
        json!("${payload.decision.action.cb_name}")
    } else {
        escaped(permission.into())
    };
    let url = match side {
        Side::Push => "payload.decision.repository.url[8:]",
        Side::PullRequest => "payload.decision.repository.base_url[8:]",
    };
    let scope = format!("assume:repo:${{{url}}}:{}:", side.role());
    let Value::String(permission) = escaped(permission.into()) else { return Err(InTreeError::Tasks) };
    let context = json!({
        "tasks_for": match side { Side::Push => "action", Side::PullRequest => "pr-action" },
        "action": {
            "name": "${payload.decision.action.name}",
            "title": "${payload.decision.action.title}",
            "description": "${payload.decision.action.description}",
            "taskGroupId": "${payload.decision.action.taskGroupId}",
            "symbol": "${payload.decision.action.symbol}",
            "repo_scope": format!("{scope}{permission}"),
            "action_perm": permission,
            "cb_name": cb_name,
        },
        "push": {"$eval": "payload.decision.push"},
        "repository": {"$eval": "payload.decision.repository"},
        "parameters": {"$if": "'parameters' in payload.decision", "then": {"$eval": "payload.decision.parameters"}, "else": {}},
        "input": {"$eval": "payload.user.input"},
        "taskId": {"$eval": "payload.user.taskId"},
        "taskGroupId": {"$eval": "payload.user.taskGroupId"},
        "ownTaskId": {"$eval": "taskId"},
        "clientId": {"$eval": "clientId"},
    });
    first_task(taskcluster_yml, context)
}

/// What a hook's payload must be.
#[must_use]
pub fn trigger_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {
            "decision": {
                "type": "object",
                "properties": {
                    "action": {
                        "type": "object",
                        "properties": {
                            "name": text, "title": text, "description": text, "taskGroupId": text, "symbol": text,
                            "cb_name": text,
                        },
                        "required": ["name", "title", "description", "taskGroupId", "symbol", "cb_name"],
                    },
                    "repository": {"type": "object", "properties": {"url": text}, "required": ["url"]},
                    "push": {"type": "object"},
                    "parameters": {"type": "object"},
                },
                "required": ["action", "repository", "push"],
                "additionalProperties": false,
            },
            "user": {
                "type": "object",
                "properties": {"input": {}, "taskId": {"type": ["string", "null"]}, "taskGroupId": text},
                "required": ["input", "taskId", "taskGroupId"],
                "additionalProperties": false,
            },
        },
        "required": ["decision", "user"],
        "additionalProperties": false,
    })
}

/// The template of an action task that needs no hook: what `decision` (an actions.json entry's
/// `hookPayload.decision`) and `permission` tell is written into it, what an asker tells is its context: `input`,
/// `taskId`, `taskGroupId`, `ownTaskId`, and `clientId` where it is known.
///
/// # Errors
/// If the file has no tasks.
pub(super) fn task_template(
    taskcluster_yml: &Value,
    side: Side,
    decision: &Value,
    permission: &str,
) -> Result<Value, InTreeError> {
    let mut action = decision.get("action").cloned().unwrap_or_default();
    let url = match side {
        Side::Push => decision.pointer("/repository/url"),
        Side::PullRequest => decision.pointer("/repository/base_url"),
    };
    let url = url.and_then(Value::as_str).unwrap_or_default();
    if let Value::Object(fields) = &mut action {
        let repository = url.get(8..).unwrap_or_default();
        let scope = format!("assume:repo:{repository}:{}:{permission}", side.role());
        fields.insert("repo_scope".to_owned(), scope.into());
        fields.insert("action_perm".to_owned(), permission.into());
    }
    let part = |name: &str| escaped(decision.get(name).cloned().unwrap_or_default());
    let context = json!({
        "tasks_for": match side { Side::Push => "action", Side::PullRequest => "pr-action" },
        "action": escaped(action),
        "push": part("push"),
        "repository": part("repository"),
        "parameters": {},
        "clientId": {"$if": "defined('clientId')", "then": {"$eval": "clientId"}, "else": ""},
    });
    first_task(taskcluster_yml, context)
}

/// The first of the file's tasks in a context.
fn first_task(taskcluster_yml: &Value, context: Value) -> Result<Value, InTreeError> {
    if taskcluster_yml.get("version") != Some(&json!(1)) {
        return Err(InTreeError::Version);
    }
    let task = match taskcluster_yml.get("tasks") {
        Some(Value::Array(tasks)) if tasks.len() == 1 => tasks[0].clone(),
        // Which of them an action makes shows only when they are rendered.
        Some(tasks @ (Value::Array(_) | Value::Object(_))) if tasks != &json!([]) => {
            json!({"$let": {RENDERED: tasks}, "in": {"$eval": format!("{RENDERED}[0]")}})
        }
        Some(_) | None => return Err(InTreeError::Tasks),
    };
    Ok(json!({"$let": context, "in": task}))
}

/// Data as a template that renders to it. Its keys are ours.
pub(super) fn escaped(data: Value) -> Value {
    match data {
        Value::String(text) => text.replace("${", "$${").into(),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, escaped(value))).collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => data,
    }
}
