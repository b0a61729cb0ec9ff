//! What can go wrong with a broker.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use super::Address;

/// What went wrong with a broker. No text of it holds the password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates that were given, or the machine's own, can't be used.
    #[error("set up TLS for {address}: {why}")]
    Tls {
        /// Which broker.
        address: Address,
        /// Why.
        why: String,
    },
    /// The broker will not have it: user, password, virtual host, a permission, an exchange that isn't there.
    #[error("{address} refuses: {why}")]
    Refused {
        /// Which broker.
        address: Address,
        /// In the broker's words.
        why: String,
    },
    /// The connection was lost or could not be made.
    #[error("{address} can't be reached: {why}")]
    Lost {
        /// Which broker.
        address: Address,
        /// Why.
        why: String,
    },
    /// No queue is there for a message that had to come to one.
    #[error("{address} has no queue for messages to `{exchange}`")]
    Unroutable {
        /// Which broker.
        address: Address,
        /// Where it was sent.
        exchange: String,
    },
    /// AMQP has no place for it: a name or routing key of more than 255 bytes.
    #[error("AMQP allows 255 bytes for a name, not {0}")]
    TooLong(usize),
}

impl Error {
    /// Whether the same may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    pub(super) fn from_lapin(address: &Address, error: &lapin::Error) -> Self {
        let (address, why) = (address.clone(), error.to_string());
        let refused = if let ErrorKind::ProtocolError(error) = error.kind() {
            matches!(
                error.kind(),
                AMQPErrorKind::Soft(
                    AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::PRECONDITIONFAILED
                ) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)
            )
        } else {
            false
        };
        if refused { Self::Refused { address, why } } else { Self::Lost { address, why } }
    }
}
