//! What became of a request that was sent.

use serde::Serialize;
use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_engine::action::{self, ActionReport};
use taskgraft_engine::trigger::{self, Left, Outcome};
use taskgraft_engine::{End, Following, PLAN_ARTIFACT, REPORT_ARTIFACT};

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
/// Where a log is.
const LOG_ARTIFACT: &str = "public/logs/live.log";

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
    /// What is too long to be kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
}

/// A part that is too long to be kept with its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LeftOut {
    /// `plan`, or the report's `report`, `jobs` or `log`.
    what: &'static str,
    bytes: usize,
    /// The action task's artifact that has it; none: it is the tasks that depend on the action task.
    artifact: Option<&'static str>,
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
        let event = if error.is_none() { Event::Succeeded } else { Event::Failed };
        let plan =
            trigger::left(&self.artifacts, task, PLAN_ARTIFACT).await.map_err(|error| Setback::failed(true, error))?;
        let (plan, left_out) = match plan {
            Some(text) if text.len() > MAX_PLAN => {
                (None, vec![LeftOut { what: "plan", bytes: text.len(), artifact: Some(PLAN_ARTIFACT) }])
            }
            plan => (plan.and_then(|text| serde_json::from_slice(&text).ok()), Vec::new()),
        };
        let report = left.report.as_ref();
        let came = Came { action_task: task, ended: end.as_str(), jobs, report, log, buildbot, left_out };
        let report = Some(came.within(MAX_REPORT));
        let change = Change { plan, report, error: error.clone(), ..Change::default() };
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

impl Came<'_> {
    /// It as it is kept: what makes it longer than `most` bytes is left out, which it says.
    fn within(&self, most: usize) -> Value {
        let mut report = serde_json::to_value(self).unwrap_or_default();
        let mut left_out = self.left_out.clone();
        let jobs = self.report.map(|_| REPORT_ARTIFACT);
        for (what, artifact) in [("report", Some(REPORT_ARTIFACT)), ("jobs", jobs), ("log", Some(LOG_ARTIFACT))] {
            if report.to_string().len() > most
                && let Some(part) = report.as_object_mut().and_then(|fields| fields.remove(what))
            {
                left_out.push(LeftOut { what, bytes: part.to_string().len(), artifact });
                report["left_out"] = json!(left_out);
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_to_be_kept_says_so_and_where_it_is() {
        let (task, label) = (TaskId::from_bytes([1; 16]), "j".repeat(100));
        let job = || Job { label: &label, task_id: task };
        let came = |jobs, log| Came {
            action_task: task,
            ended: "failed",
            jobs,
            report: None,
            log,
            buildbot: Vec::new(),
            left_out: vec![LeftOut { what: "plan", bytes: 5_000_000, artifact: Some(PLAN_ARTIFACT) }],
        };
        let short = came(vec![job()], vec!["why".to_owned()]).within(1000);
        assert_eq!((&short["jobs"][0]["label"], &short["log"]), (&json!(label), &json!(["why"])));
        assert_eq!(short["left_out"], json!([{"what": "plan", "bytes": 5_000_000, "artifact": PLAN_ARTIFACT}]));
        let long = came((0..20).map(|_| job()).collect(), vec!["x".repeat(2000)]).within(1000);
        let left_out: Vec<_> = long["left_out"].as_array().into_iter().flatten().map(|part| &part["what"]).collect();
        assert_eq!(left_out, ["plan", "jobs", "log"]);
        assert_eq!(long["left_out"][1]["artifact"], Value::Null, "they are what depends on the action task");
        assert_eq!((long.get("jobs"), &long["ended"]), (None, &json!("failed")));
        assert!(long.to_string().len() <= 1000, "{long}");
    }
}
