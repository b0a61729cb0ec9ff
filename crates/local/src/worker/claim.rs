//! Claiming from one task queue.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use taskgraft_client::Error;
use taskgraft_core::api::queue::{ClaimWorkRequest, Claimed};
use tokio::sync::{mpsc, oneshot};

use super::run::Shop;

/// How long to wait once the client's own patience is at its end.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// How long to wait after a refusal: somebody has to change scopes or names.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// A claimed task on its way to the supervisor.
pub(crate) struct Claim {
    pub(crate) claimed: Claimed,
    /// Told when it has begun to run: only then is the queue asked again.
    pub(crate) started: oneshot::Sender<()>,
}

/// Claims from `queue`, one task at a time and only while there is room. Of several queues each may hold one task that
/// waits for room: long polls can't be taken back.
pub(crate) async fn serve(shop: Arc<Shop>, queue: String, claims: mpsc::Sender<Claim>) -> Infallible {
    let request = ClaimWorkRequest {
        worker_group: shop.config.worker_group.clone(),
        worker_id: shop.config.worker_id.clone(),
        tasks: 1,
    };
    loop {
        // Waits for room, and does not keep it: the long poll may take a while.
        drop(shop.permits.acquire().await);
        let pause = match shop.config.client.queue().claim_work(&queue, &request).await {
            Ok(tasks) => {
                for claimed in tasks {
                    let (started, begun) = oneshot::channel();
                    if claims.send(Claim { claimed, started }).await.is_ok() {
                        // An error is an end, too: the task was resolved before it began.
                        let _ = begun.await;
                    }
                }
                Duration::ZERO
            }
            Err(error) => pause_after(&queue, &error),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Says what went wrong, and how long to wait before asking again.
pub(crate) fn pause_after(queue: &str, error: &Error) -> Duration {
    tracing::warn!(queue, %error, "could not claim work");
    if error.is_transient() { AFTER_TROUBLE } else { AFTER_REFUSAL }
}
