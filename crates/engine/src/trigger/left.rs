//! What an action task that has come to its end left, and whether that is what was asked for.

use bytes::Bytes;
use taskgraft_client::{Client, Error};
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Care;
use taskgraft_core::report::{ExitClass, Report, TendOutcome, TendReport};

use crate::action::ActionReport;
use crate::cancel_action::REPORT_ARTIFACT;
use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::follow::{End, Followed};

/// How many of a failed action task's last log lines are told.
const LOG_LINES: usize = 12;
/// The most bytes of a log, plan or report that are read.
const MAX_BYTES: u64 = 64 << 20;
/// What an action's log says when the plan that was shown is no longer right.
const MOVED: &str = "the facts have moved";

/// What an action task left.
#[derive(Debug, Clone)]
pub struct Left {
    /// What it says that it did, where it is taskgraft's.
    pub report: Option<ActionReport>,
    /// The jobs that exist now because of it.
    pub jobs: Vec<Followed>,
}

/// Whether an action task did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did.
    Good,
    /// It says that it did not do all of it: this.
    Fell(&'a Report),
    /// It has not come to a good end.
    NotGreen(Option<End>),
}

/// Why it isn't known what an action task left.
#[derive(Debug, thiserror::Error)]
pub enum LeftError {
    /// An artifact can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Taskcluster didn't answer.
    #[error("look up what the action task made: failed to {0}")]
    Client(#[from] Error),
}

impl Left {
    /// What `task` left: what its report says where it is taskgraft's, else whatever depends on it.
    ///
    /// # Errors
    /// If Taskcluster doesn't answer.
    pub async fn of(client: &Client, artifacts: &Artifacts, task: TaskId) -> Result<Self, LeftError> {
        let report = left(artifacts, task, REPORT_ARTIFACT).await?;
        // What anybody may have written there is no report of ours.
        let report: Option<ActionReport> = report.and_then(|text| serde_json::from_slice(&text).ok());
        let jobs = match &report {
            Some(report) => report.requests.iter().flat_map(jobs).collect(),
            None => {
                let dependents = client.queue().list_dependent_tasks(task).await?;
                let job = |member: TaskDefinitionAndStatus| Followed {
                    label: member.task.metadata.name,
                    id: member.status.task_id,
                };
                dependents.into_iter().map(job).collect()
            }
        };
        Ok(Self { report, jobs })
    }

    /// Whether that is what was asked for, given how the action task ended.
    #[must_use]
    pub fn outcome(&self, end: Option<End>) -> Outcome<'_> {
        let mut requests = self.report.iter().flat_map(|report| &report.requests);
        let fell = |request: &&Report| request.result.exit_class() != ExitClass::Success;
        match requests.find(fell) {
            Some(request) => Outcome::Fell(request),
            None if end.is_some_and(End::is_green) => Outcome::Good,
            None => Outcome::NotGreen(end),
        }
    }
}

/// An artifact that an action task may have left, of at most 64 MiB.
///
/// # Errors
/// If Taskcluster doesn't answer.
pub async fn left(artifacts: &Artifacts, task: TaskId, name: &str) -> Result<Option<Bytes>, FetchError> {
    let wanted = Wanted { task, run: None, name, max: MAX_BYTES };
    match artifacts.read(wanted).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        // Refused, too large, or not what the API promises: it is as good as not there.
        Err(FetchError::Client { error, .. }) if !error.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last lines of an action task's log, and whether they say that the plan which was shown is no longer right. A log
/// that can't be had has none.
pub async fn last_lines(artifacts: &Artifacts, task: TaskId) -> (Vec<String>, bool) {
    let log = left(artifacts, task, "public/logs/live.log").await.ok().flatten().unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let mut lines: Vec<String> =
        log.lines().rev().filter(|line| !line.trim().is_empty()).take(LOG_LINES).map(str::to_owned).collect();
    lines.reverse();
    let moved = lines.iter().any(|line| line.contains(MOVED));
    (lines, moved)
}

/// The tasks that exist now because of a request: made, or run again.
fn jobs(request: &Report) -> Vec<Followed> {
    let rerun = request.tended.iter().filter(|tend| tend.care == Care::Rerun);
    let rerun = rerun.filter(|tend| matches!(tend.outcome, TendOutcome::Done | TendOutcome::NotDue));
    let rerun = rerun.map(|tend| Followed { label: name(tend), id: tend.task_id });
    made(request).into_iter().chain(rerun).collect()
}

/// The tasks of a request that exist now.
#[must_use]
pub fn made(request: &Report) -> Vec<Followed> {
    let exist = request.tasks.iter().filter(|task| task.outcome.exists());
    exist.map(|task| Followed { label: task.label.clone(), id: task.task_id }).collect()
}

/// What a tended task is called.
#[must_use]
pub fn name(tend: &TendReport) -> String {
    tend.label.clone().unwrap_or_else(|| tend.task_id.to_string())
}
