//! A proxy that breaks what passes through it, as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It passes.
    None,
    /// Answered with this status, never forwarded.
    Status(u16),
    /// Never forwarded, and the connection breaks.
    Reset,
    /// Never forwarded, never answered.
    Silence,
    /// Forwarded, but the connection breaks before the answer is whole.
    LostAnswer,
    /// Forwarded, but answered with 502.
    BadGateway,
}

/// What passed, and what is to happen to what comes.
type Rule = Box<dyn FnMut(&str, &str) -> Fault + Send>;

#[derive(Clone)]
struct Shared {
    http: reqwest::Client,
    upstream: Arc<Mutex<Option<SocketAddr>>>,
    rule: Arc<Mutex<Rule>>,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Shared,
    serving: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Making one of ours sets up TLS for the process, which reqwest wants even where it uses none.
        drop(taskgraft_client::Client::new(taskgraft_client::Config::new("http://127.0.0.1")).unwrap());
        let shared = Shared {
            http: reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            upstream: Arc::default(),
            rule: Arc::new(Mutex::new(Box::new(|_, _| Fault::None))),
        };
        let app = Router::new().fallback(pass).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn forward_to(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap() = Some(upstream);
    }

    /// From now on `rule` decides, from method and path.
    pub(crate) fn rule(&self, rule: impl FnMut(&str, &str) -> Fault + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on everything passes.
    pub(crate) fn heal(&self) {
        self.rule(|_, _| Fault::None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let fault = (shared.rule.lock().unwrap())(request.method().as_str(), &path);
    match fault {
        Fault::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Fault::Reset => broken(),
        Fault::Silence => std::future::pending().await,
        Fault::None => forward(&shared, request).await,
        Fault::LostAnswer => {
            forward(&shared, request).await;
            broken()
        }
        Fault::BadGateway => {
            forward(&shared, request).await;
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// An answer that ends in the middle.
fn broken() -> Response {
    let part = Ok(Bytes::from_static(b"{"));
    let end = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    Response::builder().header("content-length", "100").body(Body::from_stream(stream::iter([part, end]))).unwrap()
}

async fn forward(shared: &Shared, request: Request) -> Response {
    let upstream = shared.upstream.lock().unwrap().unwrap();
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().as_str();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let sent = shared
        .http
        .request(parts.method, format!("http://{upstream}{target}"))
        .headers(parts.headers)
        .body(body)
        .send()
        .await;
    let Ok(answer) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(answer.bytes().await.unwrap_or_default())).unwrap()
}
