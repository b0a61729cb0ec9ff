//! docker-worker payloads with the docker or podman of this machine, where one of them runs containers. The image is
//! made here, of this machine's shell and what it needs: nothing is pulled.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::Upload;
use taskgraft_core::api::queue::{ClaimTaskRequest, CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, TaskState};
use taskgraft_core::time::Millis;

use crate::support::{Deployment, fresh_id};

/// What the image has.
const PROGRAMS: [&str; 4] = ["sh", "mkdir", "cat", "sleep"];

/// An engine that works, with an image of its own that goes when this does.
struct Engine {
    program: &'static str,
    image: String,
    scratch: tempfile::TempDir,
}

impl Engine {
    /// None, with a line that says why, where no engine runs a container.
    fn find() -> Option<Self> {
        let mut why = String::new();
        for program in ["docker", "podman"] {
            match Self::with(program) {
                Ok(engine) => return Some(engine),
                Err(error) => write!(why, " {program}: {}.", error.trim().lines().last().unwrap_or_default()).unwrap(),
            }
        }
        let thread = std::thread::current();
        // Not `eprintln!`: of a test that passes, nobody sees what that prints.
        let _ = writeln!(std::io::stderr(), "not run: {}: no engine runs containers.{why}", thread.name().unwrap());
        None
    }

    fn with(program: &'static str) -> Result<Self, String> {
        run(program, &["info"])?;
        let scratch = tempfile::tempdir().unwrap();
        let image = format!("localhost/taskgraft-test-{}:1", fresh_id().to_string().to_lowercase());
        // An image's name begins and ends with a letter or digit.
        let image = image.replace('_', "-").replace("-:", "x:");
        let archive = scratch.path().join("root.tar");
        pack(scratch.path(), &archive);
        run(program, &["import", &archive.display().to_string(), &image])?;
        let engine = Self { program, image, scratch };
        engine.run(&["run", "--rm", "--network=host", &engine.image, "/bin/sh", "-c", "exit 0"])?;
        Ok(engine)
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        run(self.program, arguments)
    }

    /// Whether the container of a task's first run is there in any state.
    fn has_container_of(&self, task: TaskId) -> bool {
        let name = format!("name=taskgraft-{task}-0");
        !self.run(&["ps", "--all", "--quiet", "--filter", &name]).unwrap().trim().is_empty()
    }

    async fn worker(&self, deployment: &Deployment) -> taskgraft_local::worker::Running {
        deployment.worker_with(|config| config.container_engines = vec![PathBuf::from(self.program)]).await
    }

    fn payload(&self, script: &str, changes: Value) -> Value {
        let mut payload = json!({"image": self.image, "command": ["/bin/sh", "-c", script], "maxRunTime": 60});
        for (key, value) in changes.as_object().unwrap() {
            payload[key] = value.clone();
        }
        payload
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = self.run(&["rmi", "--force", &self.image]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Packs the programs and the libraries that they are linked with, under the names that they have here.
fn pack(scratch: &Path, archive: &Path) {
    let root = scratch.join("root");
    let mut files = BTreeSet::new();
    for program in PROGRAMS {
        let path = format!("/bin/{program}");
        files
            .extend(run("ldd", &[&path]).unwrap().split_whitespace().filter(|w| w.starts_with('/')).map(str::to_owned));
        files.insert(path);
    }
    for file in files {
        let to = root.join(file.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    run(
        "tar",
        &["--create", "--file", &archive.display().to_string(), "--directory", &root.display().to_string(), "."],
    )
    .unwrap();
}

#[tokio::test]
async fn a_container_runs_the_command_and_gives_up_its_artifacts() {
    let Some(engine) = Engine::find() else { return };
    let deployment = Deployment::start().await;
    let _worker = engine.worker(&deployment).await;
    let script = "echo $GREETING; echo id=$TASK_ID home=$CARGO_MANIFEST_DIR; mkdir -p /out/d/e; echo one > /out/1.txt; \
                  echo two > /out/d/e/2.json; exit $CODE";
    let payload = |code: &str| {
        let changes = json!({
            "env": {"GREETING": "good 'day'", "CODE": code},
            "artifacts": {
                "public/1.txt": {"type": "file", "path": "/out/1.txt"},
                "public/d": {"type": "directory", "path": "/out/d/"},
            },
        });
        engine.payload(script, changes)
    };
    for (code, state) in [("0", TaskState::Completed), ("3", TaskState::Failed)] {
        let id = deployment.task(payload(code)).await;
        assert_eq!(deployment.resolved(id).await.state, state, "{}", deployment.log(id).await);
        let log = deployment.log(id).await;
        assert!(log.contains("\ngood 'day'\n") && log.contains(&format!("\nid={id} home=\n")), "{log}");
        assert_eq!(log.contains("exit code 3"), code == "3", "{log}");
        assert_eq!(deployment.artifact(id, "public/1.txt").await.unwrap(), "one\n");
        assert_eq!(deployment.artifact(id, "public/d/e/2.json").await.unwrap(), "two\n");
        gone(&engine, id).await;
    }
    let id = deployment.task(engine.payload("echo here", json!({"image": "localhost/no-such-image:1"}))).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Failed);
    let log = deployment.log(id).await;
    assert!(log.contains("no-such-image") && !log.contains("\nhere\n"), "{log}");
}

/// Waits until a task's container is removed, which nobody waits for.
async fn gone(engine: &Engine, id: TaskId) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while engine.has_container_of(id) {
        assert!(std::time::Instant::now() < until, "the container of {id} is there");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_container_that_runs_too_long_or_is_not_wanted_any_more_is_ended() {
    let Some(engine) = Engine::find() else { return };
    let deployment = Deployment::start().await;
    let worker = engine.worker(&deployment).await;
    // Deaf to whoever asks it to end.
    let script = "trap '' TERM INT; echo up; while :; do sleep 1; done";
    let id = deployment.task(engine.payload(script, json!({"maxRunTime": 2}))).await;
    assert_eq!(deployment.resolved(id).await.state, TaskState::Failed);
    let log = deployment.log(id).await;
    assert!(log.contains("\nup\n") && log.contains("longer than payload.maxRunTime"), "{log}");
    gone(&engine, id).await;

    let id = deployment.task(engine.payload(script, json!({}))).await;
    running(&engine, id).await;
    deployment.client.queue().cancel_task(id).await.unwrap();
    let status = deployment.resolved(id).await;
    assert_eq!(status.runs[0].reason_resolved, Some(ReasonResolved::Canceled));
    gone(&engine, id).await;

    // A worker that was killed leaves its container running; the next one ends it.
    drop(worker);
    let left = fresh_id();
    let run_directory = deployment.directory.path().join(format!("work/tasks/{left}-0"));
    std::fs::create_dir_all(run_directory).unwrap();
    let name = format!("--name=taskgraft-{left}-0");
    engine
        .run(&["run", "--detach", "--network=host", "--stop-signal=KILL", &name, &engine.image, "/bin/sleep", "1000"])
        .unwrap();
    assert!(engine.has_container_of(left));
    let _worker = loop {
        let work_dir = deployment.directory.path().join("work");
        let queue = crate::support::QUEUE.to_owned();
        let mut config = taskgraft_local::worker::Config::new(deployment.client.clone(), vec![queue], work_dir);
        config.container_engines = vec![PathBuf::from(engine.program)];
        // The one before lets go of its directory soon.
        match taskgraft_local::worker::Worker::start(config).await {
            Ok(worker) => break worker,
            Err(taskgraft_local::worker::StartError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(!engine.has_container_of(left));
}

/// Waits until a task's container runs.
async fn running(engine: &Engine, id: TaskId) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let name = format!("taskgraft-{id}-0");
    while engine.run(&["logs", &name]).unwrap_or_default().trim() != "up" {
        assert!(std::time::Instant::now() < until, "the container of {id} does not run");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_image_comes_from_a_task_and_a_cache_outlives_one() {
    let Some(engine) = Engine::find() else { return };
    let deployment = Deployment::start().await;
    let saved = engine.scratch.path().join("image.tar");
    engine.run(&["save", "--output", &saved.display().to_string(), &engine.image]).unwrap();
    run("zstd", &["--quiet", &saved.display().to_string()]).unwrap();
    engine.run(&["rmi", "--force", &engine.image]).unwrap();
    let task = publish(&deployment, &saved.with_extension("tar.zst")).await;
    let _worker = engine.worker(&deployment).await;

    let cache = format!("lander-{}", fresh_id());
    let scopes = json!({"scopes": [format!("docker-worker:cache:{cache}")]});
    let payload = |script: &str| {
        let image = json!({"type": "task-image", "taskId": task, "path": "public/image.tar.zst"});
        engine.payload(script, json!({"image": image, "cache": {&cache: "/cache"}}))
    };
    for (script, said) in [("echo kept > /cache/file; echo written", "\nwritten\n"), ("cat /cache/file", "\nkept\n")] {
        let id = deployment.task_with(payload(script), scopes.clone()).await;
        assert_eq!(deployment.resolved(id).await.state, TaskState::Completed, "{}", deployment.log(id).await);
        let log = deployment.log(id).await;
        assert!(log.contains(said), "{log}");
        gone(&engine, id).await;
    }
    let volumes = engine.run(&["volume", "ls", "--quiet", "--filter", "name=taskgraft-cache-"]).unwrap();
    for volume in volumes.split_whitespace() {
        // Another test's may be in use.
        let _ = engine.run(&["volume", "rm", volume]);
    }
}

/// A completed task whose artifact `public/image.tar.zst` is this file.
async fn publish(deployment: &Deployment, file: &Path) -> TaskId {
    let id = deployment.task(json!({})).await;
    let queue = deployment.client.queue();
    let who = ClaimTaskRequest { worker_group: "g".to_owned(), worker_id: "w".to_owned() };
    queue.claim_task(id, 0, &who).await.unwrap();
    let expires = Millis::from(Timestamp::now().checked_add(Span::new().hours(2)).unwrap());
    let content_type = "application/zstd".to_owned();
    let request = CreateArtifactRequest::S3 { expires, content_type, content_length: None };
    let answer = queue.create_artifact(id, 0, "public/image.tar.zst", &request).await.unwrap();
    let CreateArtifactResponse::S3 { put_url, content_type, .. } = answer else { panic!("{answer:?}") };
    let image = std::fs::read(file).unwrap();
    deployment.client.upload(&put_url, &content_type, Upload::Bytes(image.into())).await.unwrap();
    queue.report_completed(id, 0).await.unwrap();
    id
}
