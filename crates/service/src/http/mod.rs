//! The HTTP door: `/api/taskgraft/v1`, described by the OpenAPI document that it serves.
//!
//! ```text
//! connection ─► around (name, headers, counts) ─► serve (rate, body, signature, places) ─► an endpoint of the table
//! ```
//!
//! Everything that can be called stands in one table. Reading needs no credentials; asking for something to be done is
//! signed, and what is turned away is in the audit log.

mod app;
mod body;
mod builders;
mod call;
mod errors;
mod events;
mod front;
mod health;
mod jobs;
mod metrics;
mod openapi;
mod page;
mod places;
mod plan;
mod problem;
mod pushes;
mod rate;
mod record;
mod reply;
mod requests;
mod room;
mod search;
mod settings;
mod shown;
mod table;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};

use app::App;
use problem::Kind;
use table::ENDPOINTS;

pub use app::Parts;
pub use settings::Settings;

/// Everything that is served, by a server that tells callers' addresses (`ConnectInfo`) and holds them to
/// [`Settings::bounds`].
pub fn router(parts: Parts) -> Router {
    let app = Arc::new(App::new(parts));
    let mut router = Router::new();
    for endpoint in &ENDPOINTS {
        let app = Arc::clone(&app);
        let filter = if endpoint.method == axum::http::Method::POST { MethodFilter::POST } else { MethodFilter::GET };
        let handler = move |request: Request| front::serve(Arc::clone(&app), endpoint, request);
        router = router.route(endpoint.path, on(filter, handler));
    }
    router
        .fallback(|request: Request| front::nothing(Kind::NotFound, request))
        .method_not_allowed_fallback(|request: Request| front::nothing(Kind::WrongMethod, request))
        .layer(from_fn_with_state(app, front::around))
}
