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
mod calls;
mod crowd;
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
use taskgraft_serve::serve_router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use app::App;
use problem::Kind;
use table::ENDPOINTS;

pub use app::Parts;
pub use settings::Settings;

/// Serves everything until the service stops, and enters into the audit log what is turned away.
pub async fn serve(listener: TcpListener, parts: Parts) {
    let (bounds, mut stopping) = (parts.settings.bounds(), parts.stopping.clone());
    let app = Arc::new(App::new(parts));
    let stopped = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    let (last, answered) = oneshot::channel::<()>();
    let router = router(&app);
    let answering = async {
        serve_router(listener, router, bounds, stopped).await;
        app.calls.end(bounds.goodbye).await;
        drop(last);
    };
    tokio::join!(answering, record::enter_counted(&app, async move { drop(answered.await) }));
}

fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for endpoint in &ENDPOINTS {
        let app = Arc::clone(app);
        let filter = if endpoint.method == axum::http::Method::POST { MethodFilter::POST } else { MethodFilter::GET };
        let handler = move |request: Request| front::serve(Arc::clone(&app), endpoint, request);
        router = router.route(endpoint.path, on(filter, handler));
    }
    router
        .fallback(|request: Request| front::nothing(Kind::NotFound, request))
        .method_not_allowed_fallback(|request: Request| front::nothing(Kind::WrongMethod, request))
        .layer(from_fn_with_state(Arc::clone(app), front::around))
}
