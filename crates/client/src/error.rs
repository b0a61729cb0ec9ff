//! What can become of a call. Whether it is worth another try is decided from the variant, never from a text.

use std::fmt;
use std::time::Duration;

/// A call that did not succeed, after all the tries it was worth.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The service could not be reached, failed, or asked to be left alone, for as long as the caller was patient. What
    /// the call was to do may or may not have happened.
    #[error("call {call}: {last}, {tries} {} in {} s", if *.tries == 1 { "try" } else { "tries" }, .elapsed.as_secs())]
    Transient {
        /// The API's name of the call, such as `createTask`.
        call: &'static str,
        /// How the last try ended.
        last: Cause,
        /// How many times it was sent.
        tries: u32,
        /// From before the first try to after the last.
        elapsed: Duration,
    },
    /// 409: what is asked for contradicts what is there. It is a question rather than a failure: what is there may be our
    /// own earlier work.
    #[error("call {call}: conflict: {message}")]
    Conflict {
        /// The API's name of the call.
        call: &'static str,
        /// The service's own words.
        message: String,
    },
    /// The service understood and said no; the same again would be refused again.
    #[error("call {call}: {status} {code}: {message}")]
    Rejected {
        /// The API's name of the call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// Taskcluster's error code, such as `InsufficientScopes`; empty if the answer had none.
        code: String,
        /// The service's own words.
        message: String,
    },
    /// The service found the request's time too far from its own.
    #[error("call {call}: this machine's clock is off{}; set it and try again", skew_text(*.behind))]
    ClockSkew {
        /// The API's name of the call.
        call: &'static str,
        /// By how many seconds this machine is behind the service (ahead, if negative), where its answer told.
        behind: Option<i64>,
    },
    /// The answer is larger than the bound, or not what the API promises.
    #[error("read the answer to {call}: {why}")]
    Unreadable {
        /// The API's name of the call.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The request could not be made: nothing was sent.
    #[error("call {call}: {why}")]
    Unsendable {
        /// The API's name of the call.
        call: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// How one try ended that may be worth another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The service answered with a status of 429 or 5xx.
    Status(u16),
    /// No (whole) answer came in time.
    Timeout,
    /// No connection could be made: to which scheme, host and port, and why.
    Connect(String),
    /// The connection broke before the answer was whole.
    Broken(String),
}

impl Error {
    /// Whether this is a 404.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Rejected { status: 404, .. })
    }

    /// Whether the same call might succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    /// Whether what the call was to do may have happened all the same: it was sent, and no answer says what came of it.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            // What no connection carried, or was turned away at the door, is not done.
            Self::Transient { last: Cause::Connect(_) | Cause::Status(429), tries, .. } => *tries > 1,
            Self::Transient { .. } | Self::Unreadable { .. } => true,
            Self::Conflict { .. } | Self::Rejected { .. } | Self::ClockSkew { .. } | Self::Unsendable { .. } => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                let reason = http::StatusCode::from_u16(*status).ok().and_then(|code| code.canonical_reason());
                write!(f, "{status} {}", reason.unwrap_or_default())
            }
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connect(to) => write!(f, "no connection to {to}"),
            Self::Broken(why) => write!(f, "the connection broke ({why})"),
        }
    }
}

fn skew_text(behind: Option<i64>) -> String {
    match behind {
        Some(seconds) if seconds < 0 => format!(": it is {} s ahead of the service", -seconds),
        Some(seconds) => format!(": it is {seconds} s behind the service"),
        None => " by more than 15 minutes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_complete_the_words_failed_to() {
        let transient = |tries| Error::Transient {
            call: "createTask",
            last: Cause::Status(503),
            tries,
            elapsed: Duration::from_secs(41),
        };
        assert_eq!(transient(6).to_string(), "call createTask: 503 Service Unavailable, 6 tries in 41 s");
        assert_eq!(transient(1).to_string(), "call createTask: 503 Service Unavailable, 1 try in 41 s");
        let skew = Error::ClockSkew { call: "status", behind: Some(-960) };
        assert_eq!(
            skew.to_string(),
            "call status: this machine's clock is off: it is 960 s ahead of the service; set it and try again"
        );
    }
}
