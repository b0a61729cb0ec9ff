//! The masters of all projects.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use taskgraft_client::{Config, ConfigError};
use taskgraft_core::ids::RequestId;

use super::{Error, Forced, Master};
use crate::config::{Project, Secrets};

/// The Buildbot masters of each project, by its short name.
#[derive(Debug, Default)]
pub struct Masters(BTreeMap<String, Vec<Arc<Master>>>);

impl Masters {
    /// Those that the configuration names; patience and clock are those of `config`.
    ///
    /// # Errors
    /// If a URL is unusable or TLS can't be set up.
    pub fn new(projects: &BTreeMap<String, Project>, secrets: &Secrets, config: &Config) -> Result<Self, ConfigError> {
        let master = |settings: &crate::config::Buildbot| {
            let password = secrets.buildbot.get(&settings.name).cloned();
            Master::new(settings.clone(), password, config.clone()).map(Arc::new)
        };
        let of = |project: &Project| project.buildbot.iter().map(master).collect::<Result<Vec<_>, _>>();
        let masters = projects.iter().map(|(name, project)| Ok((name.clone(), of(project)?)));
        Ok(Self(masters.collect::<Result<_, ConfigError>>()?))
    }

    /// Those of a project, in the configuration's order.
    #[must_use]
    pub fn of(&self, project: &str) -> &[Arc<Master>] {
        self.0.get(project).map_or(&[], Vec::as_slice)
    }

    /// Whether no project has any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }

    /// Cancels what has not ended of a request's builds on a project's masters, and says what that was.
    ///
    /// # Errors
    /// If a master doesn't answer, or refuses; on others it may be done.
    pub async fn cancel(&self, project: &str, request: &RequestId, received: Timestamp) -> Result<Vec<Forced>, Error> {
        let each = self.of(project).iter().map(|master| master.cancel(request, received));
        Ok(futures_util::future::try_join_all(each).await?.into_iter().flatten().collect())
    }
}
