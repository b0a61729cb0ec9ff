use super::*;
use crate::scopes::{Roles, satisfies};
use serde_json::json;

fn setup(file: &Value, repositories: &[&str]) -> Result<Setup, SetupError> {
    permitting(file, repositories, &[])
}

fn permitting(file: &Value, repositories: &[&str], permissions: &[&str]) -> Result<Setup, SetupError> {
    let permissions: Vec<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
    let repositories: Vec<String> = repositories.iter().map(|url| (*url).to_owned()).collect();
    let site = Site {
        trust_domain: "lander",
        repositories: &repositories,
        taskcluster_yml: file,
        hook_hash: "0123456789",
        permissions: &permissions,
    };
    site.setup()
}

fn file(more: Value) -> Value {
    let mut file = json!({"version": 1, "tasks": [{"payload": "${tasks_for}"}]});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file
}

fn ids(setup: &Setup) -> Vec<&str> {
    setup.hooks.iter().map(|hook| hook.id.as_str()).collect()
}

const LANDER: &str = "https://github.com/example/lander";

#[test]
fn there_is_a_hook_for_each_permission_and_level() {
    let setup = setup(&file(json!({})), &[LANDER]).unwrap();
    let mut expected = Vec::new();
    for permission in ["generic", "rebuild-cached-tasks", "retrigger-decision"] {
        expected.extend([1, 2, 3].map(|level| format!("in-tree-action-{level}-{permission}/0123456789")));
    }
    assert_eq!(ids(&setup), expected);
    assert!(setup.hooks.iter().all(|hook| hook.group == "project-lander"));
}

#[test]
fn a_projects_own_permissions_have_hooks_and_roles_as_the_known_ones_have() {
    let setup = permitting(&file(json!({})), &[LANDER], &["release-promotion", "generic"]).unwrap();
    assert_eq!(ids(&setup).len(), 12);
    let id = "in-tree-action-3-release-promotion/0123456789";
    let hook = setup.hooks.iter().find(|hook| hook.id == id).unwrap();
    assert!(hook.request.task.to_string().contains("release-promotion"), "the callback is the permission");
    let roles = setup.roles.iter().map(|role| (role.id.as_str(), role.request.scopes.clone()));
    let roles = Roles::new(roles).expect("no role contains itself");
    let can = |hook: &str, scope: &str| {
        satisfies(&roles.expand([format!("assume:hook-id:project-lander/{hook}").as_str()]).unwrap(), scope)
    };
    let promotes = "assume:repo:github.com/example/lander:action:release-promotion";
    assert!(can(id, promotes) && can("in-tree-action-3-retrigger-decision/0123456789", promotes));
    assert!(!can("in-tree-action-3-generic/0123456789", promotes));
    for odd in ["", "A", "a*", "a/b", &"a".repeat(41)] {
        let refused = permitting(&file(json!({})), &[LANDER], &[odd]);
        assert!(matches!(refused, Err(SetupError::Permission(_))), "{odd}");
    }
}

#[test]
fn pull_requests_have_hooks_where_policy_and_file_say_so() {
    let knows = json!([{"$if": "tasks_for == 'pr-action'", "then": {}}]);
    let has = |more: Value| {
        let setup = setup(&file(more), &[LANDER]).unwrap();
        ids(&setup).iter().filter(|id| id.starts_with("in-tree-pr-action-1-")).count()
    };
    assert_eq!(has(json!({"policy": {"pullRequests": "public"}, "tasks": knows})), 3);
    assert_eq!(has(json!({"policy": {"pullRequests": "public"}})), 0);
    assert_eq!(has(json!({"tasks": knows})), 0);
}

#[test]
fn roles_lead_from_hooks_and_pushes_to_what_tasks_need_and_no_further() {
    let knows = json!([{"$if": "tasks_for == 'pr-action'", "then": {}}]);
    let setup = setup(&file(json!({"policy": {"pullRequests": "public"}, "tasks": knows})), &[LANDER]).unwrap();
    let roles = setup.roles.iter().map(|role| (role.id.as_str(), role.request.scopes.clone()));
    let roles = Roles::new(roles).expect("no role contains itself");
    let expand = |scope: &str| roles.expand([scope]).unwrap();
    let hook = |id: &str| expand(&format!("assume:hook-id:project-lander/{id}"));
    let generic = hook("in-tree-action-3-generic/0123456789");
    for needed in [
        "assume:repo:github.com/example/lander:action:generic",
        "queue:scheduler-id:lander-level-3",
        "queue:create-task:highest:proj-lander/decision",
        "queue:route:index.lander.v2.lander.latest.x",
    ] {
        assert!(satisfies(&generic, needed), "{needed}");
    }
    for other in [
        "assume:repo:github.com/example/lander:branch:main",
        "assume:repo:github.com/example/lander:action:retrigger-decision",
        "assume:repo:github.com/example/other:action:generic",
        "queue:scheduler-id:other-level-3",
    ] {
        assert!(!satisfies(&generic, other), "{other}");
    }
    let clone = hook("in-tree-action-3-retrigger-decision/0123456789");
    assert!(satisfies(&clone, "assume:repo:github.com/example/lander:branch:main"));
    let branch = expand("assume:repo:github.com/example/lander:branch:main");
    assert!(satisfies(&branch, "in-tree:hook-action:project-lander/in-tree-action-3-generic/0123456789"));
    let pull = expand("assume:repo:github.com/example/lander:pull-request");
    assert!(satisfies(&pull, "in-tree:hook-action:project-lander/in-tree-pr-action-1-generic/0123456789"));
    for scopes in [pull, hook("in-tree-pr-action-1-retrigger-decision/0123456789")] {
        assert!(satisfies(&scopes, "queue:scheduler-id:lander-level-1"));
        assert!(!satisfies(&scopes, "queue:scheduler-id:lander-level-3"), "pull requests stay at level 1");
        assert!(satisfies(&scopes, "queue:route:tc-treeherder.v2.lander-pr.a1b2c3.42"));
        assert!(!satisfies(&scopes, "queue:route:tc-treeherder.v2.lander.a1b2c3.42"), "that is where pushes are told");
        assert!(!satisfies(&scopes, "index:insert-task:lander.v2.x"));
        assert!(!satisfies(&scopes, "in-tree:hook-action:project-lander/in-tree-action-3-generic/0123456789"));
    }
}

#[test]
fn repositories_and_files_that_can_not_be_used_are_named() {
    assert!(matches!(setup(&file(json!({})), &[]), Err(SetupError::NoRepository(_))));
    for url in ["http://x/y", "git@github.com:a/b", "https://", "https://x/*", "https://x/a b", "https://x/ä"] {
        assert!(matches!(setup(&file(json!({})), &[url]), Err(SetupError::Repository(_))), "{url}");
    }
    for bad in [json!({"version": 0}), json!({"tasks": null}), json!({"tasks": []})] {
        assert!(matches!(setup(&file(bad), &[LANDER]), Err(SetupError::InTree(_))));
    }
}
