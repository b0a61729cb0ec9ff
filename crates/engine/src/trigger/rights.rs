//! What asking for an action takes, and who grants what is missing: said before anything is sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures_util::future;
use taskgraft_client::{Client, Error};
use taskgraft_core::api::auth::Role;
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::{self, covers};

use super::offer::Offer;
use super::prepare::{PrepareError, Prepared, Sending};
use crate::preflight;

/// The most roles that are named for one scope.
const MAX_ROLES: usize = 3;

/// Why an action may not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The push itself may not have that done: what it publishes is not to be believed.
    #[error("trust the action `{action}`: the push's decision task lacks {}", .scopes.join(", "))]
    Push {
        /// The action.
        action: String,
        /// What the decision task would have to hold.
        scopes: Vec<String>,
    },
    /// The asker may not.
    #[error("ask for the action: scopes are missing: {}", .0.join(", "))]
    Asker(Vec<String>),
    /// A definition can't be made.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Taskcluster didn't answer.
    #[error("look up what these credentials may do: failed to {0}")]
    Client(#[from] Error),
}

/// What whoever asks has to hold: for a hook the right to trigger it; for a task that is created, which gets no more than
/// the decision task has, all of that.
#[must_use]
pub fn needs(offer: &Offer, prepared: &Prepared) -> Vec<String> {
    match &prepared.sending {
        Sending::Hook { group, id, .. } => vec![format!("hooks:trigger-hook:{group}/{id}")],
        Sending::Task(_) => offer.scopes.clone(),
    }
}

/// Checks that the push may have this done, and that the client's credentials may ask for it.
///
/// # Errors
/// As [`check_for`].
pub async fn check(client: &Client, offer: &Offer, prepared: &Prepared) -> Result<(), RightsError> {
    let auth = client.auth();
    let (push, asker) = future::try_join(auth.expand_scopes(offer.scopes.clone()), auth.current_scopes()).await?;
    judge(client, offer, prepared, (&push, &asker))
}

/// Checks that the push may have this done, and that somebody with the scopes `asker`, expanded, may ask for it.
///
/// A hook may be named only by a decision task that holds `in-tree:hook-action:` for it; triggering it takes
/// `hooks:trigger-hook:`. A task is created by the asker, narrowed to the decision task's scopes: the decision task's
/// must suffice for it, and the asker's for those.
///
/// # Errors
/// Whatever is missing, all of it.
pub async fn check_for(
    client: &Client,
    offer: &Offer,
    prepared: &Prepared,
    asker: &[String],
) -> Result<(), RightsError> {
    let push = client.auth().expand_scopes(offer.scopes.clone()).await?;
    judge(client, offer, prepared, (&push, asker))
}

fn judge(
    client: &Client,
    offer: &Offer,
    prepared: &Prepared,
    (push, asker): (&[String], &[String]),
) -> Result<(), RightsError> {
    let of_push = match &prepared.sending {
        Sending::Hook { group, id, .. } => scopes::missing(push, &[format!("in-tree:hook-action:{group}/{id}")]),
        Sending::Task(definition) => {
            let own = TaskId::from_bytes([0; 16]);
            let definition = definition.of(&prepared.action, own, client.clock().now())?;
            let scheduler = definition.get("schedulerId").and_then(|id| id.as_str()).unwrap_or("-");
            let missing = preflight::missing(push, [(prepared.action.as_str(), &definition)], scheduler);
            missing.scopes.into_keys().collect()
        }
    };
    if !of_push.is_empty() {
        return Err(RightsError::Push { action: prepared.action.clone(), scopes: of_push });
    }
    let of_asker = scopes::missing(asker, &needs(offer, prepared));
    if of_asker.is_empty() { Ok(()) } else { Err(RightsError::Asker(of_asker)) }
}

/// Which roles grant these scopes, as far as the client may see roles: at most three each, those first that grant it
/// most narrowly. A scope that no role grants is left out.
pub async fn grants<'a>(client: &Client, scopes: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, Vec<String>> {
    // Only a hint: who may not see roles is not told any.
    let Ok(roles) = client.auth().list_roles().await else { return BTreeMap::new() };
    let grants = scopes.into_iter().map(|scope| (scope.to_owned(), granting(&roles, scope)));
    grants.filter(|(_, roles)| !roles.is_empty()).collect()
}

fn granting(roles: &[Role], scope: &str) -> Vec<String> {
    let narrowest = |role: &Role| {
        let covering = role.expanded_scopes.iter().filter(|have| covers(have, scope));
        covering.map(String::len).max().map(|length| (Reverse(length), role.role_id.clone()))
    };
    let mut found: Vec<_> = roles.iter().filter_map(narrowest).collect();
    found.sort_unstable();
    found.into_iter().take(MAX_ROLES).map(|(_, role)| role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskgraft_core::time::Millis;

    #[test]
    fn the_narrowest_roles_are_named_first() {
        let role = |id: &str, scopes: &[&str]| Role {
            role_id: id.to_owned(),
            scopes: Vec::new(),
            expanded_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            description: String::new(),
            last_modified: Millis(jiff::Timestamp::UNIX_EPOCH),
            created: Millis(jiff::Timestamp::UNIX_EPOCH),
        };
        let roles = [
            role("root", &["*"]),
            role("sheriffs", &["hooks:trigger-hook:project-lander/*", "other"]),
            role("developers", &["hooks:trigger-hook:project-lander/in-tree-action-3-generic/*"]),
            role("nobody", &["hooks:trigger-hook:project-other/*"]),
            role("admins", &["hooks:*"]),
        ];
        let found = granting(&roles, "hooks:trigger-hook:project-lander/in-tree-action-3-generic/3353380a2b");
        assert_eq!(found, ["developers", "sheriffs", "admins"]);
    }
}
