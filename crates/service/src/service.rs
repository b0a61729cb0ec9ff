//! The service as a whole: the journal, who carries what is in it, and the doors before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, ConfigError, Credentials};
use taskgraft_engine::Cache;
use tokio::task::JoinHandle;

use crate::carry::{self, Carrier};
use crate::config::{Config, Secrets};
use crate::journal::{Journal, JournalError, Settings};
use crate::pulse::resolver::Resolver;

/// How often what has been kept long enough is forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// What the service is made of.
pub struct Parts {
    /// What it is told.
    pub config: Config,
    /// What is not told in a file.
    pub secrets: Secrets,
    /// Taskcluster, without credentials.
    pub reader: Client,
    /// The service's own credentials, which are only ever used narrowed.
    pub credentials: Credentials,
    /// Where downloads are kept.
    pub cache: Cache,
    /// The journal's file.
    pub journal: PathBuf,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal can't be opened.
    #[error("open the journal {}: {error}", .path.display())]
    Journal {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: JournalError,
    },
    /// What it is told about can't be asked.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The service, running.
pub struct Service {
    journal: Journal,
    carrier: Carrier,
    tidying: JoinHandle<()>,
}

impl Service {
    /// Opens the journal, takes up what is unfinished, and opens the doors.
    ///
    /// # Errors
    /// If the journal can't be opened, or a door can't.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { config, reader, credentials, cache, journal: path, .. } = parts;
        let unopened = |error| StartError::Journal { path: path.clone(), error };
        let settings = Settings { keep: (&config.keep).into(), ..Settings::default() };
        let clock = Arc::clone(reader.clock());
        let journal = Journal::open(&path, settings, clock).await.map_err(unopened)?;
        let resolver = Resolver::new(reader.clone(), &config.project)?;
        let carrier = Carrier::start(carry::Parts {
            journal: journal.clone(),
            reader,
            credentials,
            cache,
            resolver,
            projects: config.project,
            limits: config.carry,
        });
        let carrier = carrier.await.map_err(unopened)?;
        let tidying = tokio::spawn(tidy(journal.clone()));
        Ok(Self { journal, carrier, tidying })
    }

    /// Where requests are written down.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Takes nothing more, and lets what is on its way come to rest. What is unfinished is in the journal.
    pub async fn stop(self) {
        self.tidying.abort();
        self.carrier.stop().await;
    }
}

async fn tidy(journal: Journal) {
    let mut ticks = tokio::time::interval(TIDY);
    loop {
        ticks.tick().await;
        match journal.purge().await {
            Ok(purged) => tracing::debug!(?purged, "tidied the journal"),
            Err(error) => tracing::warn!(%error, "failed to tidy the journal"),
        }
    }
}
