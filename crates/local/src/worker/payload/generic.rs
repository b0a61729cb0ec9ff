//! generic-worker's payload, after its POSIX schema.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use taskgraft_core::time::Millis;

use super::mount::{self, Mount, RawMount};
use super::names::{self, DEFAULT_BACKING_LOG, DEFAULT_LIVE_LOG};
use super::{MalformedPayload, check_env, check_max_run_time, typed};
use crate::worker::paths::RelativePath;

/// Commands that run one after another, each in a process group of its own, until one fails.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GenericPayload {
    /// One list of arguments per command; neither is empty.
    pub(crate) command: Vec<Vec<String>>,
    /// Added to the worker's minimal environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Seconds for all commands together.
    pub(crate) max_run_time: u64,
    /// What is published at the end.
    pub(crate) artifacts: Vec<Artifact>,
    /// What is placed in the task's directory before the first command.
    pub(crate) mounts: Vec<Mount>,
    /// Exit codes that mean something else than failure.
    pub(crate) on_exit_status: ExitStatuses,
    /// Whether Taskcluster calls are signed for the task at `TASKCLUSTER_PROXY_URL`.
    pub(crate) taskcluster_proxy: bool,
    /// The live log's name.
    pub(crate) live_log: String,
    /// The backing log's name.
    pub(crate) backing_log: String,
}

/// Exit codes that mean something else than failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExitStatuses {
    /// The run is given up as `exception/intermittent-task`, for the queue to try again.
    #[serde(default)]
    pub(crate) retry: Vec<i32>,
    /// The task's caches are thrown away.
    #[serde(default)]
    pub(crate) purge_caches: Vec<i32>,
}

/// What kind of thing an artifact's path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArtifactKind {
    /// One file, published under the artifact's name.
    File,
    /// Every file below it, each published under `<name>/<path in the directory>`.
    Directory,
}

/// Something to publish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Artifact {
    /// File or directory.
    pub(crate) kind: ArtifactKind,
    /// Where it is, in the task's directory.
    pub(crate) path: RelativePath,
    /// What it is called once published.
    pub(crate) name: String,
    /// Until when it is kept; as long as the task if absent.
    pub(crate) expires: Option<Millis>,
    /// Its `Content-Type`; guessed from the file's name if absent.
    pub(crate) content_type: Option<String>,
    /// Whether it may be missing.
    pub(crate) optional: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    command: Vec<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    max_run_time: u64,
    #[serde(default)]
    artifacts: Vec<RawArtifact>,
    #[serde(default)]
    mounts: Vec<RawMount>,
    #[serde(default)]
    on_exit_status: ExitStatuses,
    #[serde(default)]
    features: BTreeMap<String, bool>,
    #[serde(default)]
    logs: Logs,
    #[serde(default)]
    os_groups: Vec<String>,
    /// Allowed and unused, as in generic-worker.
    #[serde(default, rename = "supersederUrl")]
    _superseder_url: Option<String>,
    #[serde(default)]
    taskcluster_proxy_interface: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Logs {
    live: Option<String>,
    backing: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawArtifact {
    #[serde(rename = "type")]
    kind: ArtifactKind,
    path: String,
    name: Option<String>,
    expires: Option<Millis>,
    content_type: Option<String>,
    /// How it would be compressed on its way; on one machine nothing is saved by that, and readers can't tell.
    #[serde(default, rename = "contentEncoding")]
    _content_encoding: Option<ContentEncoding>,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ContentEncoding {
    Identity,
    Gzip,
}

pub(super) fn parse(object: &Map<String, Value>) -> Result<GenericPayload, MalformedPayload> {
    let raw: Raw = typed(object)?;
    check_command(&raw.command)?;
    check_env(&raw.env)?;
    if let Some(group) = raw.os_groups.first() {
        return Err(MalformedPayload::at("payload.osGroups[0]", format!("tasks can't join the group {group:?} here")));
    }
    if raw.taskcluster_proxy_interface.is_some_and(|interface| interface != "localhost") {
        return Err(MalformedPayload::at("payload.taskclusterProxyInterface", "only `localhost` is served here"));
    }
    let live_log = raw.logs.live.unwrap_or_else(|| DEFAULT_LIVE_LOG.to_owned());
    let backing_log = raw.logs.backing.unwrap_or_else(|| DEFAULT_BACKING_LOG.to_owned());
    names::check("payload.logs.live", &live_log)?;
    names::check("payload.logs.backing", &backing_log)?;
    if live_log == backing_log {
        return Err(MalformedPayload::at("payload.logs", "the live log and the backing log need different names"));
    }
    let artifacts = raw.artifacts.into_iter().enumerate().map(|(n, artifact)| check_artifact(n, artifact));
    let mounts = raw.mounts.into_iter().enumerate().map(|(n, mount)| mount::check(n, mount));
    Ok(GenericPayload {
        command: raw.command,
        env: raw.env,
        max_run_time: check_max_run_time(raw.max_run_time)?,
        artifacts: artifacts.collect::<Result<_, _>>()?,
        mounts: mounts.collect::<Result<_, _>>()?,
        on_exit_status: raw.on_exit_status,
        taskcluster_proxy: check_features(&raw.features)?,
        live_log,
        backing_log,
    })
}

fn check_command(command: &[Vec<String>]) -> Result<(), MalformedPayload> {
    if command.is_empty() {
        return Err(MalformedPayload::at("payload.command", "at least one command is needed"));
    }
    for (n, arguments) in command.iter().enumerate() {
        if arguments.first().is_none_or(String::is_empty) {
            return Err(MalformedPayload::at(
                format!("payload.command[{n}]"),
                "a command starts with a program's name",
            ));
        }
        if let Some(m) = arguments.iter().position(|argument| argument.contains('\0')) {
            let path = format!("payload.command[{n}][{m}]");
            return Err(MalformedPayload::at(path, "a NUL can't be passed to a process"));
        }
    }
    Ok(())
}

/// Whether the proxy is wanted. Features that change what a task can do are refused where they aren't had; those that
/// only switch off what this worker always does are tolerated.
fn check_features(features: &BTreeMap<String, bool>) -> Result<bool, MalformedPayload> {
    for (name, wanted) in features {
        let path = || format!("payload.features.{name}");
        match name.as_str() {
            "taskclusterProxy" | "liveLog" | "backingLog" | "resourceMonitor" => {}
            "chainOfTrust" | "interactive" | "loopbackVideo" | "loopbackAudio" | "runTaskAsCurrentUser" => {
                if *wanted {
                    return Err(MalformedPayload::at(path(), "this worker does not have that feature"));
                }
            }
            _ => return Err(MalformedPayload::at(path(), "no such feature")),
        }
    }
    Ok(features.get("taskclusterProxy").copied().unwrap_or(false))
}

fn check_artifact(n: usize, raw: RawArtifact) -> Result<Artifact, MalformedPayload> {
    let at = |key: &str| format!("payload.artifacts[{n}].{key}");
    let path = RelativePath::parse(&raw.path).map_err(|error| MalformedPayload::at(at("path"), error.to_string()))?;
    let name = raw.name.unwrap_or_else(|| path.to_string());
    // A directory may be published as `public/` or, with an empty name, under its files' own paths.
    let stem = name.trim_end_matches('/');
    if raw.kind == ArtifactKind::File || !stem.is_empty() {
        names::check(&at("name"), if raw.kind == ArtifactKind::File { &name } else { stem })?;
    }
    if let Some(content_type) = &raw.content_type {
        check_content_type(&at("contentType"), content_type)?;
    }
    Ok(Artifact {
        kind: raw.kind,
        path,
        name: if raw.kind == ArtifactKind::File { name } else { stem.to_owned() },
        expires: raw.expires,
        content_type: raw.content_type,
        optional: raw.optional,
    })
}

fn check_content_type(path: &str, text: &str) -> Result<(), MalformedPayload> {
    if text.is_empty() || text.len() > 255 || !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err(MalformedPayload::at(path, "a content type has 1 to 255 printable ASCII characters"));
    }
    Ok(())
}
