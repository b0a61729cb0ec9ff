//! What can go wrong with a master.

use std::time::Duration;

use taskgraft_client::{Cause, Error as SiteError};

/// What is said of a build that may have been forced and is not there.
pub(super) const LOST: &str = "it could not be found since, and is not forced again by itself";

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
    /// It doesn't let builds be cancelled.
    #[error("cancel {kept} of {of} builds: {status}: {why}")]
    Kept {
        /// How many it refused to cancel.
        kept: usize,
        /// Of how many.
        of: usize,
        /// The HTTP status of the first.
        status: u16,
        /// Its words.
        why: String,
    },
    /// No answer says whether the build was forced, and it isn't there.
    #[error("learn whether the build was forced: {why}; {LOST}")]
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
    /// Somebody before the master, or it itself, turned a call away with this status: another time, perhaps.
    pub(super) fn away(call: &'static str, status: u16) -> Self {
        Self::Site(SiteError::Transient { call, last: Cause::Status(status), tries: 1, elapsed: Duration::ZERO })
    }

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
            | Self::Kept { .. }
            | Self::Unclear { .. } => false,
        }
    }
}
