//! From a request to an answer: find the endpoint, read the body, judge, call, and say it as the wire does.
//!
//! The order of checks is a real deployment's: the body parses, then scopes that need only the URL, then URL parameters,
//! query and schema, and then the handler, which judges the scopes that need more.

use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use taskgraft_core::scopes::ScopeExpression;

use super::body::{self, Coding, Parsed, Places};
use super::endpoint::{Access, Endpoint, Input, Service};
use super::route::{BadPattern, Found, Routes};
use super::schema::SchemaError;
use super::{ApiError, Call, ErrorCode, Reply};
use crate::Ctx;
use crate::auth::SignedRequest;

/// On every answer of a service.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (HeaderName::from_static("access-control-allow-origin"), HeaderValue::from_static("*")),
    (HeaderName::from_static("access-control-max-age"), HeaderValue::from_static("900")),
    (
        HeaderName::from_static("access-control-allow-methods"),
        HeaderValue::from_static("OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,CONNECT"),
    ),
    (
        HeaderName::from_static("access-control-allow-headers"),
        HeaderValue::from_static("X-Requested-With,Content-Type,Authorization,Accept,Origin,Cache-Control"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store no-cache must-revalidate")),
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
];

/// Tables or schemas that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// In an endpoint table.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// In a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Everything that is served.
pub(crate) struct App {
    ctx: Arc<Ctx>,
    routes: Routes,
    places: Places,
}

impl App {
    /// Puts tables and schemas together.
    pub(crate) fn new(ctx: Arc<Ctx>, services: &'static [Service]) -> Result<Self, AppError> {
        Ok(Self { ctx, routes: Routes::new(services)?, places: Places::default() })
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let found = self.routes.find(&parts.method, parts.uri.path());
        let body = match &found {
            Found::Endpoint(..) => body,
            Found::NoService | Found::NoVersion | Found::NoEndpoint | Found::Options(_) | Found::Undecodable => {
                body::discard(body).await;
                Body::empty()
            }
        };
        let mut response = match found {
            Found::NoService => return no_service(parts.uri.path()),
            Found::NoVersion => return not_found(),
            Found::Endpoint(endpoint, params) => self.call(endpoint, params, &parts, body).await,
            Found::NoEndpoint => not_found(),
            Found::Options(methods) => options(&methods.join(", ")),
            Found::Undecodable => {
                let error = ApiError::new(ErrorCode::InvalidRequestArguments, "The URL is not UTF-8.");
                respond(&error, error.body("unknown", &Map::new(), None, self.ctx.now()))
            }
        };
        response.headers_mut().extend(HEADERS);
        if parts.method == http::Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn call(
        &self,
        endpoint: &'static Endpoint,
        params: Map<String, Value>,
        parts: &Parts,
        body: Body,
    ) -> Response<Body> {
        let mut call = self.begin(params, parts);
        let result = match self.prepare(endpoint, &mut call, parts, body).await {
            Ok(()) => (endpoint.handler)(&self.ctx, &mut call).await,
            Err(error) => Err(error),
        };
        body::discard(call.take_stream()).await;
        let method = endpoint.name;
        match result {
            Ok(reply) => {
                tracing::debug!(method, status = reply.status().as_u16(), "answered");
                reply.into_response()
            }
            Err(error) => {
                tracing::debug!(method, code = error.code.as_str(), "refused");
                let now = self.ctx.now();
                if let Some(param) = endpoint.secret.and_then(|secret| call.params.get_mut(secret)) {
                    *param = json!("<secret>");
                }
                let mut response = respond(&error, error.body(method, &call.params, call.echoed(), now));
                // A signature helps where one is looked at.
                if error.code == ErrorCode::AuthenticationFailed && endpoint.access != Access::Open {
                    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("hawk"));
                }
                response
            }
        }
    }

    fn begin(&self, params: Map<String, Value>, parts: &Parts) -> Call {
        let query = parts.uri.query().unwrap_or_default();
        Call {
            params,
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            body: json!({}),
            echo: true,
            bytes: Bytes::new(),
            place: None,
            stream: Mutex::new(None),
            headers: parts.headers.clone(),
            signed: SignedRequest::received(parts, &self.ctx),
            auth: Arc::clone(&self.ctx.auth),
            now: self.ctx.now(),
            caller: OnceLock::new(),
        }
    }

    /// Everything that comes before the handler.
    async fn prepare(&self, endpoint: &Endpoint, call: &mut Call, parts: &Parts, body: Body) -> Result<(), ApiError> {
        if endpoint.input == Input::Stream {
            call.stream = Mutex::new(Some(body));
        } else {
            receive(call, body, &self.places).await?;
        }
        match endpoint.access {
            Access::Scope(template) => call.authorize(fill(template, call))?,
            Access::All(templates) => {
                let all = templates.iter().map(|template| fill(template, call)).collect();
                call.authorize(ScopeExpression::AllOf(all))?;
            }
            Access::Open | Access::Handler => {}
        }
        self.routes.check_params(parts.uri.path(), &call.params)?;
        self.routes.check_query(endpoint, &call.query)?;
        if let Input::Json(schema) = endpoint.input {
            call.require_json()?;
            self.ctx.check_schema(schema, &mut call.body)?;
        }
        Ok(())
    }
}

/// Reads the body into the call. Only what says that it is JSON is parsed; everything else counts as `{}`.
async fn receive(call: &mut Call, body: Body, places: &Places) -> Result<(), ApiError> {
    call.echo = false;
    let unknown = || ApiError::new(ErrorCode::MalformedPayload, "The request's content-encoding is not supported.");
    let Some(coding) = Coding::of(&call.headers) else {
        body::discard(body).await;
        return Err(unknown());
    };
    let (bytes, place) = body::read(body, coding, places).await?;
    let bytes = body::decode(bytes, coding)?;
    call.place = place.filter(|_| bytes.len() > body::SMALL);
    call.echo = true;
    if !Call::is_json(&call.headers) {
        return Ok(());
    }
    match body::parse(&bytes) {
        Parsed::Json(value) => {
            call.body = value;
            call.bytes = bytes;
            Ok(())
        }
        Parsed::Wrong(error, echo) => {
            call.body = echo;
            Err(error)
        }
    }
}

/// A scope template with the call's URL parameters put in.
fn fill(template: &str, call: &Call) -> ScopeExpression {
    let mut scope = String::new();
    let mut rest = template;
    while let Some((start, (name, end))) =
        rest.split_once('<').and_then(|(start, rest)| Some((start, rest.split_once('>')?)))
    {
        scope += start;
        scope += call.param(name);
        rest = end;
    }
    ScopeExpression::Scope(scope + rest)
}

fn respond(error: &ApiError, body: Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = error.code.status();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn not_found() -> Response<Body> {
    let body = Reply::bytes("application/json; charset=utf-8", r#"{"error":"Not found"}"#);
    body.with_status(StatusCode::NOT_FOUND).into_response()
}

fn options(methods: &str) -> Response<Body> {
    let mut response = Reply::bytes("text/plain; charset=utf-8", methods.to_owned()).into_response();
    if let Ok(value) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Outside all services: a page for people who come with a browser.
fn no_service(path: &str) -> Response<Body> {
    const ROOT: &str = "<!doctype html><title>taskgraft</title><p>An embedded Taskcluster: its services are below \
                        <code>/api/</code>.";
    let (status, text) = match path {
        "/" => (StatusCode::OK, ROOT),
        _ => (StatusCode::NOT_FOUND, "<!doctype html><title>404 Not Found</title><p>404 Not Found"),
    };
    Reply::bytes("text/html; charset=utf-8", text).with_status(status).into_response()
}
