//! What became of a request that was sent.

use serde::Serialize;
use serde_json::Value;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::action::{self, ActionReport};
use taskgraft_engine::trigger::{self, Left, Outcome};
use taskgraft_engine::{End, Following, PLAN_ARTIFACT};

use super::builds;
use super::setback::{Setback, passes};
use super::turn::{Turn, Work};
use crate::buildbot::BuildReport;
use crate::journal::Change;
use crate::request::Request;
use crate::state::Event;

/// The longest plan that is kept with its request, in bytes. It stays an artifact of the action task.
const MAX_PLAN: usize = 4 << 20;
/// The longest report.
const MAX_REPORT: usize = 16 << 20;

/// What became of a request, as it is kept.
#[derive(Debug, Serialize)]
struct Came<'a> {
    /// The action task.
    action_task: TaskId,
    /// How that ended, in a word.
    ended: &'static str,
    /// The jobs that exist now because of it.
    jobs: Vec<Job<'a>>,
    /// What the action task says that it did, where it is taskgraft's: report.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a ActionReport>,
    /// The last lines of its log, where it came to a bad end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
    /// What became of builders that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buildbot: Vec<BuildReport>,
}

#[derive(Debug, Serialize)]
struct Job<'a> {
    label: &'a str,
    task_id: TaskId,
}

impl Work {
    /// What came of the action task, if it has ended.
    pub(super) async fn end(&self, request: &Request) -> Result<Turn, Setback> {
        let task = match request.action_task {
            Some(task) => task,
            None => self.came_of(request).await?,
        };
        let Some(end) = self.ended(task).await? else { return Ok(Turn::Follow(task)) };
        let left = Left::of(&self.reader, &self.artifacts, task).await?;
        let (error, log) = match left.outcome(Some(end)) {
            Outcome::Good => (None, Vec::new()),
            Outcome::Fell(report) => (Some(action::closing(report)), Vec::new()),
            Outcome::NotGreen(_) => {
                let (lines, _) = trigger::last_lines(&self.artifacts, task).await;
                let last = lines.last().map(|line| format!(": {line}")).unwrap_or_default();
                (Some(format!("the action task is {}{last}", end.as_str())), lines)
            }
        };
        let jobs = left.jobs.iter().map(|job| Job { label: &job.label, task_id: job.id }).collect();
        let buildbot = builds::told(request);
        let error =
            [error, builds::lacking(&buildbot)].into_iter().flatten().reduce(|one, other| format!("{one}; {other}"));
        let came = Came { action_task: task, ended: end.as_str(), jobs, report: left.report.as_ref(), log, buildbot };
        let event = if error.is_none() { Event::Succeeded } else { Event::Failed };
        let report = serde_json::to_value(&came).unwrap_or_default();
        let plan =
            trigger::left(&self.artifacts, task, PLAN_ARTIFACT).await.map_err(|error| Setback::failed(true, error))?;
        let plan = plan.filter(|text| text.len() <= MAX_PLAN).and_then(|text| serde_json::from_slice(&text).ok());
        let change = Change { plan, report: Some(bounded(report)), error: error.clone(), ..Change::default() };
        self.journal.apply(&request.id, event, change).await?;
        match error {
            None => tracing::info!(jobs = came.jobs.len(), "done"),
            Some(why) => tracing::warn!(%why, "failed"),
        }
        Ok(Turn::Over)
    }

    /// How the action task ended, if it has.
    async fn ended(&self, task: TaskId) -> Result<Option<End>, Setback> {
        let mut following = Following::default();
        let look = async {
            following.add(&self.reader, &[task]).await?;
            following.look(&self.reader).await
        };
        let look = look.await.map_err(|error| {
            let passes = passes(&error);
            Setback::failed(passes, format!("look at the action task: failed to {error}"))
        })?;
        Ok(look.ends.get(&task).copied())
    }
}

/// Without what the action task says where that is too long.
fn bounded(mut report: Value) -> Value {
    if report.to_string().len() > MAX_REPORT
        && let Some(fields) = report.as_object_mut()
    {
        fields.remove("report");
        fields.remove("jobs");
    }
    report
}
