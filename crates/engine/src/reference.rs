//! Reading a push as the reference's actions do: the same requests, in the same order, and no others.

use std::sync::Arc;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::Policy;

use crate::authority::{self, AuthorityError};
use crate::decision_path::decision_path;
use crate::fetch::Artifacts;
use crate::push::{Left, Push, PushError, read_graph, read_labels, read_parameters};

/// Loads the push of `group` for an action of the given permission (`generic`, say).
///
/// The trust domain comes from the project's configuration: the reference has a checkout.
///
/// # Errors
/// If something can't be had or read, or the task lacks the action's scope.
pub async fn load(
    client: &Client,
    artifacts: &Artifacts,
    group: TaskId,
    trust_domain: &str,
    permission: Option<&str>,
) -> Result<Push, PushError> {
    let push = ground(client, artifacts, group, trust_domain, permission).await?;
    let decision = find_decision_task(client, &push.parameters, trust_domain, group).await?;
    let graph = Arc::new(read_graph(artifacts, decision, None).await?);
    let labels = Arc::new(read_labels(artifacts, decision, None).await?);
    Ok(Push { decision: Some(decision), group: Some(decision), graph, labels, ..push })
}

/// The same without graph and labels: for an action that is only about tasks that exist. The group counts as its own
/// decision task.
///
/// # Errors
/// As [`load`].
pub async fn ground(
    client: &Client,
    artifacts: &Artifacts,
    group: TaskId,
    trust_domain: &str,
    permission: Option<&str>,
) -> Result<Push, PushError> {
    let parameters = read_parameters(artifacts, group, None).await?;
    if let Some(permission) = permission {
        check_scope(client, &parameters, permission).await?;
    }
    let Left { parameters, graph, labels } = Left::only(parameters)?;
    Ok(Push {
        decision: Some(group),
        group: Some(group),
        group_fact: None,
        task: None,
        trust_domain: Some(trust_domain.to_owned()),
        graph_config: None,
        parameters,
        graph,
        labels,
    })
}

/// The push of `decision` by the rules of `policy`: itself, checked, or as the reference would find it.
///
/// The reference takes its trust domain from a checkout; here the decision task's schedulerId tells it.
///
/// # Errors
/// If something can't be had, can't be read, or doesn't belong together.
pub async fn load_by(
    policy: Policy,
    client: &Client,
    artifacts: &Artifacts,
    decision: TaskId,
) -> Result<Push, PushError> {
    match policy {
        Policy::Graft => Push::load(client, artifacts, decision).await,
        Policy::Reference => {
            let scheduler = client.queue().task(decision).await?.scheduler_id;
            let Some((domain, _)) = authority::trust_domain(&scheduler) else {
                return Err(AuthorityError::Scheduler { decision, scheduler }.into());
            };
            load(client, artifacts, decision, domain, None).await
        }
    }
}

/// The decision task that the index names for the parameters' push; `group` where it names none.
async fn find_decision_task(
    client: &Client,
    parameters: &Parameters,
    trust_domain: &str,
    group: TaskId,
) -> Result<TaskId, PushError> {
    match client.index().find_task(&decision_path(parameters, trust_domain)?).await {
        Ok(found) => Ok(found.task_id),
        // The index may not know a pull request's decision task. As in the reference, any refusal counts as that.
        Err(taskgraft_client::Error::Rejected { .. }) => Ok(group),
        Err(error) => Err(error.into()),
    }
}

/// The task must literally hold the action's role, for the pushed repository or, for a pull request, for the other one.
async fn check_scope(client: &Client, parameters: &Parameters, permission: &str) -> Result<(), PushError> {
    let wanted = authority::action_roles(parameters, permission)?;
    let have = client.auth().current_scopes().await?;
    if wanted.iter().any(|scope| have.contains(scope)) { Ok(()) } else { Err(AuthorityError::Role(wanted).into()) }
}
