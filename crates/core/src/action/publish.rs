//! What a decision task publishes so that people can ask for actions: actions.json, and action.yml.
//!
//! actions.json is the reference's (`taskgraph/actions/registry.py`) with taskgraft's own actions among them. action.yml
//! is what the file of that name was in 2016, made safe: the template of an action task that adds jobs, for those who
//! can create tasks and know nothing of hooks. Then it was text that labels were spliced into; now it is JSON-e.

mod yaml;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::context::TagSets;
use super::in_tree::{self, InTreeError, Side};
use super::table::{ACTIONS, Action, Origin, by_callback};
use crate::params::{Parameters, ParametersError};
use crate::plan::Policy;

/// The action that action.yml is for.
const ADD: &str = "add-new-jobs";
/// Whom the reference names as the owner of action tasks.
const OWNER: &str = "mozilla-taskcluster-maintenance@mozilla.com";

/// Why actions can't be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The parameters lack something.
    #[error("publish actions: {0}")]
    Parameters(#[from] ParametersError),
    /// Names that are no action's.
    #[error(
        "leave out {}: no such action{}; there are {}",
        .unknown.join(", "), if .unknown.len() == 1 { "" } else { "s" }, .known.join(", ")
    )]
    Unknown {
        /// The names.
        unknown: Vec<String>,
        /// The callbacks of all actions.
        known: Vec<&'static str>,
    },
    /// What stands there already is no actions.json.
    #[error("add to actions.json: {0}")]
    Existing(&'static str),
    /// .taskcluster.yml can't be used.
    #[error(transparent)]
    InTree(#[from] InTreeError),
}

/// What published actions depend on.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The push's.
    pub parameters: &'a Parameters,
    /// The project's.
    pub trust_domain: &'a str,
    /// [`in_tree::hook_hash`] of .taskcluster.yml.
    pub hook_hash: &'a str,
    /// The decision task's id, or what stands for it.
    pub decision: &'a str,
    /// Under [`Policy::Reference`] only the reference's actions are published.
    pub policy: Policy,
}

/// The actions to leave out: what config.yml disables, and `more`, by their callbacks.
///
/// A project that registers actions of its own may disable those, whose names nobody knows here.
///
/// # Errors
/// A name that is no action's. The reference refuses these too.
pub fn left_out(
    disabled: &[String],
    registers: bool,
    more: &[String],
    policy: Policy,
) -> Result<BTreeSet<String>, PublishError> {
    let known: Vec<&str> = ACTIONS.iter().filter(|action| published(action, policy)).map(|a| a.cb_name).collect();
    let is_unknown = |name: &&String| !known.contains(&name.as_str());
    let checked: &[String] = if registers { &[] } else { disabled };
    let unknown: BTreeSet<&String> = checked.iter().chain(more).filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(disabled.iter().chain(more).cloned().collect());
    }
    Err(PublishError::Unknown { unknown: unknown.into_iter().cloned().collect(), known })
}

fn published(action: &Action, policy: Policy) -> bool {
    policy == Policy::Graft || action.origin == Origin::Reference
}

impl Publication<'_> {
    /// actions.json, without the actions of these callbacks. Written sorted, it is byte for byte the reference's
    /// under [`Policy::Reference`].
    ///
    /// # Errors
    /// If the parameters lack something.
    pub fn actions_json(&self, without: &BTreeSet<String>) -> Result<Value, PublishError> {
        let wanted =
            ACTIONS.iter().filter(|action| published(action, self.policy) && !without.contains(action.cb_name));
        let entries = wanted.map(|action| self.entry(action)).collect::<Result<Vec<Value>, _>>()?;
        Ok(json!({"version": 1, "variables": {}, "actions": entries}))
    }

    /// action.yml: YAML that holds a JSON-e template of an action task, to be rendered with `input`, `taskId` (null),
    /// `taskGroupId` and `ownTaskId`, as actions.json's actions of kind `task` are.
    ///
    /// # Errors
    /// If the parameters lack something, or .taskcluster.yml has no tasks.
    pub fn action_yml(&self, taskcluster_yml: &Value) -> Result<String, PublishError> {
        let Some(action) = by_callback(ADD) else { return Ok(String::new()) };
        let decision = self.decision(action)?;
        let template = in_tree::task_template(taskcluster_yml, self.side()?, &decision, action.permission)?;
        let head = "# How to add jobs to this push: the definition of an action task, as a JSON-e template.\n\
                    # Parse this file, then render it with {input: {tasks: [LABEL...], times: 1}, taskId: null,\n\
                    # taskGroupId: the decision task's, ownTaskId: the new task's}. Never substitute in its text.\n";
        Ok(format!("{head}{}", yaml::block(&template)))
    }

    fn side(&self) -> Result<Side, PublishError> {
        Ok(Side::of(self.parameters.text("tasks_for")?))
    }

    fn needed(&self, name: &'static str) -> Result<&Value, ParametersError> {
        self.parameters.get(name).ok_or(ParametersError::Bad { name, expected: "given" })
    }

    /// An action as actions.json has it: the reference's `action_builder`.
    fn entry(&self, action: &Action) -> Result<Value, PublishError> {
        let level = self.parameters.level()?;
        let hook_id = in_tree::hook_id(self.side()?, &level, action.permission, self.hook_hash);
        let decision = self.decision(action)?;
        let mut entry = json!({
            "name": action.name,
            "title": action.title,
            "description": action.description,
            "context": TagSets::from(action.context).to_json(),
            "kind": "hook",
            "hookGroupId": in_tree::hook_group(self.trust_domain),
            "hookId": hook_id,
            "hookPayload": {
                // A branch may be called `${input}`, and the payload is a template.
                "decision": match self.policy {
                    Policy::Graft => in_tree::escaped(decision),
                    Policy::Reference => decision,
                },
                "user": {
                    "input": {"$eval": "input"},
                    "taskId": {"$eval": "taskId"},
                    "taskGroupId": {"$eval": "taskGroupId"},
                },
            },
            "extra": {"actionPerm": action.permission},
        });
        if let Some(schema) = action.schema {
            entry["schema"] = schema();
        }
        Ok(entry)
    }

    /// What the hook is told of the action and the push.
    fn decision(&self, action: &Action) -> Result<Value, ParametersError> {
        Ok(json!({
            "action": {
                "name": action.name,
                "title": action.title,
                "description": action.description,
                "taskGroupId": self.decision,
                "cb_name": action.cb_name,
                "symbol": action.symbol,
            },
            "repository": {
                "url": self.needed("head_repository")?,
                "project": self.needed("project")?,
                "level": self.needed("level")?,
                "base_url": self.needed("base_repository")?,
            },
            "push": self.push()?,
        }))
    }

    fn push(&self) -> Result<Value, ParametersError> {
        let mut push = Map::from_iter([
            ("owner".to_owned(), OWNER.into()),
            ("pushlog_id".to_owned(), self.needed("pushlog_id")?.clone()),
            ("revision".to_owned(), self.needed("head_rev")?.clone()),
            ("base_revision".to_owned(), self.needed("base_rev")?.clone()),
        ]);
        let said = |name| self.parameters.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""));
        let (branch, base) = (said("head_ref"), said("base_ref"));
        if let Some(branch) = branch {
            push.insert("branch".to_owned(), branch.clone());
        }
        if let Some(base) = base.filter(|base| Some(*base) != branch) {
            push.insert("base_branch".to_owned(), base.clone());
        }
        Ok(push.into())
    }
}

/// An actions.json that a decision task has written, with taskgraft's own actions of `ours` added, each after the action
/// that it follows in our menus. What stands there stays: actions that the project made up, and what it changed or
/// left out of the reference's. So this may be done again, and a project's own action of a name is never shadowed.
///
/// # Errors
/// If `existing` isn't version 1 of actions.json.
pub fn added_to(existing: Value, ours: &Value) -> Result<Value, PublishError> {
    let Value::Object(mut file) = existing else { return Err(PublishError::Existing("it is no object")) };
    if file.get("version") != Some(&json!(1)) {
        return Err(PublishError::Existing("its version is not 1"));
    }
    let Some(Value::Array(entries)) = file.get_mut("actions") else {
        return Err(PublishError::Existing("it has no list of actions"));
    };
    let mut next = 0;
    for entry in ours["actions"].as_array().into_iter().flatten() {
        let same = |other: &&Value| callback(other).is_some() && callback(other) == callback(entry);
        if let Some(at) = entries.iter().position(|other| same(&other)) {
            next = at + 1;
        } else if is_ours(entry) && !entries.iter().any(|other| other.get("name") == entry.get("name")) {
            entries.insert(next, entry.clone());
            next += 1;
        }
    }
    Ok(Value::Object(file))
}

fn callback(entry: &Value) -> Option<&str> {
    entry.pointer("/hookPayload/decision/action/cb_name")?.as_str()
}

fn is_ours(entry: &Value) -> bool {
    callback(entry).and_then(by_callback).is_some_and(|action| action.origin == Origin::Taskgraft)
}

#[cfg(test)]
mod tests;
