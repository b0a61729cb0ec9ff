//! The project that `taskgraft up --project` sets up, and keeps up with.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::action::setup::{Setup, SetupError, Site};
use taskgraft_engine::{Project, install};

use crate::embedded;
use crate::exit::{Failure, chain};
use crate::output::Out;

/// How often its files are looked at while the server runs.
const LOOK: Duration = Duration::from_secs(2);

/// The levels that a project's pushes can have.
const LEVELS: [&str; 3] = ["1", "2", "3"];

/// A project on this machine.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProjectArgs {
    /// Set up the roles and action hooks of the project in this checkout, and again when its .taskcluster.yml changes
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Where the project's pushes come from; give it once for each [default: as its config.yml says]
    #[arg(long = "repository", value_name = "URL", requires = "project")]
    repositories: Vec<String>,
    /// Make hooks for a permission of the project's own actions, too; give it once for each [default: release-promotion, if
    /// its config.yml has a part of that name]
    #[arg(long = "permission", value_name = "NAME", requires = "project")]
    permissions: Vec<String>,
}

impl ProjectArgs {
    /// What the project needs now; nothing where there is no project.
    pub(crate) fn setup(&self) -> Result<Option<Setup>, Failure> {
        self.project.as_deref().map(|dir| setup(dir, &self.repositories, &self.permissions)).transpose()
    }

    /// The task queues that this machine's worker can take the project's jobs from, at any level; says which aliases of its
    /// config.yml don't tell them.
    pub(crate) fn queues(&self, out: &Out) -> Result<BTreeSet<String>, Failure> {
        let Some(dir) = &self.project else { return Ok(BTreeSet::new()) };
        let found = Project::read(&root(dir))?.graph_config.worker_types(&LEVELS, runs_here);
        let found = found.map_err(|why| Failure::mistake(format!("failed to read config.yml: {}", chain(&why))))?;
        for alias in found.open {
            out.note(&format!(
                "config.yml's worker alias `{alias}` stands for any number of task queues: name them with --worker"
            ));
        }
        let ids = found.queues.into_iter().map(|queue| format!("{}/{}", queue.provisioner_id, queue.worker_type));
        let (queues, odd): (BTreeSet<_>, BTreeSet<_>) = ids.partition(|id| embedded::queue(id).is_ok());
        for id in odd {
            out.note(&format!("config.yml's `{id}` can be no task queue: nobody takes its tasks"));
        }
        Ok(queues)
    }

    /// Sets the project up anew whenever it needs something else than `last`.
    pub(crate) async fn keep_up(&self, client: &Client, mut last: Option<Setup>, out: &Out) -> Infallible {
        if self.project.is_none() {
            return std::future::pending().await;
        }
        let mut told = String::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let done = match self.setup() {
                Ok(setup) if setup == last => continue,
                Ok(setup) => match make(client, setup.as_ref(), out).await {
                    Ok(()) => {
                        last = setup;
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                },
                Err(failure) => Err(failure),
            };
            // A file that is being written may be half there: what is wrong is told once.
            let now = done.err().map(|failure| failure.message().to_owned()).unwrap_or_default();
            if now != told && !now.is_empty() {
                out.note(&format!("the project stays as it was: {now}"));
            }
            told = now;
        }
    }
}

/// Where the task graph of a checkout is defined.
fn root(dir: &Path) -> Cow<'_, Path> {
    let below = dir.join("taskcluster");
    if below.is_dir() { below.into() } else { dir.into() }
}

/// Whether the embedded worker can run jobs of this implementation and operating system, as config.yml names them.
fn runs_here(implementation: &str, os: &str) -> bool {
    let here = match std::env::consts::OS {
        "macos" => "macosx",
        other => other,
    };
    matches!(implementation, "generic-worker" | "docker-worker") && (os.is_empty() || os.starts_with(here))
}

/// What the project in a checkout needs; its pushes come from `repositories`, or from where its config.yml says.
/// With these permissions it has hooks for those that its config.yml tells, too.
pub(crate) fn setup(dir: &Path, repositories: &[String], permissions: &[String]) -> Result<Setup, Failure> {
    let root = root(dir);
    let project = Project::read(&root)?;
    let file = project.taskcluster_yml(&root)?;
    let site = Site {
        trust_domain: &project.trust_domain,
        repositories: if repositories.is_empty() { &project.repositories } else { repositories },
        taskcluster_yml: &file.content,
        hook_hash: &file.hash,
        permissions: &[&project.permissions, permissions].concat(),
    };
    site.setup().map_err(|why| {
        let failure = Failure::mistake(format!("failed to {}", chain(&why)));
        match why {
            SetupError::NoRepository(_) => failure.note("say which", "--repository https://github.com/OWNER/NAME"),
            SetupError::Repository(_) | SetupError::Permission(_) | SetupError::InTree(_) => failure,
        }
    })
}

/// Makes what a project needs, and says what was not there.
pub(crate) async fn make(client: &Client, setup: Option<&Setup>, out: &Out) -> Result<(), Failure> {
    let Some(setup) = setup else { return Ok(()) };
    let installed = install(client, setup).await?;
    if !installed.is_nothing() {
        let (roles, hooks) = (installed.roles.len(), installed.hooks.len());
        let group = setup.hooks.first().map(|hook| hook.group.as_str()).unwrap_or_default();
        out.note(&format!("made or changed {roles} roles and {hooks} hooks of {group}"));
    }
    Ok(())
}
