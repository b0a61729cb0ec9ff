//! The worker's own small HTTP server: is it alive, does it take work, what has it counted.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::{Metrics, Readiness};
use crate::cache::Cache;

/// Serves `/healthz` (200 as long as the process lives), `/readyz` (200 if the queue answered when last asked for work,
/// else 503 and why) and `/metrics` (Prometheus) to whoever can reach `listener`, until it is dropped.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, cache: Cache) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(counted))
        .with_state((metrics, cache));
    axum::serve(listener, router).await
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
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.text(cache.counts()))
}
