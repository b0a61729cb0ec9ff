//! On whose authority a request is sent: never on more than its asker has.
//!
//! The service's own credentials are used only narrowed, and only after it was checked that the asker, or the role that
//! the policy names for the message, may do what is asked.

use taskgraft_client::Client;
use taskgraft_core::scopes::satisfies;
use taskgraft_core::time::Millis;
use taskgraft_engine::trigger::{self, Offer, Prepared, RightsError, Sending};

use crate::config::Project;
use crate::pulse::policy::{self, Facts, Refused};
use crate::request::{Asker, Authority};

/// What a request may be sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permit {
    /// The service's credentials are narrowed to these scopes.
    pub(crate) scopes: Vec<String>,
    /// Why it is let through, for the audit log.
    pub(crate) why: String,
}

/// Why a request may not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// Nobody lets it through.
    #[error("{0}")]
    Nobody(String),
    /// The credentials that it was asked with have expired.
    #[error("the credentials that it was asked with have expired at {0}")]
    Expired(Millis),
    /// The policy doesn't let it through.
    #[error(transparent)]
    Policy(#[from] Refused),
    /// The asker, or the role, may not.
    #[error("{what}: {whose} lacks {}", .scopes.join(", "))]
    Lacks {
        /// What they may not.
        what: &'static str,
        /// Who.
        whose: String,
        /// What it takes.
        scopes: Vec<String>,
    },
    /// The push itself may not, or that can't be found out.
    #[error(transparent)]
    Rights(RightsError),
    /// The role can't be looked up.
    #[error("look up the role that the policy names: failed to {0}")]
    Role(taskgraft_client::Error),
}

/// What is to be sent, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Who asks.
    pub(crate) asker: &'a Asker,
    /// The action's name.
    pub(crate) action: &'a str,
    /// How many jobs it comes to, at least.
    pub(crate) jobs: u64,
    /// What the configuration says of the project, if it says anything.
    pub(crate) project: Option<&'a Project>,
    /// What its push offers.
    pub(crate) offer: &'a Offer,
    /// What is to be sent.
    pub(crate) prepared: &'a Prepared,
}

/// Whether it may be sent, and with which scopes: for a hook the right to trigger it, or the role that holds that; for an
/// action task that is created, what the decision task has, since that is all that the action task may get.
///
/// # Errors
/// If it may not, or that can't be looked up.
pub(crate) async fn permit(client: &Client, asking: Asking<'_>) -> Result<Permit, Denied> {
    let Asking { asker, offer, prepared, .. } = asking;
    match &asker.authority {
        Authority::Nobody(why) => Err(Denied::Nobody(why.clone())),
        Authority::Scopes { expires, .. } if *expires < Millis(client.clock().now()) => Err(Denied::Expired(*expires)),
        Authority::Scopes { scopes, .. } => {
            let checked = trigger::check_for(client, offer, prepared, scopes).await;
            checked.map_err(|error| of_whom(error, client_named(asker)))?;
            let needs = trigger::needs(offer, prepared);
            Ok(Permit { why: format!("the asker holds {}", needs.join(", ")), scopes: needs })
        }
        Authority::Policy { exchange } => {
            let granted = granted(client, (asker, exchange), asking.project, (asking.action, asking.jobs)).await?;
            let checked = trigger::check_for(client, offer, prepared, &granted.scopes).await;
            checked.map_err(|error| of_whom(error, granted.whose))?;
            let scopes = match prepared.sending {
                Sending::Hook { .. } => granted.role,
                Sending::Task(_) => trigger::needs(offer, prepared),
            };
            Ok(Permit { scopes, why: granted.why })
        }
    }
}

/// Whether builds may be forced that it takes these scopes for, and why. They are the asker's or the role's own: forcing
/// needs no credentials of Taskcluster, and gets none.
///
/// # Errors
/// If they may not, or that can't be looked up.
pub(crate) async fn permit_builds(
    client: &Client,
    asker: &Asker,
    project: Option<&Project>,
    (action, jobs): (&str, u64),
    needs: &[String],
) -> Result<String, Denied> {
    let (held, whose, why) = match &asker.authority {
        Authority::Nobody(why) => return Err(Denied::Nobody(why.clone())),
        Authority::Scopes { expires, .. } if *expires < Millis(client.clock().now()) => {
            return Err(Denied::Expired(*expires));
        }
        Authority::Scopes { scopes, .. } => {
            (scopes.clone(), client_named(asker), format!("the asker holds {}", needs.join(", ")))
        }
        Authority::Policy { exchange } => {
            let granted = granted(client, (asker, exchange), project, (action, jobs)).await?;
            (granted.scopes, granted.whose, granted.why)
        }
    };
    let scopes: Vec<String> = needs.iter().filter(|need| !satisfies(&held, need)).cloned().collect();
    if scopes.is_empty() { Ok(why) } else { Err(Denied::Lacks { what: "have builds forced", whose, scopes }) }
}

fn client_named(asker: &Asker) -> String {
    format!("the client {}", asker.name)
}

/// Whose scopes don't suffice is for the reader to know: they may be the role's that a policy names.
fn of_whom(error: RightsError, whose: String) -> Denied {
    match error {
        RightsError::Asker(scopes) => Denied::Lacks { what: "ask for the action", whose, scopes },
        error @ (RightsError::Push { .. } | RightsError::Prepare(_) | RightsError::Client(_)) => Denied::Rights(error),
    }
}

/// What a rule gives a message.
struct Granted {
    /// The role as a scope.
    role: Vec<String>,
    /// The same, expanded.
    scopes: Vec<String>,
    /// The role, for people.
    whose: String,
    /// Why, for the audit log.
    why: String,
}

async fn granted(
    client: &Client,
    (asker, exchange): (&Asker, &str),
    project: Option<&Project>,
    (action, jobs): (&str, u64),
) -> Result<Granted, Denied> {
    let project = project.ok_or(Refused::NoRules)?;
    let facts = Facts { exchange, requester: &asker.name, action, jobs, level: Some(&project.level) };
    let grant = policy::decide(&project.pulse.allow, &facts)?;
    let role = vec![format!("assume:{}", grant.role)];
    let scopes = client.auth().expand_scopes(role.clone()).await.map_err(Denied::Role)?;
    let why = format!("rule {} lets it through with the role {}", grant.rule, grant.role);
    Ok(Granted { role, scopes, whose: format!("the role {}", grant.role), why })
}
