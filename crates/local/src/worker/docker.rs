//! docker-worker payloads, run by docker or podman where one of them really works.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use taskgraft_client::run::{Resolution, Session, TaskLog};
use taskgraft_client::run::{RunOf, directory_name};
use taskgraft_core::api::queue::ArtifactErrorReason;
use tokio::process::Command;
use tokio::time::Instant;

use super::archive::{self, WhileWanted};
use super::artifacts::{content_type, publish, report_problem};
use super::mounts::{fetch_artifact, fetch_indexed};
use super::paths::RelativePath;
use super::payload::{Artifact, ArtifactKind, DockerPayload, FileFormat, Image};
use super::process::{self, Ended, Environment, Spawn};
use super::resolution;

/// How long an engine may take to say that it works.
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How many containers are removed at once.
const REMOVED_AT_ONCE: usize = 8;

/// What is said where no engine works. The task fails: nothing is wrong with its payload, and a retry on the same
/// machine would end the same.
pub(crate) const NO_ENGINE: &str =
    "its payload wants a container (payload.image), and neither docker nor podman works on this machine";

/// A task in a container.
pub(crate) struct Container<'a> {
    /// The run.
    pub(crate) session: &'a Session,
    /// Its log.
    pub(crate) log: &'a TaskLog,
    /// The engine's program.
    pub(crate) engine: &'a Path,
    /// Where the engine's own process runs, and artifacts are copied to.
    pub(crate) directory: &'a Path,
    /// The container's name.
    pub(crate) name: String,
}

/// Checks what a payload needs of its task: scopes for caches, and for what amounts to root on this machine. As
/// docker-worker has them.
pub(crate) async fn check(session: &Session, payload: &DockerPayload) -> Result<(), Resolution> {
    let caches = payload.cache.keys().map(|name| format!("docker-worker:cache:{name}"));
    let privileged = payload.privileged.then(|| "docker-worker:capability:privileged".to_owned());
    session.check_scopes(caches.chain(privileged)).await
}

/// The first of `engines` that works. Engines run in the worker's own environment, where their settings are; what is in
/// a container sees nothing of that.
pub(crate) async fn find_engine(engines: &[PathBuf]) -> Option<&Path> {
    for engine in engines {
        let mut command = Command::new(engine);
        command.arg("info").kill_on_drop(true);
        command.stdin(Stdio::null());
        if let Ok(Ok(output)) = tokio::time::timeout(ENGINE_ANSWERS_WITHIN, command.output()).await
            && output.status.success()
        {
            return Some(engine);
        }
    }
    None
}

/// The container of a run.
pub(crate) fn container_name(run: RunOf) -> String {
    format!("taskgraft-{}", directory_name(run))
}

/// Removes the containers of runs that another worker left behind: killing a worker doesn't end them. Waits for no engine
/// longer than for one that is asked whether it works.
pub(crate) async fn remove_left(engines: &[PathBuf], left: &[RunOf]) {
    remove_within(ENGINE_ANSWERS_WITHIN, engines, left).await;
}

async fn remove_within(time: Duration, engines: &[PathBuf], left: &[RunOf]) {
    let each = engines.iter().flat_map(|engine| left.iter().map(move |run| (engine, container_name(*run))));
    let removing = stream::iter(each).for_each_concurrent(REMOVED_AT_ONCE, async |(engine, name)| {
        let mut command = Command::new(engine);
        command.args(["rm", "--force", &name]).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Most runs had no container, and most machines have not all engines.
        let _ = command.status().await;
    });
    if tokio::time::timeout(time, removing).await.is_err() {
        tracing::warn!("an engine does not answer: containers of an earlier worker may still run");
    }
}

/// Removes its container when dropped: what runs in it is not in our process group.
struct Remover {
    command: Option<Command>,
}

impl Drop for Remover {
    fn drop(&mut self) {
        if let Some(mut command) = self.command.take()
            && let Err(error) = command.spawn()
        {
            tracing::warn!(%error, "could not remove a container");
        }
    }
}

impl Container<'_> {
    /// Runs the payload's command and publishes its artifacts. `env` is what the container sees.
    pub(crate) async fn run(
        &self,
        payload: &DockerPayload,
        env: &BTreeMap<String, String>,
        deadline: Instant,
    ) -> Result<(), Resolution> {
        let image = self.image(&payload.image).await?;
        let mut remove = self.command(&["rm", "--force", &self.name]);
        remove.stdout(Stdio::null()).stderr(Stdio::null());
        let remover = Remover { command: Some(remove) };
        let command = self.run_command(payload, env, &image);
        self.log.say(&format!("Running {image} with {}", self.engine.display()));
        let spawn = Spawn { command: &command, env: Environment::Inherited, directory: self.directory };
        let ended = process::run(&spawn, self.log, tokio::time::sleep_until(deadline)).await;
        let ended = ended.map_err(|error| Resolution::Failed(error.to_string()))?;
        let outcome = resolution::of_command(ended, &payload.on_exit_status, payload.max_run_time);
        if matches!(ended, Ended::Stopped(())) {
            self.engine_output(&["kill", &self.name]).await?;
        }
        let published = self.publish(payload).await;
        drop(remover);
        outcome.and(published)
    }

    fn run_command(&self, payload: &DockerPayload, env: &BTreeMap<String, String>, image: &str) -> Vec<String> {
        let mut command: Vec<String> = vec![self.engine.display().to_string(), "run".to_owned()];
        // The deployment, its artifacts and the task's proxy are on this machine's loopback interface. There is no
        // --init: podman needs another package for that, and builds of docker images don't expect it. Whoever stops a
        // container means it: without a signal of their own engines wait ten seconds.
        command.extend(["--network=host".to_owned(), "--stop-signal=KILL".to_owned(), format!("--name={}", self.name)]);
        if payload.privileged {
            command.push("--privileged".to_owned());
        }
        for (name, path) in &payload.cache {
            command.push(format!("--volume={}:{path}", volume(name)));
        }
        command.extend(env.iter().map(|(name, value)| format!("--env={name}={value}")));
        command.push(image.to_owned());
        command.extend(payload.command.iter().cloned());
        command
    }

    /// The image's name for the engine, loaded if it comes from a task.
    async fn image(&self, image: &Image) -> Result<String, Resolution> {
        let file = self.directory.join("image");
        let path = match image {
            Image::Registry(name) => return Ok(name.clone()),
            Image::Task { task_id, path } => {
                fetch_artifact(self.session, *task_id, path, &file).await?;
                path
            }
            Image::Indexed { namespace, path } => {
                fetch_indexed(self.session, namespace, path, &file).await?;
                path
            }
        };
        let file = if path.ends_with(".zst") { unzstd(file).await? } else { file };
        let loaded = self.engine_output(&["load", "--input", &file.display().to_string()]).await?;
        loaded_image(&loaded).ok_or_else(|| Resolution::Failed(format!("{path} holds no image: {}", loaded.trim())))
    }

    /// Copies artifacts out of the container and publishes them.
    async fn publish(&self, payload: &DockerPayload) -> Result<(), Resolution> {
        let mut outcome = Ok(());
        for (n, (name, artifact)) in payload.artifacts.iter().enumerate() {
            let local = format!("artifact-{n}");
            let target = self.directory.join(&local).display().to_string();
            let copied = self.engine_output(&["cp", &format!("{}:{}", self.name, artifact.path), &target]).await;
            if let Err(error) = copied {
                let why = format!("artifact {name}: there is nothing to be had at {}: {error}", artifact.path);
                self.log.complain(&why);
                let reason = ArtifactErrorReason::FileMissingOnWorker;
                let reported = report_problem(self.session, name, reason, &why, artifact.expires).await;
                outcome = outcome.and(reported).and(Err(Resolution::Failed(why)));
                continue;
            }
            let file = artifact.kind == ArtifactKind::File;
            let artifact = Artifact {
                kind: artifact.kind,
                path: RelativePath::parse(&local)
                    .map_err(|error| Resolution::internal("an artifact's copy", &error))?,
                name: name.trim_end_matches('/').to_owned(),
                expires: artifact.expires,
                content_type: file.then(|| content_type(Path::new(&artifact.path)).to_owned()),
                optional: false,
            };
            outcome = outcome.and(publish(self.session, self.log, self.directory, &[artifact]).await);
        }
        outcome
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.engine);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// What the engine says on its standard output, if it succeeds.
    async fn engine_output(&self, arguments: &[&str]) -> Result<String, Resolution> {
        let verb = arguments.first().copied().unwrap_or_default();
        let output = self.command(arguments).kill_on_drop(true).output().await;
        let output = output.map_err(|error| Resolution::internal(verb, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(500).collect();
        Err(Resolution::Failed(format!("{} {verb}: {said}", self.engine.display())))
    }
}

/// A volume's name for a cache: names of caches hold characters that engines refuse.
fn volume(cache: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, cache.as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("taskgraft-cache-{hex}")
}

/// The image that `docker load` says it loaded.
fn loaded_image(said: &str) -> Option<String> {
    let prefixes = ["Loaded image: ", "Loaded image ID: ", "Loaded image(s): "];
    let line = |line: &str| prefixes.iter().find_map(|prefix| line.trim().strip_prefix(prefix).map(str::to_owned));
    said.lines().filter_map(line).next_back()
}

async fn unzstd(file: PathBuf) -> Result<PathBuf, Resolution> {
    let to = file.with_extension("tar");
    let unpacked = to.clone();
    let whole = WhileWanted::default();
    let wanted = whole.wanted();
    let done = tokio::task::spawn_blocking(move || archive::decompress(&file, FileFormat::Zst, &to, &wanted)).await;
    done.map_err(|error| Resolution::internal("unpacking an image", &error))?
        .map_err(|error| Resolution::Failed(format!("the image can't be unpacked: {error}")))?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_image_is_read_from_what_engines_say() {
        assert_eq!(loaded_image("Loaded image: lander:1\n").as_deref(), Some("lander:1"));
        assert_eq!(loaded_image("x\nLoaded image ID: sha256:ab\n").as_deref(), Some("sha256:ab"));
        assert_eq!(loaded_image("error"), None);
    }

    #[tokio::test]
    async fn an_engine_that_hangs_is_awaited_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let engine = dir.path().join("engine");
        std::fs::write(&engine, "#!/bin/sh\nexec sleep 60\n").unwrap();
        std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o700)).unwrap();
        let left: Vec<RunOf> = (0..30).map(|n| ("AWMGHageTNSYfeRM0ntW-g".parse().unwrap(), n)).collect();
        let began = Instant::now();
        remove_within(Duration::from_secs(1), &[engine.clone(), engine], &left).await;
        // Not a second for each.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_engine_counts_only_if_it_works() {
        let engines = ["no-such-engine".into(), "false".into(), "true".into()];
        assert_eq!(find_engine(&engines).await, Some(Path::new("true")));
        assert_eq!(find_engine(&engines[..2]).await, None);
    }
}
