//! Where the index has a push's decision task.

use taskgraft_core::params::Parameters;

/// Parameters that don't tell where the index has their decision task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// One that index paths are made of is missing.
    #[error("look up the decision task: {0}")]
    Parameters(#[from] taskgraft_core::params::ParametersError),
    /// `repository_type` is neither `hg` nor `git`.
    #[error("look up the decision task: the repository type is `{0}`")]
    RepositoryType(String),
}

/// Where the index has the decision task of these parameters.
pub(crate) fn decision_path(parameters: &Parameters, trust_domain: &str) -> Result<String, PathError> {
    let project = parameters.text("project")?;
    match parameters.text("repository_type").unwrap_or("hg") {
        "hg" => Ok(format!("{trust_domain}.v2.{project}.pushlog-id.{}.decision", parameters.pushlog_id()?)),
        "git" => {
            let revision = parameters.text("head_rev")?;
            Ok(format!("{trust_domain}.v2.{project}.revision.{revision}.taskgraph.decision"))
        }
        other => Err(PathError::RepositoryType(other.to_owned())),
    }
}
