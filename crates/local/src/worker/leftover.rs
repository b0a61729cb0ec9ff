//! Handing back what a worker that was killed had, so that the queue tries again at once.

use taskgraft_client::run::{Resolution, RunOf, Session};
use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::ClaimTaskRequest;
use taskgraft_core::state::ExceptionReason;

/// Hands runs back as `exception/worker-shutdown`, those that are still claimed.
pub(crate) async fn hand_back(client: Client, who: ClaimTaskRequest, runs: Vec<RunOf>) {
    for run in runs {
        match hand_back_one(&client, &who, run).await {
            Ok(()) => tracing::info!(task = %run.0, run = run.1, "handed back what an earlier worker had"),
            // Resolved meanwhile, or forgotten.
            Err(Error::Conflict { .. }) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(task = %run.0, run = run.1, %error, "could not hand a run back"),
        }
    }
}

async fn hand_back_one(client: &Client, who: &ClaimTaskRequest, (task, run): RunOf) -> Result<(), Error> {
    let claimed = client.queue().claim_task(task, run, who).await?;
    let why = "the worker was killed".to_owned();
    Session::new(client, &claimed).resolve(&Resolution::Exception(ExceptionReason::WorkerShutdown, why)).await
}
