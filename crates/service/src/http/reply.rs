//! What is answered when nothing went wrong.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use serde::Serialize;

use super::problem::Problem;

/// 200 with JSON.
///
/// # Errors
/// What can't be written as JSON, which is a defect.
pub(super) fn json(value: &impl Serialize) -> Result<Response<Body>, Problem> {
    Ok(bytes("application/json", serde_json::to_vec(value).map_err(Problem::internal)?))
}

/// 200 with anything.
pub(super) fn bytes(content_type: &'static str, bytes: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
