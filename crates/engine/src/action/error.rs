//! Why an action, or a request, was not carried out.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use taskgraft_core::action::deed::Refusal;
use taskgraft_core::action::reserved::ReservedError;
use taskgraft_core::action::schema::InputError;
use taskgraft_core::frontier::Uncreatable;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{ArtifactsError, Moved, Plan, Strayed};

use super::gather::GatherError;
use crate::authority::AuthorityError;
use crate::planner::PlannerError;
use crate::plans::PlansError;
use crate::preflight::Missing;
use crate::push::{OtherProject, PushError};
use crate::run_plan::RunPlanError;

/// Why a request was not carried out. Nothing was created, unless an earlier try did.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// There is no such action.
    #[error("perform `{0}`: there is no such action")]
    UnknownAction(String),
    /// The input is not what the action takes.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What travels beside the input is not what it should be.
    #[error(transparent)]
    Reserved(#[from] ReservedError),
    /// The request's key stands for something else.
    #[error("perform the action: the key `{key}` asked for something else before, see {task}")]
    OtherInput {
        /// The key.
        key: String,
        /// The action task that carried it first.
        task: TaskId,
    },
    /// Whether the request's key stands for something else can't be told.
    #[error("learn what the request's key stands for: the group has more than {0} tasks")]
    Crowded(usize),
    /// The action decided that nothing is to be done.
    #[error("perform the action: {0}")]
    Refusal(#[from] Refusal),
    /// The checkout is another project's.
    #[error(transparent)]
    OtherProject(#[from] OtherProject),
    /// More would be created than one request may.
    #[error("plan the request: it asks for {asked} new tasks, and one request may create {most}")]
    TooMany {
        /// How many.
        asked: u64,
        /// The most.
        most: usize,
    },
    /// The plan is another than the one that the requester was shown.
    #[error("carry out what was shown: the facts have moved since: {}", strayed(.0))]
    Strayed(Vec<Strayed>),
    /// It was stopped before anything was done.
    #[error("perform the action: it was stopped before anything was done")]
    Stopped,
    /// What it needs can't be had.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// There is no plan.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// Labels that can't be had.
    #[error("plan {}: {}", if .0.len() == 1 { "a job" } else { "some jobs" }, refused(.0))]
    Refused(Vec<(String, String)>),
    /// The credentials don't suffice.
    #[error("create {} of the tasks: scopes are missing: {}", .0.tasks(), scopes(.0))]
    Forbidden(Missing),
    /// The credentials don't suffice to run tasks again, or to cancel them.
    #[error("run again or cancel {} of the tasks: scopes are missing: {}", .0.tasks(), scopes(.0))]
    Untendable(Missing),
    /// The plan can't be kept.
    #[error(transparent)]
    Plans(#[from] PlansError),
    /// The plan can't be kept.
    #[error(transparent)]
    RunPlan(#[from] RunPlanError),
    /// The action task belongs elsewhere.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An earlier run asked for something else.
    #[error("take up request {0}: an earlier run's plan is for something else")]
    OtherRequest(RequestId),
    /// An earlier try's plan would be another one now. What it had created stays as it is.
    #[error("finish what an earlier try began: the facts have moved since: {}", others(.moved))]
    Moved {
        /// The earlier plan.
        plan: Box<Plan>,
        /// Its tasks that exist.
        existing: BTreeSet<TaskId>,
        /// Which verdicts would be others.
        moved: Vec<Moved>,
        /// When that was looked up.
        now: Timestamp,
    },
    /// The plan can't be carried out.
    #[error("carry out the plan: {0}")]
    Uncreatable(#[from] Uncreatable),
    /// Its artifacts can't be written.
    #[error("write {}: {error}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A definition can't be completed.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// Taskcluster didn't answer.
    #[error("look at the action task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
    /// Taskcluster didn't answer about a task that the action is for.
    #[error("look up the tasks that the action is for: failed to {0}")]
    Subjects(#[source] taskgraft_client::Error),
}

impl From<PushError> for ActionError {
    fn from(error: PushError) -> Self {
        Self::Planner(error.into())
    }
}

fn refused(labels: &[(String, String)]) -> String {
    labels.iter().map(|(label, why)| format!("{label} ({why})")).collect::<Vec<_>>().join(", ")
}

fn scopes(missing: &Missing) -> String {
    missing.scopes.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn others(moved: &[Moved]) -> String {
    moved.iter().map(|moved| format!("{} would be planned otherwise", moved.label)).collect::<Vec<_>>().join("; ")
}

/// What moved, where that travelled with the request.
fn strayed(moved: &[Strayed]) -> String {
    if moved.is_empty() {
        return "which ones was not told".to_owned();
    }
    moved.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
