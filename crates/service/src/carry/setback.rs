//! What keeps a request from going on.

use taskgraft_client::Error;
use taskgraft_engine::trigger::{FindError, LeftError, OfferError, PrepareError, RightsError, SendError};
use taskgraft_engine::{FetchError, PushError};

use crate::authority::Denied;
use crate::journal::JournalError;
use crate::pulse::resolver::ResolveError;

/// What keeps a request from going on.
#[derive(Debug)]
pub(super) enum Setback {
    /// It may not be done, or can't, as it stands: nothing was sent, and trying again changes nothing.
    Refused(String),
    /// It came to a bad end.
    Failed(String),
    /// Somebody doesn't answer: later, perhaps.
    Later(String),
    /// The journal says that the request is no longer where it was, or can't be written.
    Journal(JournalError),
}

/// Whether the same call might be answered later.
pub(super) fn passes(error: &Error) -> bool {
    match error {
        Error::Transient { .. } | Error::Unreadable { .. } | Error::ClockSkew { .. } => true,
        Error::Conflict { .. } | Error::Rejected { .. } | Error::Unsendable { .. } => false,
    }
}

/// The same for an artifact.
pub(super) fn fetch_passes(error: &FetchError) -> bool {
    match error {
        FetchError::Client { error, .. } => passes(error),
        FetchError::Io { .. } => true,
        FetchError::Missing { .. } | FetchError::NotInDirectory { .. } => false,
    }
}

impl Setback {
    /// `why`: refused for good, or to be tried later.
    fn refused(passes: bool, why: impl ToString) -> Self {
        if passes { Self::Later(why.to_string()) } else { Self::Refused(why.to_string()) }
    }

    /// The same for what has begun.
    pub(super) fn failed(passes: bool, why: impl ToString) -> Self {
        if passes { Self::Later(why.to_string()) } else { Self::Failed(why.to_string()) }
    }

    /// Why asking came to nothing, where another try `settles` what nobody knows.
    pub(super) fn unsent(error: SendError, settles: bool) -> Self {
        let passes = match &error {
            SendError::Refused(error) => passes(error),
            SendError::Unsearched(FindError::Client(error)) => self::passes(error),
            // The next turn looks for it by its key before it sends anything.
            SendError::Unclear(_) | SendError::Lost(FindError::Client(_)) => settles,
            SendError::Unsearched(FindError::Large(_))
            | SendError::Lost(FindError::Large(_))
            | SendError::Nothing
            | SendError::OtherRequest { .. }
            | SendError::NoFreeId
            | SendError::Prepare(_)
            | SendError::Proxy => false,
        };
        Self::failed(passes, error)
    }
}

impl From<Denied> for Setback {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Rights(error) => error.into(),
            Denied::Role(ref error) => Self::failed(passes(error), denied),
            Denied::Nobody(_) | Denied::Expired(_) | Denied::Policy(_) | Denied::Lacks { .. } => {
                Self::Refused(denied.to_string())
            }
        }
    }
}

impl From<JournalError> for Setback {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<ResolveError> for Setback {
    fn from(error: ResolveError) -> Self {
        Self::refused(error.is_transient(), error)
    }
}

impl From<PushError> for Setback {
    fn from(error: PushError) -> Self {
        Self::refused(error.is_transient(), error)
    }
}

impl From<OfferError> for Setback {
    fn from(error: OfferError) -> Self {
        let passes = match &error {
            OfferError::Fetch(error) => fetch_passes(error),
            OfferError::Client(error) => passes(error),
            OfferError::Nothing(_) | OfferError::Catalog(_) | OfferError::Yaml(_) | OfferError::Text => false,
        };
        Self::refused(passes, error)
    }
}

impl From<PrepareError> for Setback {
    fn from(error: PrepareError) -> Self {
        Self::refused(matches!(&error, PrepareError::Client(error) if passes(error)), error)
    }
}

impl From<RightsError> for Setback {
    fn from(error: RightsError) -> Self {
        match error {
            RightsError::Prepare(error) => error.into(),
            RightsError::Client(_) | RightsError::Push { .. } | RightsError::Asker(_) => {
                Self::refused(matches!(&error, RightsError::Client(error) if passes(error)), error)
            }
        }
    }
}

impl From<LeftError> for Setback {
    fn from(error: LeftError) -> Self {
        let passes = match &error {
            LeftError::Fetch(error) => fetch_passes(error),
            LeftError::Client(error) => passes(error),
        };
        Self::failed(passes, error)
    }
}
