//! What an action task's payload says to this worker.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taskgraft_client::run::Resolution;
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::time::Millis;

use crate::action::{ActionAsk, MalformedAsk};

/// The longest `maxRunTime`, in seconds: five days, which is as far ahead as a task's deadline may be.
const MAX_RUN_TIME: u64 = 5 * 24 * 3600;
/// As docker-worker and generic-worker name logs.
const LIVE_LOG: &str = "public/logs/live.log";
const BACKING_LOG: &str = "public/logs/live_backing.log";

/// What counts of an action task's payload, docker-worker's or generic-worker's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActionPayload {
    /// What to do.
    pub(crate) ask: ActionAsk,
    /// In seconds.
    pub(crate) max_run_time: u64,
    /// Where the log is.
    pub(crate) logs: LogNames,
    /// Until when what is published below a name is kept, by that name.
    expires: BTreeMap<String, Millis>,
}

/// Names of a run's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogNames {
    /// While it runs, and afterwards as a link.
    pub(crate) live: String,
    /// The file.
    pub(crate) backing: String,
}

impl Default for LogNames {
    fn default() -> Self {
        Self { live: LIVE_LOG.to_owned(), backing: BACKING_LOG.to_owned() }
    }
}

/// A payload that is no action's, or none that can be performed: the task is resolved `exception/malformed-payload`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedPayload {
    /// Something is missing, or of another type.
    #[error("{path}: {reason}")]
    At {
        /// Where, as `payload.maxRunTime`.
        path: String,
        /// What is wrong there, a lower-case fragment.
        reason: String,
    },
    /// The environment asks for nothing that can be done.
    #[error("payload.env: {0}")]
    Ask(#[from] MalformedAsk),
}

impl From<MalformedPayload> for Resolution {
    fn from(error: MalformedPayload) -> Self {
        Self::malformed(error.to_string())
    }
}

fn at(path: impl Into<String>, reason: impl Into<String>) -> MalformedPayload {
    MalformedPayload::At { path: path.into(), reason: reason.into() }
}

impl ActionPayload {
    /// Reads `task.payload` of the task with this status. Keys that only a container or a command would need are passed
    /// over.
    ///
    /// # Errors
    /// The first thing that is missing, of another type, or out of bounds, with its path.
    pub(crate) fn read(payload: &Value, status: &TaskStatus) -> Result<Self, MalformedPayload> {
        let object = payload.as_object().ok_or_else(|| at("payload", "an object is needed"))?;
        let env = env(object)?;
        Ok(Self {
            ask: ActionAsk::from_env(|name| env.get(name).map(|value| (*value).to_owned()))?,
            max_run_time: max_run_time(object)?,
            logs: log_names(object)?,
            expires: expiries(object, status)?,
        })
    }

    /// Until when an artifact of this name is kept, if the payload says so: as that of the artifact or directory which it
    /// is in.
    pub(crate) fn expires(&self, name: &str) -> Option<Millis> {
        let within =
            |directory: &str| name.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let holding = self.expires.iter().filter(|(directory, _)| within(directory.trim_end_matches('/')));
        holding.max_by_key(|(directory, _)| directory.len()).map(|(_, expires)| *expires)
    }
}

fn env(payload: &Map<String, Value>) -> Result<BTreeMap<&str, &str>, MalformedPayload> {
    let Some(env) = payload.get("env") else { return Ok(BTreeMap::new()) };
    let env = env.as_object().ok_or_else(|| at("payload.env", "an object is needed"))?;
    let text = |(name, value): (&'_ String, &'_ Value)| match value.as_str() {
        Some(_) => Ok(()),
        None => Err(at(format!("payload.env.{name}"), "a text is needed")),
    };
    env.iter().try_for_each(text)?;
    Ok(env.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect())
}

fn max_run_time(payload: &Map<String, Value>) -> Result<u64, MalformedPayload> {
    let seconds = payload.get("maxRunTime").and_then(Value::as_u64);
    let fits = seconds.filter(|seconds| (1..=MAX_RUN_TIME).contains(seconds));
    fits.ok_or_else(|| at("payload.maxRunTime", format!("between 1 and {MAX_RUN_TIME} seconds are needed")))
}

/// docker-worker names the live log only, as `log`; generic-worker both, in `logs`.
fn log_names(payload: &Map<String, Value>) -> Result<LogNames, MalformedPayload> {
    let text = |value: Option<&Value>, path: &str, default: String| match value {
        None => Ok(default),
        Some(Value::String(name)) if is_name(name) => Ok(name.clone()),
        Some(_) => Err(at(path, "the name of an artifact is needed")),
    };
    let names = LogNames::default();
    let Some(logs) = payload.get("logs") else {
        let live = text(payload.get("log"), "payload.log", names.live)?;
        return Ok(LogNames { live, ..names });
    };
    Ok(LogNames {
        live: text(logs.get("live"), "payload.logs.live", names.live)?,
        backing: text(logs.get("backing"), "payload.logs.backing", names.backing)?,
    })
}

fn is_name(name: &str) -> bool {
    let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    printable && (1..=1024).contains(&name.len()) && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// docker-worker has an object of artifacts by name, generic-worker a list of those with names.
fn expiries(payload: &Map<String, Value>, status: &TaskStatus) -> Result<BTreeMap<String, Millis>, MalformedPayload> {
    let read = |path: String, name: &str, artifact: &Value| match artifact.get("expires") {
        None => Ok(None),
        Some(expires) => {
            let expires = serde_json::from_value::<Millis>(expires.clone());
            let expires = expires.map_err(|error| at(format!("{path}.expires"), error.to_string()))?;
            if expires > status.expires {
                let reason = format!("{expires} is after the task expires, {}", status.expires);
                return Err(at(format!("{path}.expires"), reason));
            }
            Ok(Some((name.to_owned(), expires)))
        }
    };
    let found = match payload.get("artifacts") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(artifacts)) => artifacts
            .iter()
            .map(|(name, artifact)| read(format!("payload.artifacts.{name}"), name, artifact))
            .collect::<Result<Vec<_>, _>>()?,
        Some(Value::Array(artifacts)) => artifacts
            .iter()
            .enumerate()
            .map(|(n, artifact)| {
                let name = artifact.get("name").or_else(|| artifact.get("path")).and_then(Value::as_str);
                read(format!("payload.artifacts[{n}]"), name.unwrap_or_default(), artifact)
            })
            .collect::<Result<Vec<_>, _>>()?,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            return Err(at("payload.artifacts", "an object or a list is needed"));
        }
    };
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
