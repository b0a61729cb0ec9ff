//! What a task asks its worker to do, read strictly from `task.payload`.
//!
//! Two dialects are understood, told apart by the key `image`: generic-worker's (its POSIX schema: processes on this
//! machine) and docker-worker's (a container). Whatever this worker would have to ignore is refused with its JSON path.

mod docker;
mod generic;
mod mount;
mod names;

pub(crate) use docker::{DockerPayload, Image};
pub(crate) use generic::{Artifact, ArtifactKind, ExitStatuses, GenericPayload};
pub(crate) use mount::{ArchiveFormat, Content, FileFormat, Mount, Preload};
pub(crate) use names::{DEFAULT_BACKING_LOG, DEFAULT_LIVE_LOG};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The longest `maxRunTime`, in seconds: five days, which is as far ahead as a task's deadline may be.
pub(crate) const MAX_RUN_TIME_SECONDS: u64 = 5 * 24 * 3600;

/// A payload that this worker can run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payload {
    /// Processes on this machine.
    Generic(GenericPayload),
    /// One command in a container.
    Docker(DockerPayload),
}

/// A payload that can't be run as written; the task is resolved `exception/malformed-payload`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct MalformedPayload {
    /// Where, as `payload.mounts[0].content`.
    pub(crate) path: String,
    /// What is wrong there, a lower-case fragment.
    pub(crate) reason: String,
}

impl MalformedPayload {
    fn at(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl Payload {
    /// Reads `task.payload`.
    ///
    /// # Errors
    /// The first thing that is missing, unknown, of another type, or out of bounds, with its path.
    pub(crate) fn parse(payload: &Value) -> Result<Self, MalformedPayload> {
        let object = payload.as_object().ok_or_else(|| MalformedPayload::at("payload", "an object is needed"))?;
        if object.contains_key("image") {
            docker::parse(object).map(Self::Docker)
        } else {
            generic::parse(object).map(Self::Generic)
        }
    }

    /// How long the commands may take together, in seconds.
    pub(crate) fn max_run_time(&self) -> u64 {
        match self {
            Self::Generic(payload) => payload.max_run_time,
            Self::Docker(payload) => payload.max_run_time,
        }
    }

    /// The names of the live log and of the backing log.
    pub(crate) fn log_names(&self) -> (&str, &str) {
        match self {
            Self::Generic(payload) => (&payload.live_log, &payload.backing_log),
            Self::Docker(payload) => (&payload.live_log, &payload.backing_log),
        }
    }

    /// Whether the task wants Taskcluster calls signed with its own scopes.
    pub(crate) fn wants_proxy(&self) -> bool {
        match self {
            Self::Generic(payload) => payload.taskcluster_proxy,
            Self::Docker(payload) => payload.taskcluster_proxy,
        }
    }
}

/// Deserialises an object strictly, naming the path of what doesn't fit.
fn typed<T: DeserializeOwned>(object: &Map<String, Value>) -> Result<T, MalformedPayload> {
    serde_path_to_error::deserialize(Value::Object(object.clone())).map_err(|error| {
        let inner = error.path().to_string();
        let path = if inner == "." { "payload".to_owned() } else { format!("payload.{inner}") };
        MalformedPayload::at(path, error.into_inner().to_string())
    })
}

/// Checks a `maxRunTime`.
fn check_max_run_time(seconds: u64) -> Result<u64, MalformedPayload> {
    if (1..=MAX_RUN_TIME_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    Err(MalformedPayload::at("payload.maxRunTime", format!("between 1 and {MAX_RUN_TIME_SECONDS} seconds are needed")))
}

/// Checks that an environment can be given to a process.
fn check_env<'a>(env: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<(), MalformedPayload> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(MalformedPayload::at("payload.env", format!("{name:?} is no name of an environment variable")));
        }
        if value.contains('\0') {
            return Err(MalformedPayload::at(format!("payload.env.{name}"), "a NUL can't be passed to a process"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
