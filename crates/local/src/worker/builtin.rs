//! The task queues `built-in/succeed` and `built-in/fail`, whose tasks are resolved without being run.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use taskgraft_client::run::{Resolution, Session};
use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::{ClaimWorkRequest, Claimed};

use super::claim::pause_after;

/// A built-in task queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BuiltIn {
    /// `built-in/succeed`
    Succeed,
    /// `built-in/fail`
    Fail,
}

impl BuiltIn {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Succeed, Self::Fail];

    fn word(self) -> &'static str {
        match self {
            Self::Succeed => "succeed",
            Self::Fail => "fail",
        }
    }

    /// What becomes of a task with that payload.
    fn resolution(self, payload: &Value) -> Resolution {
        match (self, payload.as_object().is_some_and(serde_json::Map::is_empty)) {
            (_, false) => Resolution::malformed("payload: tasks of built-in queues have an empty one"),
            (Self::Succeed, true) => Resolution::Completed,
            (Self::Fail, true) => Resolution::Failed("that is what built-in/fail does".to_owned()),
        }
    }

    /// Serves the queue.
    pub(crate) async fn serve(self, client: Client) -> Infallible {
        let queue = format!("built-in/{}", self.word());
        let request =
            ClaimWorkRequest { worker_group: "built-in".to_owned(), worker_id: self.word().to_owned(), tasks: 32 };
        loop {
            let pause = match client.queue().claim_work(&queue, &request).await {
                Ok(claimed) => {
                    for claimed in &claimed {
                        if let Err(error) = self.resolve(&client, claimed).await {
                            tracing::warn!(task = %claimed.status.task_id, %error, "could not resolve a built-in task");
                        }
                    }
                    Duration::ZERO
                }
                Err(error) => pause_after(&queue, &error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn resolve(self, client: &Client, claimed: &Claimed) -> Result<(), Error> {
        Session::new(client, claimed).resolve(&self.resolution(&claimed.task.payload)).await
    }
}
