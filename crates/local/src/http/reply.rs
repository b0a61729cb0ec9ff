//! What is answered.

use axum::body::Body;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::ApiError;

/// An answer that is no error.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Reply {
    /// 200 with a JSON body.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(value).map_err(ApiError::internal)?;
        Ok(Self::bytes("application/json; charset=utf-8", bytes))
    }

    /// 204 without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Body::empty() }
    }

    /// 200 with any body.
    pub fn bytes(content_type: &'static str, bytes: impl Into<Body>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status: StatusCode::OK, headers, body: bytes.into() }
    }

    /// 303 to another place, said again in plain text for people.
    pub fn see_other(url: &str) -> Result<Self, ApiError> {
        let text = format!("See Other. Redirecting to {url}");
        Self::bytes("text/plain; charset=utf-8", text).with_status(StatusCode::SEE_OTHER).with_header(LOCATION, url)
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header; a value that no header can hold is an internal error.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Result<Self, ApiError> {
        self.headers.insert(name, HeaderValue::from_str(value).map_err(ApiError::internal)?);
        Ok(self)
    }

    /// As what the HTTP server sends.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
