//! One request, as a handler sees it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use taskgraft_core::scopes::ScopeExpression;

use super::body::Place;
use super::{ApiError, ErrorCode};
use crate::auth::{Auth, Authentication, SignedRequest};

/// A request that an endpoint was found for.
pub struct Call {
    pub(super) params: Map<String, Value>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// Whether the body is echoed in errors; one that could not be read at all is not.
    pub(super) echo: bool,
    pub(super) bytes: Bytes,
    /// Given back when the call is answered.
    pub(super) place: Option<Place>,
    /// Behind a lock only so that a call can be looked at from another thread.
    pub(super) stream: Mutex<Option<Body>>,
    pub(super) headers: HeaderMap,
    pub(super) signed: SignedRequest,
    pub(super) auth: Arc<Auth>,
    pub(super) now: Timestamp,
    pub(super) caller: OnceLock<Authentication>,
}

impl Call {
    /// A URL parameter, decoded; empty where an optional one is absent.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body after its defaults were filled in. Errors echo it, so whoever adds to it adds to them.
    pub fn body_mut(&mut self) -> &mut Value {
        &mut self.body
    }

    /// The body after its defaults were filled in.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The body as a type; what its schema lets through and the type doesn't is an [`ErrorCode::InputError`].
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(&self.body).map_err(|error| ApiError::input(format!("Failed to read the payload: {error}")))
    }

    /// The body of an endpoint that takes any bytes; empty when taken twice.
    pub fn take_stream(&mut self) -> Body {
        self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// The request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Refuses the call unless the caller's scopes are enough: 401 for a bad signature, 403 for too few scopes.
    pub fn authorize(&self, needed: impl Into<ScopeExpression>) -> Result<(), ApiError> {
        self.caller().authorize(&needed.into())
    }

    /// The caller's scopes, expanded; none with a bad signature.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        match self.caller() {
            Authentication::Success { scopes, .. } | Authentication::Anonymous { scopes } => scopes,
            Authentication::Failed { .. } => &[],
        }
    }

    /// Who calls, for logs and audits; never for access control.
    #[must_use]
    pub fn client_id(&self) -> &str {
        match self.caller() {
            Authentication::Success { client_id, .. } => client_id,
            Authentication::Anonymous { .. } => "auth-failed:no-auth",
            Authentication::Failed { .. } => "auth-failed:auth-failed",
        }
    }

    /// Who calls, judged once and only when somebody asks.
    pub(crate) fn caller(&self) -> &Authentication {
        self.caller.get_or_init(|| {
            let both = self.signed.authorization.is_some() && self.query("bewit").is_some();
            if both {
                let message = "Cannot use two authentication schemes at once this request has both bewit in querystring \
                               and 'authorization' header";
                return Authentication::Failed { message: message.to_owned() };
            }
            self.judged_by(&self.auth)
        })
    }

    /// The call as another judge sees it.
    pub(crate) fn judged_by(&self, auth: &Auth) -> Authentication {
        let judged = auth.authenticate(&self.signed, self.now);
        judged.with_payload(&self.bytes, self.headers.get(http::header::CONTENT_TYPE))
    }

    /// The request as an error echoes it.
    pub(super) fn echoed(&self) -> Option<&Value> {
        self.echo.then_some(&self.body)
    }

    /// Whether the body says it is JSON.
    pub(super) fn is_json(headers: &HeaderMap) -> bool {
        let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    }

    /// Refuses a body that an endpoint with a schema can't take for JSON.
    pub(super) fn require_json(&self) -> Result<(), ApiError> {
        let announced = self.headers.contains_key(http::header::CONTENT_LENGTH)
            || self.headers.contains_key(http::header::TRANSFER_ENCODING);
        if announced && Self::is_json(&self.headers) {
            return Ok(());
        }
        let kind = self.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("null");
        let message = format!("Payload must be JSON with content-type: application/json got content-type: {kind}");
        Err(ApiError::new(ErrorCode::MalformedPayload, message))
    }
}
