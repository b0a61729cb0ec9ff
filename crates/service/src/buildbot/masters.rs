//! The masters of all projects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use taskgraft_client::{Config, ConfigError, Retry};

use super::{BuildReport, Error, Forced, Master, Wanted};
use crate::config::{Project, Secrets};

/// How long a call is tried at one go. It is little: who waits for a master is given another turn.
const PATIENCE: Retry =
    Retry { tries: 3, within: Duration::from_secs(20), base: Duration::from_millis(200), cap: Duration::from_secs(5) };
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The Buildbot masters of each project, by its short name.
#[derive(Debug, Default)]
pub struct Masters(BTreeMap<String, Vec<Arc<Master>>>);

impl Masters {
    /// Those that the configuration names; the clock is that of `config`.
    ///
    /// # Errors
    /// If a URL is unusable or TLS can't be set up.
    pub fn new(projects: &BTreeMap<String, Project>, secrets: &Secrets, config: &Config) -> Result<Self, ConfigError> {
        let master = |settings: &crate::config::Buildbot| {
            let password = secrets.buildbot.get(&settings.name).cloned();
            let config = Config { retry: PATIENCE, timeout: TIMEOUT, ..config.clone() };
            Master::new(settings.clone(), password, config).map(Arc::new)
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

    /// Cancels what has not ended of a request's builds on each master that has any, and says of each what is cancelled
    /// now, or why it could not be: the master doesn't answer, refuses, or is not in the project's configuration any more.
    /// `told` is what was said of the builds last: what may be on its way is waited for.
    pub async fn cancel<'w>(
        &self,
        project: &str,
        wanted: &'w Wanted,
        told: &[BuildReport],
    ) -> Vec<(&'w str, Result<Vec<Forced>, Error>)> {
        let each = wanted.builds.builders.keys().map(|name| async move {
            let coming = told.iter().filter(|report| report.master == *name && report.is_coming());
            let coming: Vec<_> = coming.map(BuildReport::place).collect();
            let answer = match self.of(project).iter().find(|master| master.name() == name) {
                Some(master) => master.cancel(wanted, &coming).await,
                None => Err(Error::NoMaster(name.clone())),
            };
            (name.as_str(), answer)
        });
        let each: Vec<_> = each.collect();
        future::join_all(each).await
    }
}
