//! What can go wrong with a master.

use taskgraft_client::Error as SiteError;

/// A call of a Buildbot master that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It did not answer, or refused.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It doesn't let its user in.
    #[error("log in as `{user}`: {status}")]
    Login {
        /// The user.
        user: String,
        /// The HTTP status.
        status: u16,
    },
    /// Its answer is not what its API promises.
    #[error("read the answer to {call}: {why}")]
    Unreadable {
        /// What was called.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It is elsewhere; what is sent to it, a password for one, is not sent there unasked.
    #[error("call {call}: {status}: the answer leads elsewhere, to {to}")]
    Moved {
        /// What was called.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// Where its answer leads: scheme, host and port.
        to: String,
    },
    /// It has no force scheduler of that name.
    #[error("find the force scheduler `{0}`: there is none of that name")]
    NoScheduler(String),
    /// A request was divided when there was a master of that name.
    #[error("find the master `{0}`: the project has none of that name any more")]
    NoMaster(String),
    /// Its force scheduler of that name doesn't serve the builder: nothing was forced.
    #[error("force the build: the force scheduler `{0}` doesn't serve it")]
    Unserved(String),
    /// The configuration doesn't let the builder be forced, any more: nothing was.
    #[error("force the build: the configuration doesn't allow it")]
    Unallowed,
    /// It understood and said no: nothing was forced.
    #[error("force the build: {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        why: String,
    },
    /// No answer says whether the build was forced, and it isn't there.
    #[error(
        "learn whether the build was forced: {why}; it could not be found since, and is not forced again by itself"
    )]
    Unclear {
        /// What came instead of an answer.
        why: String,
    },
    /// No answer says whether the build was forced, and the master doesn't answer since.
    #[error("learn whether the build was forced: {why}")]
    Unlooked {
        /// What came instead of an answer, and when it was looked for.
        why: String,
    },
}

impl Error {
    /// Whether it may go better later, with nothing changed but the time.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Site(error) => match error {
                SiteError::Transient { .. } | SiteError::Unreadable { .. } | SiteError::ClockSkew { .. } => true,
                SiteError::Conflict { .. } | SiteError::Rejected { .. } | SiteError::Unsendable { .. } => false,
            },
            Self::Unreadable { .. } | Self::Unlooked { .. } => true,
            Self::Login { .. }
            | Self::Moved { .. }
            | Self::NoScheduler(_)
            | Self::NoMaster(_)
            | Self::Unserved(_)
            | Self::Unallowed
            | Self::Refused { .. }
            | Self::Unclear { .. } => false,
        }
    }
}
