//! Reading a push as the reference's actions do: the same requests, in the same order, and no others.

use std::sync::Arc;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;

use crate::fetch::Artifacts;
use crate::push::{Left, Push, PushError, read_graph, read_labels, read_parameters};

/// Why the reference's way leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A parameter that index paths are made of is missing.
    #[error("look up the decision task: {0}")]
    Parameters(#[from] taskgraft_core::params::ParametersError),
    /// `repository_type` is neither `hg` nor `git`.
    #[error("look up the decision task: the repository type is `{0}`")]
    RepositoryType(String),
    /// The task may not run this action.
    #[error("run the action: the task has neither of the scopes {}", .0.join(", "))]
    Scope(Vec<String>),
}

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
    let parameters = read_parameters(artifacts, group, None).await?;
    if let Some(permission) = permission {
        check_scope(client, &parameters, permission).await?;
    }
    let decision = find_decision_task(client, &parameters, trust_domain, group).await?;
    let graph = Arc::new(read_graph(artifacts, decision, None).await?);
    let labels = read_labels(artifacts, decision, None).await?;
    Ok(push(decision, trust_domain, Left { parameters, graph, labels: Arc::new(labels) }))
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
    Ok(push(group, trust_domain, Left::only(parameters)?))
}

fn push(decision: TaskId, trust_domain: &str, left: Left) -> Push {
    let Left { parameters, graph, labels } = left;
    Push {
        decision: Some(decision),
        group: Some(decision),
        group_fact: None,
        task: None,
        trust_domain: Some(trust_domain.to_owned()),
        graph_config: None,
        parameters,
        graph,
        labels,
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

/// Where the index has the decision task of these parameters.
pub(crate) fn decision_path(parameters: &Parameters, trust_domain: &str) -> Result<String, ReferenceError> {
    let project = parameters.text("project")?;
    match parameters.text("repository_type").unwrap_or("hg") {
        "hg" => Ok(format!("{trust_domain}.v2.{project}.pushlog-id.{}.decision", parameters.pushlog_id()?)),
        "git" => {
            let revision = parameters.text("head_rev")?;
            Ok(format!("{trust_domain}.v2.{project}.revision.{revision}.taskgraph.decision"))
        }
        other => Err(ReferenceError::RepositoryType(other.to_owned())),
    }
}

/// The task must literally hold the action's role, for the pushed repository or, for a pull request, for the other one.
async fn check_scope(client: &Client, parameters: &Parameters, permission: &str) -> Result<(), PushError> {
    let wanted = action_roles(parameters, permission)?;
    let have = client.auth().current_scopes().await?;
    if wanted.iter().any(|scope| have.contains(scope)) { Ok(()) } else { Err(ReferenceError::Scope(wanted).into()) }
}

/// The scopes of which an action task of this permission has one.
pub(crate) fn action_roles(parameters: &Parameters, permission: &str) -> Result<Vec<String>, ReferenceError> {
    let role = |name| Ok::<_, ReferenceError>(crate::authority::repository_role(parameters.text(name)?));
    Ok(vec![
        format!("assume:repo:{}:action:{permission}", role("head_repository")?),
        format!("assume:repo:{}:pr-action:{permission}", role("base_repository")?),
    ])
}
