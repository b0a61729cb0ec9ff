//! From the way a message names its push and job to a decision task and a task, and whether these belong together.

use std::collections::BTreeMap;
use std::sync::Arc;

use taskgraft_client::{Client, Config as ClientConfig, ConfigError};
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;
use taskgraft_engine::PushRef;

use super::treeherder::{Treeherder, TreeherderError};
use crate::asked::{Asked, PushName, Subject};
use crate::config::Project;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The push's decision task.
    pub decision: TaskId,
    /// The revision that the asker means, in full or its beginning, where it was told or looked up; it has to be the push's.
    pub revision: Option<String>,
    /// The task that the action is for.
    pub subject: Option<TaskId>,
}

/// Why a push or its task can't be found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Only a Treeherder knows, and none is configured.
    #[error("find {what} {id} of {project}: no Treeherder is configured for the project")]
    NoTreeherder {
        /// `push` or `job`.
        what: &'static str,
        /// The project.
        project: String,
        /// The number.
        id: u64,
    },
    /// Treeherder doesn't know either.
    #[error(transparent)]
    Treeherder(#[from] TreeherderError),
    /// The job is no task.
    #[error("find job {id} of {project}: it is not of Taskcluster, but of {system}")]
    NoTask {
        /// The project.
        project: String,
        /// The job's number.
        id: u64,
        /// Where it ran.
        system: String,
    },
    /// The index has no decision task for it, or Taskcluster doesn't answer.
    #[error(transparent)]
    Push(#[from] taskgraft_engine::ResolveError),
}

/// A push that is not the one that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It is another project's.
    #[error("act on the push of {decision}: it is of the project {theirs}, not of {asked}")]
    Project {
        /// The decision task.
        decision: TaskId,
        /// What its parameters say.
        theirs: String,
        /// What the asker says.
        asked: String,
    },
    /// It is of another revision.
    #[error("act on the push of {decision}: it is of revision {theirs}, and {asked} is meant")]
    Revision {
        /// The decision task.
        decision: TaskId,
        /// What its parameters say.
        theirs: String,
        /// What the asker means.
        asked: String,
    },
}

impl ResolveError {
    /// Whether trying again later may help: somebody didn't answer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Treeherder(error) => error.is_transient(),
            Self::Push(taskgraft_engine::ResolveError::Client(error)) => error.is_transient(),
            Self::Push(_) | Self::NoTreeherder { .. } | Self::NoTask { .. } => false,
        }
    }
}

/// Finds pushes, in the index and where their projects have a Treeherder.
#[derive(Debug, Clone)]
pub struct Resolver {
    client: Client,
    /// By the name that messages call the project.
    treeherders: BTreeMap<String, Arc<Treeherder>>,
}

impl Resolver {
    /// With the Treeherders of these projects, asked with the patience of `client`. Projects on one of them share what it
    /// answered.
    ///
    /// # Errors
    /// If one's URL is unusable, or TLS can't be set up.
    pub fn new(client: Client, projects: &BTreeMap<String, Project>) -> Result<Self, ConfigError> {
        let mut by_url: BTreeMap<&str, Arc<Treeherder>> = BTreeMap::new();
        let mut treeherders = BTreeMap::new();
        for (name, project) in projects {
            let Some(known) = &project.treeherder else { continue };
            let treeherder = match by_url.get(known.url.as_str()) {
                Some(there) => Arc::clone(there),
                None => {
                    let config = ClientConfig { root_url: known.url.clone(), ..client.config().clone() };
                    let made = Arc::new(Treeherder::new(config)?);
                    by_url.insert(&known.url, Arc::clone(&made));
                    made
                }
            };
            treeherders.insert(known.project.clone().unwrap_or_else(|| name.clone()), treeherder);
        }
        Ok(Self { client, treeherders })
    }

    /// What is asked about.
    ///
    /// # Errors
    /// If it can't be found.
    pub async fn find(&self, asked: &Asked) -> Result<Found, ResolveError> {
        let (decision, mut revision) = self.push(&asked.push).await?;
        // Named beside the decision task: the two have to agree, if there is somebody to ask.
        if let (Some(id), Some(project)) = (asked.resultset, &asked.project)
            && let Some(treeherder) = self.treeherders.get(project)
        {
            revision = Some(treeherder.revision(project, id).await?);
        }
        let subject = match &asked.subject {
            None => None,
            Some(Subject::Task(task)) => Some(*task),
            Some(Subject::Job { project, id }) => Some(self.task(project, *id).await?),
        };
        Ok(Found { decision, revision, subject })
    }

    async fn push(&self, push: &PushName) -> Result<(TaskId, Option<String>), ResolveError> {
        let (project, revision) = match push {
            PushName::Decision(task) => return Ok((*task, None)),
            PushName::OfTask(task) => return Ok((PushRef::Member(*task).resolve(&self.client).await?, None)),
            PushName::Revision { project, revision } => (project, revision.clone()),
            PushName::Resultset { project, id } => {
                (project, self.treeherder("push", project, *id)?.revision(project, *id).await?)
            }
            PushName::OfJob { project, id } => {
                let treeherder = self.treeherder("job", project, *id)?;
                let job = treeherder.job(project, *id).await?;
                // Said before anything else is looked for: a job of another system has no push that could be found.
                task_of(project, *id, &job)?;
                (project, treeherder.revision(project, job.push).await?)
            }
        };
        let named = PushRef::Revision { project: project.clone(), revision: revision.clone() };
        Ok((named.resolve(&self.client).await?, Some(revision)))
    }

    async fn task(&self, project: &str, id: u64) -> Result<TaskId, ResolveError> {
        let job = self.treeherder("job", project, id)?.job(project, id).await?;
        task_of(project, id, &job)
    }

    fn treeherder(&self, what: &'static str, project: &str, id: u64) -> Result<&Treeherder, ResolveError> {
        let found = self.treeherders.get(project).map(Arc::as_ref);
        found.ok_or_else(|| ResolveError::NoTreeherder { what, project: project.to_owned(), id })
    }
}

fn task_of(project: &str, id: u64, job: &super::KnownJob) -> Result<TaskId, ResolveError> {
    job.task.ok_or_else(|| ResolveError::NoTask {
        project: project.to_owned(),
        id,
        system: job.system.clone().unwrap_or_else(|| "another system".to_owned()),
    })
}

impl Found {
    /// Whether the push with these parameters is the one that was asked about: of `project`, and of the revision that is
    /// meant. That its group, repository and level belong together is the engine's to check.
    ///
    /// # Errors
    /// If it is another.
    pub fn is_of(&self, project: &str, parameters: &Parameters) -> Result<(), Foreign> {
        let told = |name| parameters.text(name).unwrap_or_default();
        let (decision, theirs) = (self.decision, told("project"));
        if theirs != project {
            return Err(Foreign::Project { decision, theirs: theirs.to_owned(), asked: project.to_owned() });
        }
        let Some(asked) = &self.revision else { return Ok(()) };
        let theirs = told("head_rev").to_ascii_lowercase();
        if theirs.starts_with(&asked.to_ascii_lowercase()) {
            return Ok(());
        }
        Err(Foreign::Revision { decision, theirs, asked: asked.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_push_is_of_its_project_and_revision_only() {
        let parameters = Parameters::new(json!({"project": "lander", "head_rev": "a1b2c3d4e5", "level": "3"})).unwrap();
        let found = |revision: Option<&str>| Found {
            decision: TaskId::from_bytes([1; 16]),
            revision: revision.map(str::to_owned),
            subject: None,
        };
        for revision in [None, Some("a1b2c3d4e5"), Some("A1B2C3D")] {
            assert_eq!(found(revision).is_of("lander", &parameters), Ok(()));
        }
        assert!(matches!(found(None).is_of("try", &parameters), Err(Foreign::Project { .. })));
        assert!(matches!(found(Some("a1b2c3d4e6")).is_of("lander", &parameters), Err(Foreign::Revision { .. })));
        let unsaid = Parameters::new(json!({"level": "3"})).unwrap();
        assert!(found(None).is_of("lander", &unsaid).is_err(), "who says nothing is nobody's");
    }
}
