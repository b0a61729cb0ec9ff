//! The worker's own small HTTP server: is it alive, does it take work, what has it counted.

use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use taskgraft_serve::{Bounds, CONTENT_TYPE, serve_router};
use tokio::net::TcpListener;

use super::metrics::{Metrics, Readiness};
use crate::cache::Cache;

/// Serves `/healthz` (200 as long as the process lives), `/readyz` (200 if the queue answered when last asked for work,
/// else 503 and why) and `/metrics` (Prometheus) to whoever can reach `listener`, until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, cache: Cache) {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(counted))
        .with_state((metrics, cache));
    serve_router(listener, router, Bounds::default(), pending()).await;
}

async fn ready(State((metrics, _)): State<(Arc<Metrics>, Cache)>) -> impl IntoResponse {
    match metrics.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()),
        Readiness::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting: the queue has not answered yet\n".to_owned())
        }
        Readiness::Trouble(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("failed to {why}\n")),
        Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
    }
}

async fn counted(State((metrics, cache)): State<(Arc<Metrics>, Cache)>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text(cache.counts()))
}
