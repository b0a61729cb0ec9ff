//! Claiming from the task queue, no more than there is room for.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::{ClaimWorkRequest, Claimed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::Config;

/// How long to wait once the client's own patience is at its end.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// How long to wait after a refusal: somebody has to change scopes or names.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// The most tasks that one call may claim.
const MOST: usize = 32;

/// A long poll on its way. It can't be taken back: what it claims is ours.
pub(crate) type Poll = Pin<Box<dyn Future<Output = (Result<Vec<Claimed>, Error>, OwnedSemaphorePermit)> + Send>>;

/// Asks for as many tasks as there is room for now; waits until there is any.
pub(crate) async fn poll(config: &Config, client: &Client, room: &Arc<Semaphore>) -> Option<Poll> {
    let mut permits = Arc::clone(room).acquire_owned().await.ok()?;
    let free = room.available_permits().min(MOST - 1);
    if let Ok(more) = Arc::clone(room).try_acquire_many_owned(u32::try_from(free).unwrap_or(0)) {
        permits.merge(more);
    }
    let request = ClaimWorkRequest {
        worker_group: config.worker_group.clone(),
        worker_id: config.worker_id.clone(),
        tasks: u8::try_from(permits.num_permits()).unwrap_or(1),
    };
    let (client, queue) = (client.clone(), config.task_queue_id.clone());
    Some(Box::pin(async move { (client.queue().claim_work(&queue, &request).await, permits) }))
}

/// How long to wait before asking again.
pub(crate) fn pause_after(error: &Error) -> Duration {
    if error.is_transient() { AFTER_TROUBLE } else { AFTER_REFUSAL }
}
