//! Files that runs leave behind.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Where an artifact's bytes are, if it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageType {
    /// Put to a URL that the queue gives.
    S3,
    /// With the object service.
    Object,
    /// At somebody else's URL.
    Reference,
    /// Under another name of the same run.
    Link,
    /// Nowhere: it could not be made.
    Error,
}

/// Why an artifact could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactErrorReason {
    /// There is no such file.
    FileMissingOnWorker,
    /// It is something else than expected.
    InvalidResourceOnWorker,
    /// It is larger than the worker allows.
    TooLargeFileOnWorker,
    /// It cannot be read.
    FileNotReadableOnWorker,
}

/// Announces an artifact (`post-artifact-request.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "storageType", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum CreateArtifactRequest {
    /// Bytes that the caller will PUT to the URL in the answer.
    S3 {
        /// At most the task's.
        expires: Millis,
        /// At most 255 characters.
        content_type: String,
        /// In bytes, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_length: Option<u64>,
    },
    /// Bytes that the caller will give to the object service.
    Object {
        /// At most the task's.
        expires: Millis,
        /// At most 255 characters.
        content_type: String,
        /// In bytes, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_length: Option<u64>,
    },
    /// Bytes that are elsewhere already.
    Reference {
        /// At most the task's.
        expires: Millis,
        /// Where.
        url: String,
        /// At most 255 characters.
        content_type: String,
    },
    /// Another name of an artifact of the same run.
    Link {
        /// At most the task's.
        expires: Millis,
        /// At most 255 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        /// The other name.
        artifact: String,
    },
    /// There should be one, but.
    Error {
        /// At most the task's.
        expires: Millis,
        /// The kind of trouble.
        reason: ArtifactErrorReason,
        /// For people, at most 4,096 characters.
        message: String,
    },
}

/// What to do next (`post-artifact-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "storageType", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum CreateArtifactResponse {
    /// PUT the bytes there, with that content type.
    S3 {
        /// Where.
        put_url: String,
        /// Until when the URL works.
        expires: Millis,
        /// What the PUT's `Content-Type` must be.
        content_type: String,
    },
    /// Nothing.
    Reference {},
    /// Nothing.
    Link {},
    /// Nothing.
    Error {},
}

/// Says that an `object` artifact's bytes are in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishArtifactRequest {
    /// As the queue gave it.
    pub upload_id: String,
}

/// What a listing says of an artifact (`artifact-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Where its bytes are.
    pub storage_type: StorageType,
    /// Printable ASCII.
    pub name: String,
    /// When it is forgotten.
    pub expires: Millis,
    /// What it holds.
    pub content_type: String,
    /// In bytes, where the maker said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
}

/// A page of a run's artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactList {
    /// At most 1,000, by name.
    pub artifacts: Vec<Artifact>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// The body of the 303 that sends a reader to the bytes (`get-artifact-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactLocation {
    /// Where its bytes are.
    pub storage_type: StorageType,
    /// Where to read them.
    pub url: String,
}

/// How to get an artifact's bytes, without being redirected (`artifact-content-response.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "storageType", rename_all = "kebab-case")]
pub enum ArtifactContent {
    /// From the queue's own store.
    S3 {
        /// Where to read them.
        url: String,
    },
    /// From elsewhere.
    Reference {
        /// Where to read them.
        url: String,
    },
    /// Not at all.
    Error {
        /// The kind of trouble.
        reason: ArtifactErrorReason,
        /// For people.
        message: String,
    },
}
