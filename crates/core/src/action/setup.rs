//! What a project needs on a Taskcluster so that its actions can be asked for: the roles of its repositories, and the
//! hooks of its `.taskcluster.yml`, named as deployments name them (wire.md, "In-tree hooks").
//!
//! ```text
//! decision task ──assume:repo:R:branch:B──► in-tree:hook-action:project-T/in-tree-action-*
//! hook project-T/in-tree-action-L-P/HASH ──role──► assume:repo:R:action:P ──role──► what the project's tasks need
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use super::in_tree::{self, InTreeError, Side};
use super::table::ACTIONS;
use crate::api::auth::CreateRoleRequest;
use crate::api::hooks::{HookMetadata, HookRequest};

/// The levels that a repository's own pushes can have.
const LEVELS: [&str; 3] = ["1", "2", "3"];
/// The level of pull requests, whose code nobody has looked at.
const PULL_REQUESTS: &str = "1";
/// What a repository's own decision tasks act for.
const DECISIONS: [&str; 4] = ["branch:*", "tag:*", "release:*", "cron:*"];
/// The permission of the action that clones decision, action and cron tasks.
const CLONES: &str = "retrigger-decision";
/// Pull requests' hooks are made for a `.taskcluster.yml` that speaks of what they set `tasks_for` to.
const PR_ACTION: &str = "pr-action";

/// The most characters of a permission.
const MAX_PERMISSION: usize = 40;

/// A project.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Such as `lander`.
    pub trust_domain: &'a str,
    /// The URLs of its repositories, each beginning with `https://`.
    pub repositories: &'a [String],
    /// Its .taskcluster.yml, parsed.
    pub taskcluster_yml: &'a Value,
    /// [`in_tree::hook_hash`] of that file.
    pub hook_hash: &'a str,
    /// Permissions of the project's own actions, beside those of the actions that are known here.
    pub permissions: &'a [String],
}

/// A role, with the scopes that it must have; it may have more.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSetup {
    /// Its id.
    pub id: String,
    /// What it is.
    pub request: CreateRoleRequest,
}

/// A hook.
#[derive(Debug, Clone, PartialEq)]
pub struct HookSetup {
    /// Its group.
    pub group: String,
    /// Its id in the group.
    pub id: String,
    /// What it is.
    pub request: HookRequest,
}

/// All that a project needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Roles first: hooks need them.
    pub roles: Vec<RoleSetup>,
    /// The hooks of this version of `.taskcluster.yml`; those of others stay, for the pushes that name them.
    pub hooks: Vec<HookSetup>,
}

/// Why nothing can be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// It has no repository.
    #[error("set up the project `{0}`: which repository its pushes come from is not known")]
    NoRepository(String),
    /// A repository can't stand in a role's name.
    #[error("set up the repository `{0}`: its URL must begin with https://, and hold neither spaces nor `*`")]
    Repository(String),
    /// A permission can't stand in a hook's name.
    #[error(
        "set up hooks of the permission `{0}`: lower-case letters, digits and `-` are needed, at most {MAX_PERMISSION}"
    )]
    Permission(String),
    /// .taskcluster.yml can't be used.
    #[error(transparent)]
    InTree(#[from] InTreeError),
}

impl Site<'_> {
    /// What the project needs. Its tasks may use every worker and route of the Taskcluster, under its own scheduler ids:
    /// for a Taskcluster of one's own.
    ///
    /// # Errors
    /// If its repositories aren't known, or .taskcluster.yml makes no tasks.
    pub fn setup(&self) -> Result<Setup, SetupError> {
        if self.repositories.is_empty() {
            return Err(SetupError::NoRepository(self.trust_domain.to_owned()));
        }
        let paths = self.repositories.iter().map(|url| path(url)).collect::<Result<BTreeSet<_>, _>>()?;
        let sides: &[Side] = if self.has_pull_requests() { &[Side::Push, Side::PullRequest] } else { &[Side::Push] };
        let permissions = self.permissions()?;
        let mut setup = Setup { roles: vec![self.project(Side::Push, &paths)], hooks: Vec::new() };
        for side in sides {
            if *side == Side::PullRequest {
                setup.roles.push(self.project(*side, &paths));
            }
            setup.roles.extend(paths.iter().flat_map(|path| self.pushes(*side, path)));
            for permission in &permissions {
                setup.roles.extend(paths.iter().map(|path| self.actions(*side, path, permission, &permissions)));
                for level in levels(*side) {
                    setup.roles.push(self.hook_role(*side, level, permission, &paths));
                    setup.hooks.push(self.hook(*side, level, permission)?);
                }
            }
        }
        Ok(setup)
    }

    fn permissions(&self) -> Result<BTreeSet<&str>, SetupError> {
        let fits = |name: &str| {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            plain && (1..=MAX_PERMISSION).contains(&name.len())
        };
        match self.permissions.iter().find(|name| !fits(name)) {
            Some(odd) => Err(SetupError::Permission(odd.chars().take(80).collect())),
            None => {
                let known = ACTIONS.iter().map(|action| action.permission);
                Ok(known.chain(self.permissions.iter().map(String::as_str)).collect())
            }
        }
    }

    /// Whether pull requests may have tasks, and `.taskcluster.yml` makes them for actions.
    fn has_pull_requests(&self) -> bool {
        self.taskcluster_yml.pointer("/policy/pullRequests").is_some_and(Value::is_string)
            && mentions(self.taskcluster_yml, PR_ACTION)
    }

    /// What all tasks of a side need.
    fn project(&self, side: Side, paths: &BTreeSet<String>) -> RoleSetup {
        let domain = self.trust_domain;
        let scheduler = match side {
            Side::Push => format!("{domain}-level-*"),
            Side::PullRequest => format!("{domain}-level-{PULL_REQUESTS}"),
        };
        let mut scopes = vec![
            "queue:create-task:highest:*".to_owned(),
            "queue:create-task:project:*".to_owned(),
            format!("queue:scheduler-id:{scheduler}"),
            "queue:get-artifact:*".to_owned(),
        ];
        for verb in ["cancel-task", "rerun-task", "schedule-task", "cancel-task-group", "seal-task-group"] {
            scopes.push(format!("queue:{verb}:{scheduler}/*"));
        }
        if side == Side::Push {
            scopes.extend(["queue:route:*".to_owned(), format!("index:insert-task:{domain}.*")]);
        } else {
            scopes.push("queue:route:checks".to_owned());
            // Where the reference has pull requests' jobs told to Treeherder: by the name of the repository.
            let name = |path: &String| {
                let name = path.rsplit('/').next().unwrap_or_default();
                name.strip_suffix(".git").unwrap_or(name).to_owned()
            };
            scopes.extend(paths.iter().map(|path| format!("queue:route:tc-treeherder.v2.{}-pr.*", name(path))));
        }
        role(self.project_id(side), format!("What tasks of {domain} need. Add to it what they need besides."), scopes)
    }

    fn project_id(&self, side: Side) -> String {
        match side {
            Side::Push => format!("project:{}:tasks", self.trust_domain),
            Side::PullRequest => format!("project:{}:pull-request-tasks", self.trust_domain),
        }
    }

    /// The roles that decision tasks act by.
    fn pushes(&self, side: Side, path: &str) -> Vec<RoleSetup> {
        let hooks = match side {
            Side::Push => "in-tree-action-*".to_owned(),
            Side::PullRequest => format!("in-tree-pr-action-{PULL_REQUESTS}-*"),
        };
        let scopes = vec![
            format!("assume:{}", self.project_id(side)),
            format!("in-tree:hook-action:{}/{hooks}", in_tree::hook_group(self.trust_domain)),
        ];
        let names: &[&str] = match side {
            Side::Push => &DECISIONS,
            Side::PullRequest => &["pull-request"],
        };
        let described =
            |name: &&str| role(format!("repo:{path}:{name}"), format!("Decision tasks of {path}."), scopes.clone());
        names.iter().map(described).collect()
    }

    /// The role that action tasks of a permission act by.
    fn actions(&self, side: Side, path: &str, permission: &str, all: &BTreeSet<&str>) -> RoleSetup {
        let mut scopes = vec![format!("assume:{}", self.project_id(side))];
        // A clone has its original's scopes, which a role can't have that is one of them.
        if permission == CLONES {
            let names: &[&str] = match side {
                Side::Push => &DECISIONS,
                Side::PullRequest => &["pull-request"],
            };
            scopes.extend(names.iter().map(|name| format!("assume:repo:{path}:{name}")));
            let others = all.iter().filter(|other| **other != CLONES);
            scopes.extend(others.map(|other| format!("assume:repo:{path}:{}:{other}", side.role())));
        }
        let id = format!("repo:{path}:{}:{permission}", side.role());
        role(id, format!("Action tasks of {path} with the permission {permission}."), scopes)
    }

    /// The role of the hooks of a permission at a level, for every version of `.taskcluster.yml`.
    fn hook_role(&self, side: Side, level: &str, permission: &str, paths: &BTreeSet<String>) -> RoleSetup {
        let group = in_tree::hook_group(self.trust_domain);
        let id = format!("hook-id:{group}/{}", in_tree::hook_id(side, level, permission, "*"));
        let scopes = paths.iter().map(|path| format!("assume:repo:{path}:{}:{permission}", side.role())).collect();
        role(id, format!("In-tree action hooks of {} at level {level}.", self.trust_domain), scopes)
    }

    fn hook(&self, side: Side, level: &str, permission: &str) -> Result<HookSetup, SetupError> {
        let id = in_tree::hook_id(side, level, permission, self.hook_hash);
        let metadata = HookMetadata {
            name: id.clone(),
            description: format!(
                "Actions of {} with the permission {permission}, by .taskcluster.yml.",
                self.trust_domain
            ),
            owner: "taskgraft@example.invalid".to_owned(),
            email_on_error: false,
        };
        let request = HookRequest {
            metadata,
            bindings: Some(Vec::new()),
            schedule: Vec::new(),
            task: in_tree::hook_task(self.taskcluster_yml, side, permission)?,
            trigger_schema: in_tree::trigger_schema(),
        };
        Ok(HookSetup { group: in_tree::hook_group(self.trust_domain), id, request })
    }
}

fn levels(side: Side) -> &'static [&'static str] {
    match side {
        Side::Push => &LEVELS,
        Side::PullRequest => &[PULL_REQUESTS],
    }
}

fn role(id: String, description: String, scopes: Vec<String>) -> RoleSetup {
    RoleSetup { id, request: CreateRoleRequest { description, scopes } }
}

/// A repository as roles name it: its URL without the protocol.
fn path(url: &str) -> Result<String, SetupError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'*';
    let path = url.strip_prefix("https://").filter(|path| !path.is_empty() && path.bytes().all(plain));
    path.map(str::to_owned).ok_or_else(|| SetupError::Repository(url.to_owned()))
}

/// Whether a text of `value` holds `word`.
fn mentions(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.contains(word),
        Value::Array(items) => items.iter().any(|item| mentions(item, word)),
        Value::Object(fields) => fields.iter().any(|(key, field)| key.contains(word) || mentions(field, word)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
