//! `taskclusterProxy`: signs Taskcluster calls for one task, with that run's scopes.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, Uri};
use taskgraft_client::run::Session;
use taskgraft_serve::{Bounds, serve_router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::secret;

/// The largest body that is passed on: what the queue takes, and a bit, so that the queue says no.
const MAX_BODY_BYTES: usize = 11 * 1024 * 1024;

/// Serves one task until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// What the task finds in `TASKCLUSTER_PROXY_URL`. Its path is a secret: others on this machine can't use it.
    pub(crate) url: String,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Served {
    session: Arc<Session>,
    prefix: String,
}

impl Proxy {
    /// Listens on a free loopback port.
    pub(crate) async fn start(session: Arc<Session>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let prefix = format!("/{}", secret());
        let url = format!("http://{}{prefix}", listener.local_addr()?);
        let router = Router::new()
            .fallback(forward)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Served { session, prefix });
        let server = tokio::spawn(serve_router(listener, router, Bounds::default(), pending()));
        Ok(Self { url, server })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(served): State<Served>, method: Method, uri: Uri, body: Bytes) -> Response {
    let asked = uri.path_and_query().map_or("/", |target| target.as_str());
    let Some(target) = asked.strip_prefix(&served.prefix).and_then(api_path) else {
        return (StatusCode::NOT_FOUND, "taskclusterProxy serves /api/<service>/<version>/…\n").into_response();
    };
    let body = (!body.is_empty()).then_some(body);
    match served.session.client().forward(method, &target, body).await {
        Ok(answer) => answer.map(axum::body::Body::from),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("taskclusterProxy failed to {error}\n")).into_response(),
    }
}

/// The path to pass on: `/api/…`, also where it is asked for without `/api` as old clients do.
fn api_path(path: &str) -> Option<String> {
    let segments = path.strip_prefix('/')?;
    let service = segments.split('/').next()?;
    match service {
        "api" => Some(path.to_owned()),
        "" => None,
        _ => Some(format!("/api{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_paths_lead_to_the_api() {
        assert_eq!(api_path("/api/queue/v1/ping?x=1").as_deref(), Some("/api/queue/v1/ping?x=1"));
        assert_eq!(api_path("/queue/v1/ping").as_deref(), Some("/api/queue/v1/ping"));
        assert_eq!(api_path("/"), None);
        assert_eq!(api_path("api"), None);
    }
}
