//! examples/lander: where it is, and what a push of it consists of.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taskgraft_core::action::setup::Setup;
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;

use crate::exit::{Failure, chain};
use crate::project;

/// Where its jobs run.
pub(super) const QUEUES: [&str; 2] = ["proj-lander/b-linux", "proj-lander/t-linux"];
/// Where its decision tasks run, of which the demo itself plays the worker, and its action tasks.
pub(super) const DECISION_QUEUE: &str = "proj-lander/decision";
/// The artifacts that a decision task has before it creates anything.
pub(super) const ARTIFACTS: [&str; 5] =
    ["full-task-graph.json", "parameters.yml", "target-tasks.json", "runnable-jobs.json", "actions.json"];

/// The project's directory.
#[derive(Debug)]
pub(super) struct Lander {
    dir: PathBuf,
}

/// The facts of a push.
#[derive(Debug, Deserialize)]
pub(super) struct PushFacts {
    pub(super) decision_task_id: TaskId,
}

impl Lander {
    /// The directory that was named, or examples/lander here or above.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let is_lander = |dir: &Path| dir.join("pushes/1/push.json").is_file();
        let here = std::env::current_dir()?;
        let dir = match named {
            Some(dir) => Some(here.join(dir)),
            None => here.ancestors().map(|dir| dir.join("examples/lander")).find(|dir| is_lander(dir)),
        };
        match dir {
            Some(dir) if is_lander(&dir) => Ok(Self { dir }),
            Some(dir) => Err(Failure::mistake(format!("{} is not examples/lander", dir.display()))),
            None => Err(Failure::mistake("examples/lander is not here")
                .note("run it", "in a clone of taskgraft, or with --lander DIR")),
        }
    }

    /// The roles and hooks that its actions need.
    pub(super) fn setup(&self) -> Result<Setup, Failure> {
        project::setup(&self.dir, &[], &[])
    }

    /// Where a push's recorded artifacts are.
    pub(super) fn push_dir(&self, push: &str) -> PathBuf {
        self.dir.join("pushes").join(push)
    }

    /// A file of a push as JSON.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, push: &str, name: &str) -> Result<T, Failure> {
        let path = self.push_dir(push).join(name);
        let bytes = std::fs::read(&path).map_err(|why| unreadable(&path, &why))?;
        serde_json::from_slice(&bytes).map_err(|why| unreadable(&path, &why))
    }

    /// The decision task's definition as it is created now.
    pub(super) fn decision_task(&self, push: &str, now: Timestamp) -> Result<Value, Failure> {
        let mut task: Map<String, Value> = self.read(push, "decision-task.json")?;
        task.remove("taskId");
        let mut set = |name: &str, days: i64| task.insert(name.to_owned(), json!(Millis(later(now, days))));
        set("created", 0);
        set("deadline", 1);
        set("expires", 28);
        Ok(Value::Object(task))
    }

    /// Packs the push's sources, as its decision task would.
    pub(super) async fn pack(&self, push: &str, to: &Path) -> Result<(), Failure> {
        let script = self.dir.join("ci/archive.py");
        let output = tokio::process::Command::new("python3")
            .arg(&script)
            .arg(push)
            .arg(to)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|why| Failure::other(format!("failed to run python3: {why}")).note("needed", "Python 3"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::other(format!("{} failed", script.display())).notes("it said", said.lines().map(str::to_owned)))
    }
}

/// So many days from a moment; the moment itself where time ends.
pub(super) fn later(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(now)
}

fn unreadable(path: &Path, why: &dyn std::error::Error) -> Failure {
    Failure::mistake(format!("failed to read {}: {}", path.display(), chain(why)))
}
