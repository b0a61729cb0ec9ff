//! Setting a project up, again and again.

use taskgraft_core::action::setup::{Setup, Site as ProjectSite};
use taskgraft_core::api::auth::CreateRoleRequest;
use taskgraft_engine::{Installed, Project, install};
use taskgraft_testkit::recorded::workspace;

use crate::site::Site;

fn setup() -> Setup {
    let root = workspace().join("examples/lander/taskcluster");
    let project = Project::read(&root).unwrap();
    let file = project.taskcluster_yml(&root).unwrap();
    let site = ProjectSite {
        trust_domain: &project.trust_domain,
        repositories: &project.repositories,
        taskcluster_yml: &file.content,
        hook_hash: &file.hash,
        permissions: &project.permissions,
    };
    site.setup().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_not_there_is_made() {
    let site = Site::start().await;
    let client = site.client();
    let setup = setup();
    let first = install(&client, &setup).await.unwrap();
    assert_eq!((first.roles.len(), first.hooks.len()), (setup.roles.len(), setup.hooks.len()));
    assert_eq!(install(&client, &setup).await.unwrap(), Installed::default());

    // Somebody took a scope away and gave another; somebody changed a hook, and removed one.
    let id = "project:lander:tasks";
    let role = client.auth().role(id).await.unwrap();
    let mut scopes: Vec<String> = role.scopes.into_iter().filter(|scope| scope != "queue:route:*").collect();
    scopes.push("secrets:get:lander".to_owned());
    client.auth().update_role(id, &CreateRoleRequest { description: role.description, scopes }).await.unwrap();
    let (changed, removed) = (&setup.hooks[0], &setup.hooks[1]);
    let mut request = changed.request.clone();
    request.task = serde_json::json!({});
    client.hooks().update_hook(&changed.group, &changed.id, &request).await.unwrap();
    client.hooks().remove_hook(&removed.group, &removed.id).await.unwrap();
    let again = install(&client, &setup).await.unwrap();
    assert_eq!(again.roles, [id]);
    assert_eq!(again.hooks, [changed, removed].map(|hook| format!("{}/{}", hook.group, hook.id)));
    let scopes = client.auth().role(id).await.unwrap().scopes;
    for scope in ["queue:route:*", "secrets:get:lander"] {
        assert!(scopes.iter().any(|have| have == scope), "{scope}");
    }
    assert_eq!(client.hooks().hook(&changed.group, &changed.id).await.unwrap().task, changed.request.task);
}
