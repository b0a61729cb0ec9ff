//! A server that checks Hawk signatures, notes what it got, and answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use taskgraft_client::{Client, Clock, Config, Credentials, Retry};
use taskgraft_serve::{Bounds, serve_router};
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "the-access-token";

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    pub(crate) nonce: Option<String>,
    /// Whether a signature was there and right; `None` without one.
    pub(crate) signed: Option<bool>,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Json(u16, &'static str),
    With(u16, &'static [(&'static str, &'static str)], Bytes),
    /// Half a body, then a broken connection.
    Break,
    /// Half a body, and then nothing.
    Stall,
    /// Nothing, ever.
    Silence,
}

#[derive(Clone, Default)]
struct Shared {
    got: Arc<Mutex<Vec<Got>>>,
    say: Arc<Mutex<VecDeque<Say>>>,
    port: u16,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Shared,
    serving: JoinHandle<()>,
}

impl Server {
    /// Answers with `say`, one after the other, the last one for good.
    pub(crate) async fn start(say: impl IntoIterator<Item = Say>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let say = Arc::new(Mutex::new(say.into_iter().collect()));
        let shared = Shared { say, port: address.port(), ..Shared::default() };
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(serve_router(listener, app, Bounds::default(), std::future::pending()));
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    pub(crate) fn config(&self) -> (Config, Arc<FakeClock>) {
        let clock = Arc::new(FakeClock::default());
        let config = Config {
            clock: clock.clone(),
            retry: Retry { tries: 4, ..Retry::default() },
            timeout: Duration::from_millis(300),
            ..Config::new(self.url(""))
        };
        (config.with_credentials(Credentials::new("ann", KEY)), clock)
    }

    pub(crate) fn client(&self) -> (Client, Arc<FakeClock>) {
        let (config, clock) = self.config();
        (Client::new(config).unwrap(), clock)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A clock that only sleeping moves; it remembers how long that was each time.
#[derive(Debug, Default)]
pub(crate) struct FakeClock(Mutex<Vec<Duration>>);

impl FakeClock {
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        // The real time, for signatures, moved by what was slept.
        Timestamp::now() + self.pauses().iter().sum::<Duration>()
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.lock().unwrap().push(pause);
        Box::pin(std::future::ready(()))
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let hawk = hawk_header(&parts.headers);
    let signed = hawk.as_ref().map(|header| verify(header, parts.method.as_str(), &target, &body, shared.port));
    let nonce = hawk.and_then(|header| header.nonce);
    shared.got.lock().unwrap().push(Got { method: parts.method.to_string(), target, body, nonce, signed });
    let say = {
        let mut say = shared.say.lock().unwrap();
        if say.len() > 1 { say.pop_front() } else { say.front().cloned() }
    };
    match say.unwrap() {
        Say::Json(status, body) => Response::builder().status(status).body(Body::from(body)).unwrap(),
        Say::With(status, headers, body) => {
            let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Say::Break => {
            let parts = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("broken"))];
            let body = Body::from_stream(futures_util::stream::iter(parts));
            Response::builder().header(header::CONTENT_LENGTH, "50").body(body).unwrap()
        }
        Say::Stall => {
            use futures_util::StreamExt as _;
            let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
            Response::new(Body::from_stream(begun.chain(futures_util::stream::pending())))
        }
        Say::Silence => std::future::pending().await,
    }
}

fn hawk_header(headers: &HeaderMap) -> Option<hawk::Header> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().unwrap();
    Some(hawk::Header::from_str(text.strip_prefix("Hawk ").unwrap()).unwrap())
}

/// As the auth service does: over the target as it came, and the body as it came.
fn verify(header: &hawk::Header, method: &str, target: &str, body: &Bytes, port: u16) -> bool {
    let hash = hawk::PayloadHasher::hash("application/json", hawk::SHA256, body).unwrap();
    let hash = (!body.is_empty()).then_some(hash.as_slice());
    let request = hawk::RequestBuilder::new(method, "127.0.0.1", port, target).hash(hash).request();
    let key = hawk::Key::new(KEY, hawk::SHA256).unwrap();
    request.validate_header(header, &key, Duration::from_secs(900))
}
