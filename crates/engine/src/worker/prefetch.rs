//! Fetching what a decision task left as soon as it completes, before anybody asks for an action on its push.

use std::convert::Infallible;
use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;

use super::config::Config;
use crate::fetch::Artifacts;
use crate::push::Push;

/// How often the index is asked.
const EVERY: Duration = Duration::from_secs(5);

/// Watches the index paths that the configuration names: the index inserts a decision task when it completes. Everything
/// is read as anybody may read it.
pub(crate) async fn watch(config: &Config, worker: &Client) -> Infallible {
    let client = worker.as_credentials(None);
    let mut known: Vec<Option<TaskId>> = vec![None; config.prefetch.len()];
    loop {
        for (path, known) in config.prefetch.iter().zip(&mut known) {
            match client.index().find_task(path).await {
                Ok(found) if *known != Some(found.task_id) => {
                    if fetch(config, &client, found.task_id).await {
                        *known = Some(found.task_id);
                    }
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(path, %error, "could not look for a new decision task"),
            }
        }
        client.clock().sleep(EVERY).await;
    }
}

/// Whether it is done with.
async fn fetch(config: &Config, client: &Client, decision: TaskId) -> bool {
    let artifacts = Artifacts::Queue(client.clone(), config.cache.clone());
    match Push::load(client, &artifacts, decision).await {
        Ok(_) => {
            config.metrics.prefetched();
            tracing::info!(%decision, "fetched what a decision task left");
            true
        }
        Err(error) => {
            tracing::warn!(%decision, %error, "could not fetch what a decision task left");
            // What is wrong with it stays wrong; an action on it will say so.
            !error.is_transient()
        }
    }
}
