//! The action that a push itself offers for adding jobs.

use serde::Deserialize;
use taskgraft_engine::{Artifacts, Push, Wanted};

/// The most bytes of actions.json that are read.
const MAX_BYTES: u64 = 16 << 20;
/// The action's name, as the reference and its users call it.
const ADD: &str = "add-new-jobs";

/// A hook that adds jobs, and what it takes to trigger it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddHook {
    /// The action's name.
    pub(crate) action: String,
    /// The one scope that is needed.
    pub(crate) scope: String,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    hook_group_id: Option<String>,
    hook_id: Option<String>,
}

/// The hook by which somebody without the right to create tasks can add jobs. It is only a hint: where it can't be
/// had, there is none.
pub(crate) async fn add_hook(artifacts: &Artifacts, push: &Push) -> Option<AddHook> {
    let wanted = Wanted { task: push.decision?, run: None, name: "public/actions.json", max: MAX_BYTES };
    let bytes = artifacts.read(wanted).await.ok()?;
    find(serde_json::from_slice(&bytes).ok()?)
}

fn find(file: File) -> Option<AddHook> {
    let action = file.actions.into_iter().find(|action| action.kind == "hook" && action.name == ADD)?;
    let (group, id) = (action.hook_group_id?, action.hook_id?);
    // The last part is a hash of .taskcluster.yml, which people's scopes leave open.
    let id = id.rsplit_once('/').map_or_else(|| id.clone(), |(id, _)| format!("{id}/*"));
    Some(AddHook { action: action.name, scope: format!("hooks:trigger-hook:{group}/{id}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_leaves_the_hash_open() {
        let file = r#"{"version": 1, "variables": {}, "actions": [
            {"kind": "task", "name": "add-new-jobs", "task": {}},
            {"kind": "hook", "name": "add-new-jobs", "hookGroupId": "project-lander",
             "hookId": "in-tree-action-3-generic/3353380a2b"}]}"#;
        let hook = find(serde_json::from_str(file).unwrap()).unwrap();
        assert_eq!(hook.scope, "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*");
    }
}
