//! Which parameters are meant: a file's or a decision task's, as the reference's `--parameters` says it.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_core::params::Parameters;

use crate::fetch::{Artifacts, FetchError, Wanted};
use crate::parameters::{ParametersError, read_parameters};

/// The largest parameters that are read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Where a push's parameters are.
///
/// The reference takes a URL too, and makes parameters up from the checkout where nothing is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParametersRef {
    /// A YAML or JSON file.
    File(PathBuf),
    /// `task-id=ID`: the decision task's own.
    Task(String),
    /// `project=NAME`: those of the project's latest decision task.
    Project(String),
    /// `index=PATH`: those of the decision task at an index path.
    Index(String),
}

/// Why parameters can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadParametersError {
    /// The file can't be read.
    #[error("read {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A URL was named.
    #[error("read parameters from {0}: URLs are not followed; download it, or name its task: task-id=ID")]
    Url(String),
    /// What stands behind `task-id=` is no task id.
    #[error("read parameters of `{0}`: it is no task id")]
    TaskId(String),
    /// They can't be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// They are none.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// Taskcluster didn't answer.
    #[error("find the parameters' decision task: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
}

impl FromStr for ParametersRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some(("task-id", id)) => Self::Task(id.to_owned()),
            Some(("project", name)) => Self::Project(name.to_owned()),
            Some(("index", path)) => Self::Index(path.to_owned()),
            Some(_) | None => Self::File(PathBuf::from(text)),
        })
    }
}

impl ParametersRef {
    /// The file that is meant; none where a Taskcluster has to be asked.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Task(_) | Self::Project(_) | Self::Index(_) => None,
        }
    }

    /// The parameters. `project=` is looked up below `trust_domain`.
    ///
    /// # Errors
    /// If there are none there, or they can't be read.
    pub async fn fetch(
        &self,
        client: &Client,
        artifacts: &Artifacts,
        trust_domain: &str,
    ) -> Result<Parameters, ReadParametersError> {
        let task = match self {
            Self::File(path) => return read_file(path),
            Self::Task(id) => id.parse().map_err(|_| ReadParametersError::TaskId(id.clone()))?,
            Self::Project(name) => at(client, &format!("{trust_domain}.v2.{name}.latest.taskgraph.decision")).await?,
            Self::Index(path) => at(client, path).await?,
        };
        let wanted = Wanted { task, run: None, name: "public/parameters.yml", max: MAX_BYTES };
        Ok(read_parameters(&artifacts.read(wanted).await?)?)
    }
}

async fn at(client: &Client, path: &str) -> Result<TaskId, taskgraft_client::Error> {
    Ok(client.index().find_task(path).await?.task_id)
}

/// A file's parameters.
///
/// # Errors
/// If there is no such file, or it holds no parameters.
pub fn read_file(path: &Path) -> Result<Parameters, ReadParametersError> {
    if path.to_str().is_some_and(|text| text.starts_with("http://") || text.starts_with("https://")) {
        return Err(ReadParametersError::Url(path.display().to_string()));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| ReadParametersError::Io { path: path.to_owned(), error })?;
    Ok(read_parameters(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_a_file_unless_it_says_otherwise() {
        let read = |text: &str| text.parse::<ParametersRef>().unwrap();
        assert_eq!(read("a/b.yml").file().map(PathBuf::as_path), Some(Path::new("a/b.yml")));
        assert_eq!(read("x=y.yml").file().map(PathBuf::as_path), Some(Path::new("x=y.yml")));
        assert_eq!(read("task-id=abc"), ParametersRef::Task("abc".into()));
        assert_eq!(read("project=lander"), ParametersRef::Project("lander".into()));
        assert_eq!(read("index=a.b").file(), None);
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let told = |path: &str| read_file(Path::new(path)).unwrap_err().to_string();
        assert!(told("https://tc.example.com/parameters.yml").contains("URLs are not followed"));
        assert!(told("no/such.yml").starts_with("read no/such.yml: "));
    }
}
