//! A claimed run, and the worker acting for it with the run's own credentials.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Span, Timestamp};
use taskgraft_core::api::queue::{
    ArtifactErrorReason, Claimed, CreateArtifactRequest, CreateArtifactResponse, TaskCredentials, TaskStatus,
};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::satisfies;
use taskgraft_core::state::RunState;
use taskgraft_core::time::Millis;

use super::{CONTENT_TYPE, Resolution};
use crate::{Client, Credentials, Error, Retry, Upload};

/// How often a run's state is looked at, so that cancelling takes effect soon.
const POLL: Duration = Duration::from_secs(1);
/// The longest that one look, or one try to renew a claim, may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// No claim is renewed more often.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(1);

/// A claimed run, and the worker acting for it.
#[derive(Debug)]
pub struct Session {
    /// Which task.
    pub task_id: TaskId,
    /// Which run of it.
    pub run_id: u16,
    /// When the task, and with it its artifacts, is forgotten.
    pub expires: Millis,
    /// Has the run's credentials, which are renewed with the claim.
    client: Client,
    /// The same, for looks that are soon repeated anyway: a slow one must not keep the claim from being renewed.
    looking: Client,
}

impl Session {
    /// The run that `claimed` says is the worker's now; of `worker` only its way to the deployment is used, never its
    /// credentials.
    #[must_use]
    pub fn new(worker: &Client, claimed: &Claimed) -> Self {
        let client = worker.as_credentials(Some(credentials(&claimed.credentials)));
        let looking = client.with_patience(Retry::never(), LOOK_TIMEOUT, Arc::default());
        let (task_id, run_id, expires) = (claimed.status.task_id, claimed.run_id, claimed.status.expires);
        Self { task_id, run_id, expires, client, looking }
    }

    /// A client with the run's credentials: always the newest, also in clones made before.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Keeps the claim until the run is no longer this worker's; returns why it isn't.
    pub async fn watch(&self, mut taken_until: Timestamp) -> String {
        let mut renew_in = self.renewal_after(taken_until);
        loop {
            let pause = POLL.min(renew_in);
            tokio::time::sleep(pause).await;
            renew_in = renew_in.saturating_sub(pause);
            match self.looking.queue().status(self.task_id).await {
                Ok(status) => {
                    if let Some(why) = self.no_longer_ours(&status) {
                        return why;
                    }
                }
                Err(error) if error.is_not_found() => return "the queue no longer knows the task".to_owned(),
                Err(error) => tracing::warn!(task = %self.task_id, %error, "could not look at a task's status"),
            }
            if renew_in > Duration::ZERO {
                continue;
            }
            match self.looking.queue().reclaim_task(self.task_id, self.run_id).await {
                Ok(reclaimed) => {
                    taken_until = reclaimed.taken_until.0;
                    self.client.renew(credentials(&reclaimed.credentials));
                    tracing::debug!(task = %self.task_id, run = self.run_id, until = %reclaimed.taken_until, "reclaimed");
                }
                Err(error) if self.client.clock().now() > taken_until => {
                    return format!("the claim could not be renewed: failed to {error}");
                }
                // Resolved meanwhile: the next look at the status says how. Anything else is tried again until the end.
                Err(error) => tracing::warn!(task = %self.task_id, %error, "could not renew a claim"),
            }
            renew_in = self.renewal_after(taken_until);
        }
    }

    /// Claims are renewed when half of their time is over.
    fn renewal_after(&self, taken_until: Timestamp) -> Duration {
        let left: Duration = taken_until.duration_since(self.client.clock().now()).try_into().unwrap_or_default();
        (left / 2).max(SHORTEST_RENEWAL)
    }

    fn no_longer_ours(&self, status: &TaskStatus) -> Option<String> {
        let run = status.runs.iter().find(|run| run.run_id == self.run_id);
        let state = run.map(|run| (run.state, run.reason_resolved));
        match state {
            Some((RunState::Running, _)) => None,
            Some((_, Some(reason))) => Some(format!("the run was resolved meanwhile: {}", word(&reason))),
            Some((_, None)) | None => Some("the run is no longer running".to_owned()),
        }
    }

    /// Refuses unless the task holds all of these scopes.
    ///
    /// # Errors
    /// How the run ends: the first scope that it lacks, or that auth doesn't tell.
    pub async fn check_scopes(&self, needed: impl IntoIterator<Item = String>) -> Result<(), Resolution> {
        let needed: Vec<String> = needed.into_iter().collect();
        if needed.is_empty() {
            return Ok(());
        }
        let held = self.client.auth().current_scopes().await;
        let held = held.map_err(|error| Resolution::from_call("the task's scopes", &error))?;
        match needed.iter().find(|scope| !satisfies(&held, scope)) {
            Some(scope) => Err(Resolution::malformed(format!("payload: the task lacks the scope {scope}"))),
            None => Ok(()),
        }
    }

    /// Says how the run ended. That it ended otherwise already is no error.
    ///
    /// # Errors
    /// If the queue doesn't answer or refuses.
    pub async fn resolve(&self, resolution: &Resolution) -> Result<(), Error> {
        let client = &self.client;
        let (task, run) = (self.task_id, self.run_id);
        let result = match resolution {
            Resolution::Completed => client.queue().report_completed(task, run).await,
            Resolution::Failed(_) => client.queue().report_failed(task, run).await,
            Resolution::Exception(reason, _) => client.queue().report_exception(task, run, *reason).await,
        };
        match result {
            Ok(_) => Ok(()),
            Err(Error::Conflict { message, .. }) => {
                tracing::info!(%task, run, message, "the run was resolved otherwise already");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes a file; it is kept until `expires`, else as long as the task.
    ///
    /// # Errors
    /// If the queue or its store refuses it, or the file can't be read.
    pub async fn upload(
        &self,
        name: &str,
        file: &Path,
        content_type: &str,
        expires: Option<Millis>,
    ) -> Result<(), Error> {
        let length = tokio::fs::metadata(file).await.map(|metadata| metadata.len()).ok();
        self.put(name, Upload::File(file), content_type, length, expires).await
    }

    /// Publishes a log as far as it has come. The same name may be published again with more of it.
    ///
    /// # Errors
    /// If the queue or its store refuses it.
    pub async fn upload_part(&self, name: &str, log: Vec<u8>) -> Result<(), Error> {
        // Without a length: the queue keeps the first that it was told.
        self.put(name, Upload::Bytes(log.into()), CONTENT_TYPE, None, None).await
    }

    async fn put(
        &self,
        name: &str,
        content: Upload<'_>,
        content_type: &str,
        content_length: Option<u64>,
        expires: Option<Millis>,
    ) -> Result<(), Error> {
        let request = CreateArtifactRequest::S3 {
            expires: expires.unwrap_or(self.expires),
            content_type: content_type.to_owned(),
            content_length,
        };
        match self.client.queue().create_artifact(self.task_id, self.run_id, name, &request).await? {
            CreateArtifactResponse::S3 { put_url, content_type, .. } => {
                self.client.upload(&put_url, &content_type, content).await
            }
            CreateArtifactResponse::Reference {}
            | CreateArtifactResponse::Link {}
            | CreateArtifactResponse::Error {} => {
                Err(Error::Unreadable { call: "createArtifact", why: "it is of another storage type".to_owned() })
            }
        }
    }

    /// Publishes that a file can't be published.
    ///
    /// # Errors
    /// If the queue doesn't answer or refuses.
    pub async fn upload_error(
        &self,
        name: &str,
        reason: ArtifactErrorReason,
        message: &str,
        expires: Option<Millis>,
    ) -> Result<(), Error> {
        let message: String = message.chars().take(4096).collect();
        let request = CreateArtifactRequest::Error { expires: expires.unwrap_or(self.expires), reason, message };
        self.create(name, &request).await
    }

    /// Publishes an address from which the log can be read for `seconds` at most.
    ///
    /// # Errors
    /// If the queue doesn't answer or refuses.
    pub async fn refer(&self, name: &str, url: &str, seconds: u64) -> Result<(), Error> {
        let span = Span::new().seconds(i64::try_from(seconds).unwrap_or(i64::from(u32::MAX)));
        let until = self.client.clock().now().checked_add(span).map_or(self.expires, Millis::from);
        let request = CreateArtifactRequest::Reference {
            expires: until.min(self.expires),
            url: url.to_owned(),
            content_type: CONTENT_TYPE.to_owned(),
        };
        self.create(name, &request).await
    }

    /// Publishes `name` as another name of `artifact`.
    ///
    /// # Errors
    /// If the queue doesn't answer or refuses.
    pub async fn link(&self, name: &str, artifact: &str) -> Result<(), Error> {
        let request = CreateArtifactRequest::Link {
            expires: self.expires,
            content_type: Some(CONTENT_TYPE.to_owned()),
            artifact: artifact.to_owned(),
        };
        self.create(name, &request).await
    }

    async fn create(&self, name: &str, request: &CreateArtifactRequest) -> Result<(), Error> {
        self.client.queue().create_artifact(self.task_id, self.run_id, name, request).await.map(drop)
    }
}

/// A value's word on the wire.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).map_or_else(|_| String::new(), |word| word.as_str().unwrap_or_default().to_owned())
}

fn credentials(credentials: &TaskCredentials) -> Credentials {
    let mut given = Credentials::new(&credentials.client_id, &credentials.access_token);
    given.certificate = Some(credentials.certificate.clone());
    given
}
