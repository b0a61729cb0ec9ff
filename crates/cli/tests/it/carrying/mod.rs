//! `taskgraft serve`, as a process before an embedded Taskcluster.

mod builders;
mod carried;
mod configured;
mod dies;
mod recorded;
mod refused;
mod undone;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::SystemClock;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;
use taskgraft_service::journal::{AuditFilter, Change, Journal, Page, Settings};
use taskgraft_service::{Asked, Asker, Authority, Door, Event, NewRequest, PushName, Request};
use tokio::runtime::Runtime;

use crate::pushes::DECISION;
use crate::server::{Up, wait_for};
use crate::waiting::until;

/// All that it takes to ask for the push's generic actions.
const TRIGGER: &str = "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*";
/// The exchange that the rule of [`CONFIG`] lets messages of through.
const EXCHANGE: &str = "exchange/treeherder/v1/resultset-runnable-job-actions";
/// The role of messages.
const ROLE: &str = "project:lander:pulse";
const CONFIG: &str = r#"
journal = "journal.sqlite"
carry.longest_pause = "200 ms"
http.listen = "127.0.0.1:0"

[project.lander]
level = "3"
trust_domain = "lander"
repository = "https://github.com/example/lander"

[[project.lander.pulse.allow]]
exchanges = ["exchange/treeherder/v1/*"]
requesters = ["*@lander.example"]
actions = ["add-new-jobs", "run-missing-jobs"]
max_jobs = 3
role = "project:lander:pulse"

[project.other]
level = "1"
"#;

/// A running `taskgraft serve`, killed when the test ends.
struct Serving {
    child: Child,
    log: PathBuf,
}

impl Serving {
    /// With [`CONFIG`], on the deployment at `root_url`.
    fn at(up: &Up, root_url: &str) -> Self {
        Self::with(up, &[("TASKCLUSTER_ROOT_URL", root_url)])
    }

    /// With [`CONFIG`], and these variables beside what is usual.
    fn with(up: &Up, variables: &[(&str, &str)]) -> Self {
        Self::told(up, CONFIG, variables)
    }

    fn told(up: &Up, config: &str, variables: &[(&str, &str)]) -> Self {
        std::fs::write(up.dir().join("service.toml"), config).unwrap();
        let log = up.dir().join("serve.log");
        let mut serve = up.command(["serve", "--config", "service.toml"]);
        serve.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let file = File::options().create(true).append(true).open(&log).unwrap();
        Self { child: serve.stderr(file).spawn().unwrap(), log }
    }

    fn start(up: &Up) -> Self {
        Self::at(up, up.root_url())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGTERM, and its end.
    fn stopped(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// The journal, as another process reads and writes it.
struct Book {
    runtime: Runtime,
    journal: Journal,
}

impl Book {
    fn open(up: &Up) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = Settings { look: None, ..Settings::default() };
        let path = up.dir().join("journal.sqlite");
        let opened = Journal::open(&path, settings, Arc::new(SystemClock));
        let journal = runtime.block_on(opened).unwrap();
        Self { runtime, journal }
    }

    fn receive(&self, new: NewRequest) -> RequestId {
        self.runtime.block_on(self.journal.receive(new)).unwrap().request().id.clone()
    }

    fn find(&self, id: &RequestId) -> Request {
        self.runtime.block_on(self.journal.get(id)).unwrap().unwrap()
    }

    fn apply(&self, id: &RequestId, event: Event, change: Change) {
        self.runtime.block_on(self.journal.apply(id, event, change)).unwrap();
    }

    /// The request at its end.
    fn ended(&self, id: &RequestId) -> Request {
        until("the request's end", || {
            let request = self.find(id);
            Some(request).filter(|request| request.state.is_terminal())
        })
    }

    /// What the audit log says of a request, the oldest first: what came of it, and why.
    fn audited(&self, id: &RequestId) -> Vec<(String, String)> {
        let filter = AuditFilter { request: Some(id.clone()), ..AuditFilter::default() };
        let listed = self.runtime.block_on(self.journal.audited(filter, Page::first(100))).unwrap();
        listed.items.into_iter().rev().map(|audited| (audited.entry.outcome, audited.entry.why)).collect()
    }

    fn lines(&self, id: &RequestId) -> Vec<Value> {
        let listed = self.runtime.block_on(self.journal.log_of(id, Page::first(100))).unwrap();
        listed.items.iter().map(|line| serde_json::from_str(&line.text).unwrap()).collect()
    }
}

/// Somebody with these scopes, for an hour.
fn ann(scopes: &[&str]) -> Authority {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Authority::Scopes { scopes, expires: Millis(Timestamp::now() + SignedDuration::from_hours(1)) }
}

/// Whoever a message names.
fn message() -> Authority {
    Authority::Policy { exchange: EXCHANGE.to_owned() }
}

/// A request for jobs on the push.
fn wish(key: &str, authority: Authority, tasks: &[&str]) -> NewRequest {
    let door = if matches!(authority, Authority::Policy { .. }) { Door::Pulse } else { Door::Http };
    NewRequest {
        key: key.to_owned(),
        door,
        asker: Asker { name: "ann@lander.example".to_owned(), authority },
        asked: Asked {
            project: Some("lander".to_owned()),
            push: PushName::Decision(DECISION.parse::<TaskId>().unwrap()),
            resultset: None,
            action: "add-new-jobs".to_owned(),
            subject: None,
            input: json!({"tasks": tasks}),
        },
    }
}

fn state(up: &Up, task: TaskId) -> TaskState {
    wait_for(up.client().queue().status(task)).unwrap().state
}

/// The job of this label that a request made.
fn made(request: &Request, label: &str) -> TaskId {
    let report = request.report.as_ref().unwrap();
    let jobs = report["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["label"] == label).unwrap_or_else(|| panic!("{label} in {report}"));
    job["task_id"].as_str().unwrap().parse().unwrap()
}
