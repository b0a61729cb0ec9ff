//! The document that describes the API.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;

use super::app::App;
use super::call::Call;
use super::problem::Problem;
use super::reply;

/// OpenAPI 3.1, written by hand: a test compares it with the table of endpoints, and others every answer with it.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document(_: Arc<App>, _: Call) -> Result<Response<Body>, Problem> {
    Ok(reply::bytes("application/json", DOCUMENT))
}
