//! The actions that a push offers, and on whose authority.

use futures_util::future;
use taskgraft_client::Client;
use taskgraft_core::action::catalog::{Catalog, CatalogError};
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::ids::TaskId;

use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::yaml::{self, YamlError};

/// The largest actions.json and action.yml that are read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The actions that a push offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The decision task that published them.
    pub decision: TaskId,
    /// The group that action tasks join.
    pub group: TaskId,
    /// The decision task's own scopes, unexpanded: no action may do more.
    pub scopes: Vec<String>,
    /// The actions.
    pub catalog: Catalog,
}

/// Why a push's actions can't be had.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It publishes none.
    #[error("find the actions of {0}: it has neither actions.json nor action.yml")]
    Nothing(TaskId),
    /// An artifact can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What it publishes can't be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// action.yml is no YAML.
    #[error("read action.yml: {0}")]
    Yaml(#[from] YamlError),
    /// action.yml is no text.
    #[error("read action.yml: it is not UTF-8")]
    Text,
    /// Taskcluster didn't answer.
    #[error("look up the decision task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

impl Offer {
    /// What the push of `decision` offers.
    ///
    /// # Errors
    /// If it offers nothing, or that can't be had or read.
    pub async fn load(client: &Client, artifacts: &Artifacts, decision: TaskId) -> Result<Self, OfferError> {
        let queue = client.queue();
        let (task, status) = future::try_join(queue.task(decision), queue.status(decision)).await?;
        // Artifacts of a run that is resolved stay as they are.
        let run = status.runs.last().filter(|run| run.resolved.is_some()).map(|run| run.run_id);
        Self::of(artifacts, decision, &task, run).await
    }

    /// The same where the decision task is known.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn of(
        artifacts: &Artifacts,
        decision: TaskId,
        task: &TaskDefinition,
        run: Option<u16>,
    ) -> Result<Self, OfferError> {
        let wanted = |name| Wanted { task: decision, run, name, max: MAX_BYTES };
        let catalog = match artifacts.read(wanted("public/actions.json")).await {
            Ok(text) => Catalog::read(&text)?,
            Err(error) if error.is_missing() => match artifacts.read(wanted("public/action.yml")).await {
                Ok(text) => {
                    Catalog::of_template(yaml::parse(std::str::from_utf8(&text).map_err(|_| OfferError::Text)?)?)
                }
                Err(error) if error.is_missing() => return Err(OfferError::Nothing(decision)),
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        Ok(Self { decision, group: task.task_group_id, scopes: task.scopes.clone(), catalog })
    }
}
