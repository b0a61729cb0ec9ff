//! What a push offers to have jobs added by, and which rights that takes.

use taskgraft_client::Client;
use taskgraft_core::action::catalog::{Catalog, Way};
use taskgraft_engine::trigger::{self, Offer, OfferError};
use taskgraft_engine::{Artifacts, Push};

use crate::exit::{Failure, NOTHING};
use crate::output::Out;

/// The action by which jobs are added, as the reference and its users call it.
pub(crate) const ADD: &str = "add-new-jobs";

/// The failure with the roles that grant what is missing, where they can be seen.
pub(crate) async fn granted<'a>(client: &Client, failure: Failure, scopes: impl Iterator<Item = &'a str>) -> Failure {
    let grants = trigger::grants(client, scopes).await;
    failure.notes("granted by", grants.into_iter().map(|(scope, roles)| format!("{} ({scope})", roles.join(", "))))
}

/// The actions of a push that offers to add jobs by one of them; says so if it doesn't.
pub(crate) async fn offer_to_add(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
    out: &Out,
) -> Result<Option<Offer>, Failure> {
    match offer_of(client, artifacts, push).await {
        None => Ok(None),
        Some(Ok(offer)) if offer.catalog.choose(ADD, None).is_ok() => Ok(Some(offer)),
        Some(Ok(_) | Err(OfferError::Nothing(_))) => {
            out.note(&format!(
                "note: the push publishes no action `{ADD}`: the jobs are created with your credentials"
            ));
            Ok(None)
        }
        Some(Err(error)) => Err(Failure::from(error).note("go without", "--direct")),
    }
}

/// What a push offers, if it has a decision task.
async fn offer_of(client: &Client, artifacts: &Artifacts, push: &Push) -> Option<Result<Offer, OfferError>> {
    let decision = push.decision?;
    let Some((task, status)) = &push.task else { return Some(Offer::load(client, artifacts, decision).await) };
    let run = status.runs.last().filter(|run| run.resolved.is_some()).map(|run| run.run_id);
    Some(Offer::of(artifacts, decision, task, run).await)
}

/// What it takes to have jobs added by the push's own action, as a way out for who may not create them. It is only a
/// hint: where it can't be had, there is none.
pub(crate) async fn hint_to_add(client: &Client, artifacts: &Artifacts, push: &Push) -> Option<String> {
    let offer = offer_of(client, artifacts, push).await?.ok()?;
    let scope = trigger_scope(&offer.catalog, ADD)?;
    Some(format!("without --direct the push's action `{ADD}` adds them; it needs only {scope}"))
}

/// What it takes to trigger an action, if it is a hook. The last part of a hook's name is a hash of .taskcluster.yml,
/// which people's scopes leave open.
fn trigger_scope(catalog: &Catalog, action: &str) -> Option<String> {
    let Way::Hook { group, id, .. } = &catalog.choose(action, None).ok()?.way else { return None };
    let id = id.rsplit_once('/').map_or_else(|| id.clone(), |(id, _)| format!("{id}/*"));
    Some(format!("hooks:trigger-hook:{group}/{id}"))
}

impl From<OfferError> for Failure {
    fn from(error: OfferError) -> Self {
        let message = format!("failed to {error}");
        match error {
            OfferError::Client(error) => error.into(),
            OfferError::Fetch(_) => Self::other(message),
            OfferError::Nothing(_) => Self::mistake(message)
                .note("it may be", "no decision task, or one that has not completed yet, or one without actions"),
            OfferError::Catalog(_) | OfferError::Yaml(_) | OfferError::Text => Self::mistake(message),
        }
        .closing(NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_leaves_the_hash_open() {
        let file = r#"{"version": 1, "variables": {}, "actions": [
            {"kind": "hook", "name": "add-new-jobs", "hookGroupId": "project-lander", "hookPayload": {},
             "hookId": "in-tree-action-3-generic/3353380a2b"}]}"#;
        let scope = trigger_scope(&Catalog::read(file.as_bytes()).unwrap(), ADD).unwrap();
        assert_eq!(scope, "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*");
    }
}
