//! Artifacts: what runs leave behind.
//!
//! Their bytes lie in files named by chance, never by the artifact's name, so that no name can lead anywhere.

pub(super) mod blobs;
pub(super) mod create;
pub(super) mod fetch;
pub(super) mod list;
mod record;
pub(super) mod store;
mod urls;

use crate::http::ApiError;
use record::Artifact;

/// The error for an artifact that isn't there, or not yet.
fn not_found() -> ApiError {
    ApiError::not_found("Artifact not found")
}
