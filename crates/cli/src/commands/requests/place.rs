//! Where the journal is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::SystemClock;
use taskgraft_service::journal::{FILE, Journal, Settings};

use crate::embedded;
use crate::env::Env;
use crate::exit::Failure;
use crate::service;

/// How often to look for what the service has written, while somebody waits for it.
const LOOK: Duration = Duration::from_millis(200);

/// Where the journal is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The journal's file
    #[arg(long, value_name = "FILE", global = true)]
    journal: Option<PathBuf>,
    /// The service's configuration, which names its journal
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "journal")]
    config: Option<PathBuf>,
}

impl Place {
    /// Opens the journal that is there.
    pub(super) async fn open(&self, env: &Env) -> Result<Journal, Failure> {
        let file = match (&self.journal, &self.config) {
            (Some(file), _) => file.clone(),
            (None, Some(config)) => service::journal(&service::read(config)?, config)?,
            (None, None) => embedded::data_dir(None, env)?.join(service::DIR).join(FILE),
        };
        if !service::is_there(&file)? {
            let failure = Failure::mistake(format!("there is no journal at {}", file.display()));
            return Err(failure.note("name it", "--journal FILE, or --config FILE as `taskgraft serve` was given"));
        }
        let settings = Settings { look: Some(LOOK), ..Settings::default() };
        Ok(Journal::open(&file, settings, Arc::new(SystemClock)).await?)
    }
}
