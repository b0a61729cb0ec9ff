//! What every handler and job gets to see.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

use crate::auth::Auth;
use crate::http::{ApiError, ErrorCode, Schemas};
use crate::queue::Queue;
use taskgraft_store::Store;

/// The time. Injected, so that tests can move it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// One running embedded Taskcluster.
pub struct Ctx {
    /// Everything that lasts.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When it was started.
    pub started: Timestamp,
    /// Where clients find it.
    pub root_url: Url,
    /// Whether the root URL was given rather than taken from the address: then signatures may be made for it.
    pub behind_proxy: bool,
    /// Clients, roles and signatures.
    pub auth: Arc<Auth>,
    /// How the queue behaves, and what happens in it.
    pub queue: Queue,
    /// What endpoints take as bodies.
    pub(crate) schemas: Schemas,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// True once the server is told to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Ctx {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Fills a body's defaults in, then refuses it if it doesn't match the schema, named by its path below `schemas/`.
    pub(crate) fn check_schema(&self, schema: &str, body: &mut Value) -> Result<(), ApiError> {
        let mistakes = self.schemas.check(schema, self.root_url.as_str(), body);
        mistakes.map_err(|text| ApiError::new(ErrorCode::InputValidationError, text))
    }

    /// Waits until the server is told to stop: whoever answers slowly on purpose should wait for this too.
    pub async fn stopped(&self) {
        // Should the server be gone without having said so, it has stopped as well.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}
