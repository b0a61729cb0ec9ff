//! What every call goes through before and after its endpoint: bounds, names, headers, and the record of what was asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts as _, RawPathParams, Request, State};
use axum::http::header::{HeaderName, ORIGIN, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use taskgraft_core::ids::TaskId;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::app::App;
use super::call::{self, Call, Origin};
use super::problem::{Kind, Problem};
use super::rate::Caller;
use super::table::{Access, Endpoint};
use super::who::{Signed, Who};
use super::{body, record};

/// A call's name in logs.
const CALL_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name that a caller may give a call.
const MAX_CALL_ID: usize = 64;

/// On every answer that says nothing else: it is data, for nobody to show, run or keep.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")),
    (HeaderName::from_static("vary"), HeaderValue::from_static("origin")),
];

/// What a web page of an allowed origin may send and read.
const SHARED: [(&str, &str); 3] = [
    ("access-control-allow-methods", "GET, POST"),
    (
        "access-control-allow-headers",
        "authorization, content-type, idempotency-key, last-event-id, prefer, x-request-id",
    ),
    ("access-control-expose-headers", "location, retry-after, x-request-id"),
];

/// A call's name, from outside or made up.
#[derive(Debug, Clone)]
struct CallId(String);

/// Which endpoint made an answer.
#[derive(Debug, Clone, Copy)]
struct Answered(&'static str);

/// Around everything: names the call, bounds it, counts it and adds headers.
pub(super) async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = call_id(request.headers());
    let origin = allowed_origin(&app, request.headers());
    request.extensions_mut().insert(CallId(id.clone()));
    let mut response = if request.method() == Method::OPTIONS && origin.is_some() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let _busy = app.metrics.begin();
        next.run(request).await
    };
    let endpoint = response.extensions().get::<Answered>().map_or("none", |answered| answered.0);
    app.metrics.answered(endpoint, response.status().as_u16(), begun.elapsed());
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(CALL_ID, id);
    }
    if let Some(origin) = origin {
        headers.insert("access-control-allow-origin", origin);
        headers.insert(VARY, HeaderValue::from_static("origin"));
        for (name, value) in SHARED {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// One call of an endpoint.
pub(super) async fn serve(app: Arc<App>, endpoint: &'static Endpoint, request: Request) -> Response<Body> {
    let id = request.extensions().get::<CallId>().map(|id| id.0.clone()).unwrap_or_default();
    // Dropped with this, when the caller hangs up.
    let (_here, here) = watch::channel(());
    let from = Origin { call: id.clone(), address: address(&app, &request), here };
    let answer = admitted(Arc::clone(&app), endpoint, request, from);
    let answer = answer.instrument(tracing::info_span!("call", call = %id));
    let answer = match endpoint.access {
        // What becomes of it is entered, whether or not somebody waits to be told.
        Access::Signed => app.calls.to_its_end(answer).await.unwrap_or_else(|why| Err(Problem::internal(why))),
        Access::Operator | Access::Anybody => answer.await,
    };
    let mut response = answer.unwrap_or_else(|problem| {
        tracing::debug!(call = %id, endpoint = endpoint.name, problem = problem.name(), detail = %problem.detail, "refused");
        problem.into_response(&id)
    });
    response.extensions_mut().insert(Answered(endpoint.name));
    response
}

/// The answer to a path that there isn't, or a method that it doesn't take.
pub(super) async fn nothing(kind: Kind, request: Request) -> Response<Body> {
    let id = request.extensions().get::<CallId>().map(|id| id.0.clone()).unwrap_or_default();
    let what: String = request.uri().path().chars().take(200).collect();
    let problem = Problem::new(kind, format!("{} {what}", request.method()));
    problem.out(format!("what there is: {}/openapi.json", super::table::BASE)).into_response(&id)
}

async fn admitted(
    app: Arc<App>,
    endpoint: &'static Endpoint,
    request: Request,
    from: Origin,
) -> Result<Response<Body>, Problem> {
    let begin = || record::Entry::begin(endpoint.name, &from, request.uri().path(), request.headers());
    let entry = (endpoint.access == Access::Signed).then(begin);
    let answer = answered(&app, endpoint, request, from, entry.as_ref()).await;
    if let Err(problem) = &answer
        && let Some(entry) = entry
    {
        entry.refused(&app, problem).await;
    }
    answer
}

/// `entry`: of a call that has to be signed.
async fn answered(
    app: &Arc<App>,
    endpoint: &'static Endpoint,
    request: Request,
    from: Origin,
    entry: Option<&record::Entry>,
) -> Result<Response<Body>, Problem> {
    if endpoint.access != Access::Operator {
        app.rate.take(Caller::at(from.address), Instant::now()).map_err(too_many)?;
    }
    let (mut parts, body) = request.into_parts();
    let mut call = Call::new(from, path(&mut parts).await?);
    if let Some(entry) = entry {
        entry.about(&call.path);
        return signed(app, endpoint, (parts, body), (call, entry)).await;
    }
    call.query = call::query(parts.uri.query(), endpoint.query)?;
    if endpoint.method == Method::POST {
        (call.body, call.room) = body::read(app, &parts.headers, body).await?;
    }
    call.headers = parts.headers;
    run(app, endpoint, call).await
}

/// A call that has to be signed.
async fn signed(
    app: &Arc<App>,
    endpoint: &'static Endpoint,
    (parts, body): (Parts, Body),
    (mut call, entry): (Call, &record::Entry),
) -> Result<Response<Body>, Problem> {
    (call.body, call.room) = body::read(app, &parts.headers, body).await?;
    entry.sent(&call.body);
    call.who = Some(judged(app, &parts, &call).await?);
    let who = call.who()?;
    entry.by(&who.client_id);
    app.rate.take(Caller::Client(who.client_id.clone()), Instant::now()).map_err(too_many)?;
    call.query = call::query(parts.uri.query(), endpoint.query)?;
    call.headers = parts.headers;
    run(app, endpoint, call).await
}

/// Who signed a call. Whoever it is, they have no place among those that are worked on yet.
async fn judged(app: &App, parts: &Parts, call: &Call) -> Result<Who, Problem> {
    let _place = app.judging.take(Caller::at(call.from)).ok_or_else(busy)?;
    let signed = Signed {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        body: &call.body,
        from: call.from.to_string(),
    };
    app.in_time(app.judge.judge(&signed)).await
}

/// Does what is asked, which is whole by now and whose asker is known: work, of which there is only so much at once.
async fn run(app: &Arc<App>, endpoint: &'static Endpoint, mut call: Call) -> Result<Response<Body>, Problem> {
    if endpoint.access != Access::Operator {
        call.place = Some(app.working.take(call.caller()).ok_or_else(busy)?);
    }
    (endpoint.run)(Arc::clone(app), call).await
}

fn busy() -> Problem {
    Problem::new(Kind::Overloaded, "as many calls are worked on as may be at once, altogether or by one caller")
        .after(1)
}

fn too_many(seconds: u64) -> Problem {
    Problem::new(Kind::TooMany, "more calls than one caller may make").after(seconds)
}

async fn path(parts: &mut Parts) -> Result<Vec<String>, Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| Problem::parameter("path", "it is not UTF-8"))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

fn call_id(headers: &HeaderMap) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let given = headers.get(CALL_ID).and_then(|value| value.to_str().ok());
    let given = given.filter(|id| (1..=MAX_CALL_ID).contains(&id.len()) && id.bytes().all(plain));
    given.map_or_else(|| TaskId::from_bytes(rand::random()).to_string(), str::to_owned)
}

/// Where a call comes from; behind a reverse proxy, where that says it does.
fn address(app: &App, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if !app.settings.forwarded {
        return peer;
    }
    let last = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.unwrap_or(peer)
}

fn allowed_origin(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    app.settings.origins.iter().any(|allowed| allowed == text).then(|| origin.clone())
}
