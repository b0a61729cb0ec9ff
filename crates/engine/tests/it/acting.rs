//! Action tasks of an embedded Taskcluster, performed as a worker does.

use std::future::pending;

use serde_json::Value;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{MAX_NEW, Policy};
use taskgraft_core::state::ExceptionReason;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{self, ActionAsk, ActionError, ActionReport, Keep, Terms, With};

use crate::site::{Machine, SCHEDULER, Site};

/// What came of performing an action.
#[derive(Debug)]
pub(crate) struct Acted {
    pub(crate) ended: Result<ActionReport, ActionError>,
    pub(crate) log: Vec<String>,
    /// Where it wrote its artifacts.
    out: tempfile::TempDir,
}

impl Acted {
    /// Of somebody who stopped before anything was done.
    pub(crate) fn given_up() -> Self {
        Self { ended: Err(ActionError::Stopped), log: Vec::new(), out: tempfile::tempdir().unwrap() }
    }

    /// The report, or a panic with the log.
    pub(crate) fn report(&self) -> &ActionReport {
        match &self.ended {
            Ok(report) => report,
            Err(error) => panic!("failed to {error}\n{:#?}", self.log),
        }
    }

    /// Why nothing was done.
    pub(crate) fn error(&self) -> String {
        match &self.ended {
            Ok(report) => panic!("{report:#?}\n{:#?}", self.log),
            Err(error) => error.to_string(),
        }
    }

    /// What it wrote as report.json.
    pub(crate) fn written(&self) -> ActionReport {
        serde_json::from_slice(&std::fs::read(self.out.path().join("report.json")).unwrap()).unwrap()
    }

    /// Whether it wrote this artifact.
    pub(crate) fn wrote(&self, name: &str) -> bool {
        self.out.path().join(name).is_file()
    }

    pub(crate) fn says(&self, part: &str) -> bool {
        self.log.iter().any(|line| line.contains(part))
    }
}

/// An action task that runs.
pub(crate) async fn action_task(site: &Site, group: TaskId) -> OwnRun {
    let task = site.task(group, SCHEDULER, "action", &[]).await;
    site.claim(task).await;
    OwnRun { task, run: 0 }
}

/// Ends a run as a worker that goes away does, and claims the next one.
pub(crate) async fn next_run(site: &Site, own: OwnRun) -> OwnRun {
    site.client().queue().report_exception(own.task, own.run, ExceptionReason::WorkerShutdown).await.unwrap();
    site.claim(own.task).await;
    OwnRun { run: own.run + 1, ..own }
}

pub(crate) fn ask(group: TaskId, callback: &str, input: Value) -> ActionAsk {
    ActionAsk { group, task: None, input, callback: callback.to_owned() }
}

/// Performs what is asked as a run of its action task.
pub(crate) async fn perform(machine: &Machine, own: OwnRun, ask: &ActionAsk) -> Acted {
    perform_at_most(machine, own, ask, MAX_NEW).await
}

pub(crate) async fn perform_at_most(machine: &Machine, own: OwnRun, ask: &ActionAsk, max_new: usize) -> Acted {
    performed(machine, own, ask, max_new, pending(), |_| ()).await
}

/// The same, told to stop when a line of its log begins with `word`.
pub(crate) async fn stopped_at(machine: &Machine, own: OwnRun, ask: &ActionAsk, word: &str) -> Acted {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let stopped = async { stopped.await.unwrap() };
    let watch = |line: &str| {
        if line.starts_with(word)
            && let Some(stop) = stop.take()
        {
            stop.send(()).unwrap();
        }
    };
    performed(machine, own, ask, MAX_NEW, stopped, watch).await
}

async fn performed(
    machine: &Machine,
    own: OwnRun,
    ask: &ActionAsk,
    max_new: usize,
    stop: impl Future<Output = ()>,
    mut watch: impl FnMut(&str),
) -> Acted {
    let out = tempfile::tempdir().unwrap();
    let terms = Terms { max_new, ..Terms::of_task(Policy::Graft, own.task) };
    let with = With { terms, keep: Keep::Run(own), out: out.path().to_owned() };
    let mut log = Vec::new();
    let done = action::perform(&machine.means, ask, &with, stop, |line| {
        watch(line);
        log.push(line.to_owned());
    });
    let ended = done.await;
    Acted { ended, log, out }
}

/// An action task of its own for what is asked, performed.
pub(crate) async fn act(site: &Site, ask: &ActionAsk) -> (OwnRun, Acted) {
    let own = action_task(site, ask.group).await;
    (own, perform(&site.machine(own.task.as_str()), own, ask).await)
}
