//! Who calls, and what they may do: clients, roles and signatures.

mod request;

use jiff::Timestamp;

pub use request::{Authentication, SignedRequest};

/// Judges signatures against the clients and roles there are.
#[derive(Debug, Default)]
pub struct Auth;

impl Auth {
    /// Judges one request.
    #[must_use]
    pub fn authenticate(&self, _request: &SignedRequest, _now: Timestamp) -> Authentication {
        Authentication::Failed { message: "Unauthorized: Unauthorized".to_owned() }
    }
}
