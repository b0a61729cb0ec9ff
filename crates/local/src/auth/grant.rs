//! What credentials are worth.

use jiff::Timestamp;

/// What a signature must have been made with, and what it then may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) access_token: String,
    pub(super) scopes: Vec<String>,
    pub(super) expires: Timestamp,
}
