//! Treeherder's REST API, as far as it tells what its numbers of pushes and jobs mean.
//!
//! `project/P/push/N/` since 2018, `project/P/resultset/N/` before; `project/P/jobs/N/` always. All of them are found only
//! under their own project.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use taskgraft_client::{Config, ConfigError, Error, Site};
use taskgraft_core::ids::TaskId;
use taskgraft_core::pulse::task_of;

use super::memory::Memory;

/// The largest answer that is read, in bytes: a push comes with its commits, a job with its logs' names.
const MAX_ANSWER: u64 = 4 << 20;
/// How many pushes and how many jobs are remembered: what they are never changes.
const REMEMBERED: usize = 10_000;
/// For how long, all the same: a project may be made anew under its name.
const LASTS: Duration = Duration::from_secs(24 * 3600);

/// One Treeherder.
#[derive(Debug)]
pub struct Treeherder {
    site: Site,
    clock: std::sync::Arc<dyn taskgraft_client::Clock>,
    pushes: Memory<(String, u64), String>,
    jobs: Memory<(String, u64), KnownJob>,
}

/// A job that Treeherder knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownJob {
    /// Treeherder's number of its push.
    pub push: u64,
    /// Its task; none for a job that ran elsewhere.
    pub task: Option<TaskId>,
    /// Where it ran, such as `buildbot`, as far as Treeherder says.
    pub system: Option<String>,
}

/// What Treeherder has none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasNone {
    /// A push.
    Push,
    /// A job.
    Job,
}

/// Why Treeherder doesn't tell.
#[derive(Debug, thiserror::Error)]
pub enum TreeherderError {
    /// It doesn't know it, in this project.
    #[error("find {} {id} of {project}: Treeherder has none", if *.what == HasNone::Push { "push" } else { "job" })]
    Unknown {
        /// What.
        what: HasNone,
        /// Of which project.
        project: String,
        /// Its number.
        id: u64,
    },
    /// It answered something else.
    #[error("find {what} of {project} on Treeherder: its answer {why}")]
    Answer {
        /// What was asked about.
        what: String,
        /// Of which project.
        project: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It didn't answer.
    #[error("ask Treeherder: {0}")]
    Client(#[from] Error),
}

#[derive(Deserialize)]
struct PushAnswer {
    id: u64,
    revision: String,
}

#[derive(Deserialize)]
struct JobAnswer {
    id: u64,
    push_id: Option<u64>,
    /// The push, as it was called before 2018 and is still told.
    result_set_id: Option<u64>,
    #[serde(default)]
    job_guid: String,
    build_system_type: Option<String>,
    task_id: Option<String>,
}

impl TreeherderError {
    /// Whether asking again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_transient())
    }
}

impl Treeherder {
    /// The one at `config`'s root URL.
    ///
    /// # Errors
    /// If the URL is unusable or TLS can't be set up.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let clock = std::sync::Arc::clone(&config.clock);
        let site = Site::new(Config { max_answer: MAX_ANSWER, ..config })?;
        Ok(Self { site, clock, pushes: Memory::new(REMEMBERED, LASTS), jobs: Memory::new(REMEMBERED, LASTS) })
    }

    /// The revision of a push.
    ///
    /// # Errors
    /// If there is no such push in the project, or Treeherder doesn't say.
    pub async fn revision(&self, project: &str, id: u64) -> Result<String, TreeherderError> {
        let key = (project.to_owned(), id);
        if let Some(revision) = self.pushes.get(&key, self.clock.now()) {
            return Ok(revision);
        }
        let answer = match self.ask("push", project, id).await? {
            Some(answer) => Some(answer),
            None => self.ask("resultset", project, id).await?,
        };
        let answer =
            answer.ok_or_else(|| TreeherderError::Unknown { what: HasNone::Push, project: project.to_owned(), id })?;
        let revision = read_push(&answer, id).map_err(|why| wrong(format!("push {id}"), project, why))?;
        self.pushes.put(key, revision.clone(), self.clock.now());
        Ok(revision)
    }

    /// A job.
    ///
    /// # Errors
    /// If there is no such job in the project, or Treeherder doesn't say.
    pub async fn job(&self, project: &str, id: u64) -> Result<KnownJob, TreeherderError> {
        let key = (project.to_owned(), id);
        if let Some(job) = self.jobs.get(&key, self.clock.now()) {
            return Ok(job);
        }
        let answer = self.ask("jobs", project, id).await?;
        let answer =
            answer.ok_or_else(|| TreeherderError::Unknown { what: HasNone::Job, project: project.to_owned(), id })?;
        let job = read_job(&answer, id).map_err(|why| wrong(format!("job {id}"), project, why))?;
        self.jobs.put(key, job.clone(), self.clock.now());
        Ok(job)
    }

    /// The answer about one thing; none if there is no such thing.
    async fn ask(&self, what: &'static str, project: &str, id: u64) -> Result<Option<Value>, TreeherderError> {
        let number = id.to_string();
        match self.site.get_slashed(what, &["api", "project", project, what, &number]).await {
            // A redirect leads to a page for people, or to another server: it is no answer.
            Ok(reply) if reply.status.is_redirection() => Err(wrong(format!("{what} {id}"), project, "is a redirect")),
            Ok(reply) => match serde_json::from_slice(&reply.body) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(wrong(format!("{what} {id}"), project, "is not JSON")),
            },
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn wrong(what: String, project: &str, why: &'static str) -> TreeherderError {
    TreeherderError::Answer { what, project: project.to_owned(), why }
}

fn read_push(answer: &Value, id: u64) -> Result<String, &'static str> {
    let push = PushAnswer::deserialize(answer).map_err(|_| "lacks the push's `id` and `revision`")?;
    if push.id != id {
        return Err("is about another push");
    }
    let plain = (6..=64).contains(&push.revision.len()) && push.revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { Ok(push.revision.to_ascii_lowercase()) } else { Err("has no revision of hexadecimal digits") }
}

fn read_job(answer: &Value, id: u64) -> Result<KnownJob, &'static str> {
    let job = JobAnswer::deserialize(answer).map_err(|_| "lacks the job's `id`")?;
    if job.id != id {
        return Err("is about another job");
    }
    let push = job.push_id.or(job.result_set_id).ok_or("names no push")?;
    let task = match job.task_id {
        Some(task) => Some(task.parse().map_err(|_| "has a `task_id` that is none")?),
        None => task_of(&job.job_guid).map(|(task, _)| task),
    };
    let system =
        job.build_system_type.map(|system| system.chars().filter(|char| !char.is_control()).take(50).collect());
    Ok(KnownJob { push, task, system })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_both_times_are_read() {
        let revision = "A1B2C3D4E5F60718293A4B5C6D7E8F9001122334";
        assert_eq!(
            read_push(&json!({"id": 7, "revision": revision, "repository_id": 1}), 7),
            Ok(revision.to_lowercase())
        );
        let task = "v8_vkpAAQSGsc9Y0Ao5XBQ".parse().unwrap();
        let now = json!({"id": 9, "push_id": 7, "result_set_id": 7, "task_id": task, "retry_id": 0,
                         "build_system_type": "taskcluster", "job_guid": "bfcfef92-9000-4121-ac73-d634028e5705/0"});
        let then = json!({"id": 9, "result_set_id": 7, "build_system_type": "taskcluster",
                          "job_guid": "bfcfef92-9000-4121-ac73-d634028e5705/0"});
        let known = KnownJob { push: 7, task: Some(task), system: Some("taskcluster".into()) };
        assert_eq!([read_job(&now, 9), read_job(&then, 9)], [Ok(known.clone()), Ok(known)]);
        let other = json!({"id": 9, "result_set_id": 7, "build_system_type": "buildbot", "job_guid": "c6ae"});
        assert_eq!(read_job(&other, 9), Ok(KnownJob { push: 7, task: None, system: Some("buildbot".into()) }));
    }

    #[test]
    fn other_answers_are_refused() {
        let wrong = [
            json!([]),
            json!({"id": 8, "revision": "a1b2c3d4"}),
            json!({"id": 7}),
            json!({"id": 7, "revision": "../../etc"}),
            json!({"id": 7, "revision": "a1b2"}),
        ];
        for answer in wrong {
            assert!(read_push(&answer, 7).is_err(), "{answer}");
        }
        for answer in [
            json!({}),
            json!({"id": 9}),
            json!({"id": 8, "push_id": 7}),
            json!({"id": 9, "push_id": 7, "task_id": "x"}),
        ] {
            assert!(read_job(&answer, 9).is_err(), "{answer}");
        }
    }
}
