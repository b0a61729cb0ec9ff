//! What goes wrong, as the wire says it: `{code, message, requestInfo: {method, params, payload, time}}`.

use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::time::format_ms;

use taskgraft_store::StoreError;

/// The codes that clients tell errors apart by; each has one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The body is not JSON: 400.
    MalformedPayload,
    /// The URL or its query is not well formed: 400.
    InvalidRequestArguments,
    /// The body doesn't match the endpoint's schema: 400.
    InputValidationError,
    /// Another mistake in what was sent: 400.
    InputError,
    /// The signature, or the credentials it was made with, are not right: 401.
    AuthenticationFailed,
    /// The signature is right, or there is none, and the scopes are not enough: 403.
    InsufficientScopes,
    /// There is no such thing: 404.
    ResourceNotFound,
    /// The body came too slowly: 408.
    RequestTimeout,
    /// What is asked contradicts what is: 409.
    RequestConflict,
    /// It was there once: 410.
    ResourceExpired,
    /// The body is larger than 10 MiB: 413.
    InputTooLarge,
    /// An artifact says that it could not be made: 424.
    ArtifactError,
    /// Our own mistake: 500.
    InternalServerError,
    /// There is no room left to write: 507.
    InsufficientStorage,
}

impl ErrorCode {
    /// The code as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedPayload => "MalformedPayload",
            Self::InvalidRequestArguments => "InvalidRequestArguments",
            Self::InputValidationError => "InputValidationError",
            Self::InputError => "InputError",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::InsufficientScopes => "InsufficientScopes",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::RequestTimeout => "RequestTimeout",
            Self::RequestConflict => "RequestConflict",
            Self::ResourceExpired => "ResourceExpired",
            Self::InputTooLarge => "InputTooLarge",
            Self::ArtifactError => "ArtifactError",
            Self::InternalServerError => "InternalServerError",
            Self::InsufficientStorage => "InsufficientStorage",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MalformedPayload | Self::InvalidRequestArguments | Self::InputValidationError | Self::InputError => {
                StatusCode::BAD_REQUEST
            }
            Self::AuthenticationFailed => StatusCode::UNAUTHORIZED,
            Self::InsufficientScopes => StatusCode::FORBIDDEN,
            Self::ResourceNotFound => StatusCode::NOT_FOUND,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestConflict => StatusCode::CONFLICT,
            Self::ResourceExpired => StatusCode::GONE,
            Self::InputTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ArtifactError => StatusCode::FAILED_DEPENDENCY,
            Self::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InsufficientStorage => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ApiError {
    /// What clients tell errors apart by.
    pub code: ErrorCode,
    /// For people, markdown.
    pub message: String,
}

impl ApiError {
    /// An error of any code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// [`ErrorCode::InputError`].
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InputError, message)
    }

    /// [`ErrorCode::ResourceNotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    /// [`ErrorCode::RequestConflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::RequestConflict, message)
    }

    /// [`ErrorCode::AuthenticationFailed`].
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AuthenticationFailed, message)
    }

    /// [`ErrorCode::InsufficientScopes`]: `client` is who asked, `None` for nobody; `missing` is what is left of `needed`.
    #[must_use]
    pub fn forbidden(client: Option<&str>, missing: &ScopeExpression, needed: &ScopeExpression) -> Self {
        let message = match client {
            Some(client) => format!(
                "Client ID {client} does not have sufficient scopes and is missing the following scopes:\n\n```\n\
                 {missing}\n```\n\nThis request requires the client to satisfy the following scope expression:\n\n```\n\
                 {needed}\n```"
            ),
            None => format!(
                "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n```\n\
                 {needed}\n```"
            ),
        };
        Self::new(ErrorCode::InsufficientScopes, message)
    }

    /// [`ErrorCode::InternalServerError`]: the cause goes to the log, the caller gets a number to find it by.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let incident = incident_id();
        tracing::error!(%cause, %incident, "a request failed for a reason of our own");
        Self::new(ErrorCode::InternalServerError, format!("Internal Server Error, incidentId {incident}."))
    }

    /// The body that goes over the wire.
    #[must_use]
    pub fn body(&self, method: &str, params: &Map<String, Value>, payload: Option<&Value>, now: Timestamp) -> Value {
        let (code, status, time) = (self.code.as_str(), self.code.status().as_u16(), format_ms(now));
        let footer = format!(
            "\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {status}\n* time:       {time}"
        );
        let mut info = json!({"method": method, "params": params, "time": time});
        if let Some(payload) = payload {
            info["payload"] = payload.clone();
        }
        json!({"code": code, "message": format!("{}{footer}", self.message), "requestInfo": info})
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Full => Self::new(ErrorCode::InsufficientStorage, "The disk is full; nothing was written."),
            StoreError::Sql(cause) => Self::internal(cause),
            StoreError::Open { .. } | StoreError::Newer { .. } | StoreError::Commit(_) | StoreError::Gone => {
                Self::internal(error)
            }
        }
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// A random UUID.
fn incident_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_asked_and_when() {
        let params = Map::from_iter([("taskId".to_owned(), json!("abc"))]);
        let error = ApiError::not_found("`abc` does not correspond to a task that exists.");
        let body = error.body("task", &params, Some(&json!({})), Timestamp::UNIX_EPOCH);
        assert_eq!(
            body,
            json!({
                "code": "ResourceNotFound",
                "message": "`abc` does not correspond to a task that exists.\n\n---\n\n* method:     task\n\
                            * errorCode:  ResourceNotFound\n* statusCode: 404\n* time:       1970-01-01T00:00:00.000Z",
                "requestInfo":
                    {"method": "task", "params": {"taskId": "abc"}, "payload": {}, "time": "1970-01-01T00:00:00.000Z"},
            })
        );
    }

    #[test]
    fn an_internal_error_keeps_its_cause_to_itself() {
        let error = ApiError::internal("the secret is 42");
        assert!(!error.message.contains("42."), "{}", error.message);
        assert!(error.message.starts_with("Internal Server Error, incidentId "));
        assert_eq!(error.message.len(), "Internal Server Error, incidentId .".len() + 36);
    }
}
