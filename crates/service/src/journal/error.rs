//! Why the journal did not do it.

use taskgraft_core::ids::RequestId;
use taskgraft_store::StoreError;

use crate::state::Invalid;

/// Why the journal did not do it; then it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file, or the disk.
    #[error(transparent)]
    Store(StoreError),
    /// No such request; it may have been too long ago.
    #[error("no request `{0}` is in the journal")]
    Unknown(RequestId),
    /// That can't happen to the request as it stands.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Something is larger than the journal keeps.
    #[error("{what} of {bytes} bytes is too large: {most} are the most")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// No such message; it may have been too long ago.
    #[error("no message {0} is in the journal")]
    NoLetter(i64),
    /// Only the message's beginning was kept.
    #[error("message {0} can't be tried again: it was too large to be kept whole")]
    Cut(i64),
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
