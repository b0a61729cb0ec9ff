//! docker-worker's payload.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;

use super::generic::{ArtifactKind, ExitStatuses};
use super::names::{self, DEFAULT_LIVE_LOG};
use super::{MalformedPayload, check_env, check_max_run_time, typed};

/// One command in a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DockerPayload {
    /// Where the image comes from.
    pub(crate) image: Image,
    /// Arguments; the image's own command if empty.
    pub(crate) command: Vec<String>,
    /// Environment of the command.
    pub(crate) env: BTreeMap<String, String>,
    /// Seconds for the command.
    pub(crate) max_run_time: u64,
    /// What is published at the end, by name.
    pub(crate) artifacts: BTreeMap<String, ContainerArtifact>,
    /// Volumes that outlive the task: cache name to path in the container.
    pub(crate) cache: BTreeMap<String, String>,
    /// Exit codes that mean something else than failure.
    pub(crate) on_exit_status: ExitStatuses,
    /// Whether the container runs privileged.
    pub(crate) privileged: bool,
    /// Whether Taskcluster calls are signed for the task at `TASKCLUSTER_PROXY_URL`.
    pub(crate) taskcluster_proxy: bool,
    /// The live log's name.
    pub(crate) live_log: String,
    /// The backing log's name.
    pub(crate) backing_log: String,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Image {
    /// A registry, by name and tag.
    Registry(String),
    /// An artifact of a task.
    Task {
        /// Whose.
        task_id: TaskId,
        /// The artifact's name.
        path: String,
    },
    /// An artifact of whatever task the index names.
    Indexed {
        /// The index path.
        namespace: String,
        /// The artifact's name.
        path: String,
    },
}

/// Something to publish out of the container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerArtifact {
    /// File or directory.
    pub(crate) kind: ArtifactKind,
    /// Where it is in the container, absolute.
    pub(crate) path: String,
    /// Until when it is kept; as long as the task if absent.
    pub(crate) expires: Option<Millis>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    image: Value,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    max_run_time: u64,
    #[serde(default)]
    artifacts: BTreeMap<String, RawArtifact>,
    #[serde(default)]
    cache: BTreeMap<String, String>,
    #[serde(default)]
    on_exit_status: ExitStatuses,
    #[serde(default)]
    capabilities: Capabilities,
    #[serde(default)]
    features: BTreeMap<String, bool>,
    #[serde(default)]
    log: Option<String>,
    /// Allowed and unused, as in docker-worker.
    #[serde(default, rename = "supersederUrl")]
    _superseder_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Capabilities {
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    disable_seccomp: bool,
    #[serde(default)]
    devices: BTreeMap<String, bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArtifact {
    #[serde(rename = "type")]
    kind: RawKind,
    path: String,
    expires: Option<Millis>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    File,
    Directory,
    Volume,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawImage {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    task_id: Option<TaskId>,
    namespace: Option<String>,
    path: Option<String>,
}

pub(super) fn parse(object: &Map<String, Value>) -> Result<DockerPayload, MalformedPayload> {
    let raw: Raw = typed(object)?;
    check_env(&raw.env)?;
    check_capabilities(&raw.capabilities)?;
    if let Some(n) = raw.command.iter().position(|argument| argument.contains('\0')) {
        return Err(MalformedPayload::at(format!("payload.command[{n}]"), "a NUL can't be passed to a process"));
    }
    for (name, path) in &raw.cache {
        if !path.starts_with('/') || path.contains([':', '\0']) {
            return Err(MalformedPayload::at(format!("payload.cache.{name}"), "an absolute path is needed"));
        }
    }
    let live_log = raw.log.unwrap_or_else(|| DEFAULT_LIVE_LOG.to_owned());
    names::check("payload.log", &live_log)?;
    let artifacts = raw.artifacts.into_iter().map(|(name, artifact)| {
        let artifact = check_artifact(&name, artifact)?;
        Ok((name, artifact))
    });
    Ok(DockerPayload {
        image: check_image(&raw.image)?,
        command: raw.command,
        env: raw.env,
        max_run_time: check_max_run_time(raw.max_run_time)?,
        artifacts: artifacts.collect::<Result<_, MalformedPayload>>()?,
        cache: raw.cache,
        on_exit_status: raw.on_exit_status,
        privileged: raw.capabilities.privileged,
        taskcluster_proxy: check_features(&raw.features)?,
        backing_log: names::backing_of(&live_log),
        live_log,
    })
}

fn check_image(image: &Value) -> Result<Image, MalformedPayload> {
    let refused = || MalformedPayload::at("payload.image", "this is no image that docker-worker knows");
    let registry = |name: String| {
        // A name that starts with a dash would be taken for an option.
        if name.is_empty() || name.starts_with('-') || name.contains(['\0', ' ']) {
            return Err(MalformedPayload::at("payload.image", format!("{name:?} is no image's name")));
        }
        Ok(Image::Registry(name))
    };
    let object = match image {
        Value::String(name) => return registry(name.clone()),
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(refused()),
    };
    let raw: RawImage = serde_path_to_error::deserialize(Value::Object(object.clone()))
        .map_err(|error| MalformedPayload::at("payload.image", error.into_inner().to_string()))?;
    match (raw.kind.as_str(), raw.name, raw.task_id, raw.namespace, raw.path) {
        ("docker-image", Some(name), None, None, None) => registry(name),
        ("task-image", None, Some(task_id), None, Some(path)) => Ok(Image::Task { task_id, path }),
        ("indexed-image", None, None, Some(namespace), Some(path)) => Ok(Image::Indexed { namespace, path }),
        _ => Err(refused()),
    }
}

fn check_capabilities(capabilities: &Capabilities) -> Result<(), MalformedPayload> {
    if capabilities.disable_seccomp {
        return Err(MalformedPayload::at("payload.capabilities.disableSeccomp", "this worker does not have that"));
    }
    match capabilities.devices.iter().find(|(_, wanted)| **wanted) {
        Some((device, _)) => Err(MalformedPayload::at(
            format!("payload.capabilities.devices.{device}"),
            "this worker passes no devices to containers",
        )),
        None => Ok(()),
    }
}

/// Whether the proxy is wanted. `chainOfTrust` is tolerated: images and toolchains ask for it everywhere, and what
/// lacks it here is a signature that nothing on one machine checks.
fn check_features(features: &BTreeMap<String, bool>) -> Result<bool, MalformedPayload> {
    for (name, wanted) in features {
        let path = || format!("payload.features.{name}");
        match name.as_str() {
            "taskclusterProxy" | "localLiveLog" | "bulkLog" | "artifacts" | "chainOfTrust" => {}
            "interactive" | "allowPtrace" => {
                if *wanted {
                    return Err(MalformedPayload::at(path(), "this worker does not have that feature"));
                }
            }
            _ => return Err(MalformedPayload::at(path(), "no such feature")),
        }
    }
    Ok(features.get("taskclusterProxy").copied().unwrap_or(false))
}

fn check_artifact(name: &str, raw: RawArtifact) -> Result<ContainerArtifact, MalformedPayload> {
    let at = format!("payload.artifacts.{name}");
    names::check(&at, name.trim_end_matches('/'))?;
    let kind = match raw.kind {
        RawKind::File => ArtifactKind::File,
        // A volume is a directory that exists before the command; its files are published alike.
        RawKind::Directory | RawKind::Volume => ArtifactKind::Directory,
    };
    if !raw.path.starts_with('/') || raw.path.contains('\0') {
        return Err(MalformedPayload::at(format!("{at}.path"), "an absolute path in the container is needed"));
    }
    Ok(ContainerArtifact { kind, path: raw.path, expires: raw.expires })
}
