//! The project that `taskgraft up --project` sets up, and keeps up with.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use taskgraft_client::Client;
use taskgraft_core::action::setup::{Setup, SetupError, Site};
use taskgraft_engine::{Project, install};

use crate::exit::{Failure, chain};
use crate::output::Out;

/// How often its files are looked at while the server runs.
const LOOK: Duration = Duration::from_secs(2);

/// A project on this machine.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProjectArgs {
    /// Set up the roles and action hooks of the project in this checkout, and again when its .taskcluster.yml changes
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Where the project's pushes come from; give it once for each [default: as its config.yml says]
    #[arg(long = "repository", value_name = "URL", requires = "project")]
    repositories: Vec<String>,
}

impl ProjectArgs {
    /// What the project needs now; nothing where there is no project.
    pub(crate) fn setup(&self) -> Result<Option<Setup>, Failure> {
        self.project.as_deref().map(|dir| setup(dir, &self.repositories)).transpose()
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

/// What the project in a checkout needs; its pushes come from `repositories`, or from where its config.yml says.
pub(crate) fn setup(dir: &Path, repositories: &[String]) -> Result<Setup, Failure> {
    let below = dir.join("taskcluster");
    let root = if below.is_dir() { &below } else { dir };
    let project = Project::read(root)?;
    let file = project.taskcluster_yml(root)?;
    let site = Site {
        trust_domain: &project.trust_domain,
        repositories: if repositories.is_empty() { &project.repositories } else { repositories },
        taskcluster_yml: &file.content,
        hook_hash: &file.hash,
    };
    site.setup().map_err(|why| {
        let failure = Failure::mistake(format!("failed to {}", chain(&why)));
        match why {
            SetupError::NoRepository(_) => failure.note("say which", "--repository https://github.com/OWNER/NAME"),
            SetupError::Repository(_) | SetupError::InTree(_) => failure,
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
