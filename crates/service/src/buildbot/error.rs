//! What can go wrong with a master.

/// A call of a Buildbot master that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It did not answer, or refused.
    #[error(transparent)]
    Site(#[from] taskgraft_client::Error),
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
    /// It has no force scheduler of that name.
    #[error("find the force scheduler `{0}`: there is none of that name")]
    NoScheduler(String),
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
}
