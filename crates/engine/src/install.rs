//! Setting a project up on a Taskcluster: its roles and hooks, as often as one likes.

use taskgraft_client::{Client, Error};
use taskgraft_core::action::setup::{HookSetup, RoleSetup, Setup};
use taskgraft_core::api::auth::CreateRoleRequest;
use taskgraft_core::api::hooks::{Hook, HookRequest};
use taskgraft_core::scopes::satisfies;

/// What setting up has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// Roles that were made, or lacked some scopes.
    pub roles: Vec<String>,
    /// Hooks that were made, or were others, as `group/id`.
    pub hooks: Vec<String>,
}

impl Installed {
    /// Whether everything was there already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.roles.is_empty() && self.hooks.is_empty()
    }
}

/// Makes what of `setup` isn't there. Scopes that a role has besides stay: somebody has added them.
///
/// # Errors
/// If Taskcluster doesn't answer, or the client may not.
pub async fn install(client: &Client, setup: &Setup) -> Result<Installed, Error> {
    let mut installed = Installed::default();
    for role in &setup.roles {
        if install_role(client, role).await? {
            installed.roles.push(role.id.clone());
        }
    }
    for hook in &setup.hooks {
        if install_hook(client, hook).await? {
            installed.hooks.push(format!("{}/{}", hook.group, hook.id));
        }
    }
    Ok(installed)
}

async fn install_role(client: &Client, wanted: &RoleSetup) -> Result<bool, Error> {
    let auth = client.auth();
    match auth.role(&wanted.id).await {
        Ok(found) => {
            let lacks = wanted.request.scopes.iter().filter(|scope| !satisfies(&found.scopes, scope));
            let lacks: Vec<String> = lacks.cloned().collect();
            if lacks.is_empty() {
                return Ok(false);
            }
            let request = CreateRoleRequest { description: found.description, scopes: [found.scopes, lacks].concat() };
            auth.update_role(&wanted.id, &request).await?;
        }
        Err(error) if error.is_not_found() => drop(auth.create_role(&wanted.id, &wanted.request).await?),
        Err(error) => return Err(error),
    }
    Ok(true)
}

async fn install_hook(client: &Client, wanted: &HookSetup) -> Result<bool, Error> {
    let hooks = client.hooks();
    match hooks.hook(&wanted.group, &wanted.id).await {
        Ok(found) if is_as_wanted(&found, &wanted.request) => return Ok(false),
        Ok(_) => drop(hooks.update_hook(&wanted.group, &wanted.id, &wanted.request).await?),
        Err(error) if error.is_not_found() => {
            drop(hooks.create_hook(&wanted.group, &wanted.id, &wanted.request).await?);
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn is_as_wanted(found: &Hook, wanted: &HookRequest) -> bool {
    found.task == wanted.task
        && found.trigger_schema == wanted.trigger_schema
        && found.metadata == wanted.metadata
        && found.schedule == wanted.schedule
        && wanted.bindings.as_ref().is_none_or(|bindings| *bindings == found.bindings)
}
