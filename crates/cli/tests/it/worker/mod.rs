//! `taskgraft worker`, as processes on action tasks.

mod deeds;
mod dies;
mod ends;
mod stops;
mod tells;
mod works;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState};
use taskgraft_core::time::Millis;

use crate::server::{Up, wait_for};
use crate::waiting::until;

/// Where action tasks wait for the worker.
const QUEUE: &str = "proj-lander/action";
/// What an action task may do: all that its project may.
const SCOPES: [&str; 6] = [
    "assume:repo:github.com/example/lander:action:generic",
    "queue:create-task:*",
    "queue:route:*",
    "queue:scheduler-id:lander-level-3",
    "queue:cancel-task:*",
    "queue:rerun-task:*",
];

/// A worker's process, killed when the test ends.
struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// A worker of this name, with these arguments. The same name again is the same worker.
    fn start(up: &Up, name: &str, args: &[&str]) -> Self {
        let mut worker = up.command(["worker", "--task-queue-id", QUEUE, "--worker-id", name, "--work-dir"]);
        Self::of(up, name, worker.arg(up.dir().join(name)).args(args))
    }

    /// A worker by its command.
    fn of(up: &Up, name: &str, worker: &mut Command) -> Self {
        let log = up.dir().join(format!("{name}.log"));
        worker.stdin(Stdio::null()).stdout(Stdio::null());
        let child = worker.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { child, log }
    }

    /// What it has logged.
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line of its log that holds `part`.
    fn says(&mut self, part: &str) -> String {
        until(part, || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(part)).map(str::to_owned);
            assert!(line.is_some() || self.lives(), "{part} in\n{log}");
            line
        })
    }

    /// Whether it has not ended by itself.
    fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL.
    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end, and tells its exit code and log.
    fn ended(mut self) -> (Option<i32>, String) {
        let code = until("its end", || self.child.try_wait().unwrap()).code();
        (code, self.log())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// An action task of a push, as .taskcluster.yml makes it for docker-worker.
fn action_task(up: &Up, decision: &str, callback: &str, input: &Value) -> TaskId {
    changed_action_task(up, decision, callback, input, |_| {})
}

/// The same, changed.
fn changed_action_task(
    up: &Up,
    decision: &str,
    callback: &str,
    input: &Value,
    change: impl FnOnce(&mut Value),
) -> TaskId {
    let now = Timestamp::now();
    let at = |hours: i64| json!(Millis(now + SignedDuration::from_hours(hours)));
    let mut task = json!({
        "taskQueueId": QUEUE, "schedulerId": "lander-level-3", "taskGroupId": decision, "scopes": SCOPES,
        "created": at(0), "deadline": at(24), "expires": at(24 * 30),
        "metadata": {"name": "Action: Add", "description": "", "owner": "ann@lander.example", "source": "https://example.com"},
        "payload": {
            "image": "example/decision:latest", "maxRunTime": 1800, "command": ["taskgraph", "action-callback"],
            "features": {"taskclusterProxy": true},
            "env": {
                "ACTION_TASK_GROUP_ID": decision, "ACTION_TASK_ID": "null", "ACTION_INPUT": input.to_string(),
                "ACTION_CALLBACK": callback, "LANDER_REVISION": "a1b2c3d4e5f6",
            },
            "artifacts": {"public": {"type": "directory", "path": "/builds/artifacts", "expires": at(24 * 7)}},
        },
        "extra": {
            "tasks_for": "action", "parent": decision,
            "action": {"name": callback, "context": {"taskGroupId": decision, "taskId": null, "input": input, "clientId": "ann"}},
        },
        "tags": {"kind": "action-callback"},
    });
    change(&mut task);
    let id = TaskId::from_bytes(rand::random());
    wait_for(up.client().queue().create_task(id, task.to_string().into())).unwrap();
    id
}

/// Adds these labels.
fn add(up: &Up, decision: &str, labels: &[&str]) -> TaskId {
    action_task(up, decision, "add-new-jobs", &json!({"tasks": labels}))
}

fn status(up: &Up, task: TaskId) -> TaskStatus {
    wait_for(up.reader().queue().status(task)).unwrap()
}

/// Waits until a task is resolved for good.
fn resolved(up: &Up, task: TaskId) -> TaskStatus {
    until("the action's end", || Some(status(up, task)).filter(|status| status.state.is_resolved()))
}

/// How a task's runs ended.
fn runs(status: &TaskStatus) -> Vec<(RunState, Option<ReasonResolved>)> {
    status.runs.iter().map(|run| (run.state, run.reason_resolved)).collect()
}

/// The text of an artifact.
fn artifact(up: &Up, task: TaskId, run: Option<u16>, name: &str) -> Option<String> {
    let client = up.client();
    let to = tempfile::NamedTempFile::new().unwrap();
    wait_for(async {
        let found = client.queue().artifact(task, run, name).await;
        let location = match found {
            Err(error) if error.is_not_found() => return None,
            found => found.unwrap(),
        };
        match client.download(&location.url, to.path(), 1 << 24).await {
            // Announced, and on its way.
            Err(error) if error.is_not_found() => return None,
            downloaded => downloaded.unwrap(),
        };
        Some(std::fs::read_to_string(to.path()).unwrap())
    })
}

/// The log of a run.
fn log(up: &Up, task: TaskId) -> String {
    artifact(up, task, None, "public/logs/live.log").unwrap()
}
