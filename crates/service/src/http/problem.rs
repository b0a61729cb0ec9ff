//! What went wrong, as RFC 9457 says it: `application/problem+json` with a stable type.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// What kinds of problems there are. Their names are stable: programs may depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    MalformedBody,
    BadParameter,
    Unsigned,
    BadSignature,
    Forbidden,
    NotFound,
    UnknownPush,
    UnknownRequest,
    WrongMethod,
    SlowBody,
    WrongState,
    LargeBody,
    WrongMediaType,
    AmbiguousPush,
    BrokenPush,
    KeyReused,
    UnknownLabels,
    NoPlan,
    TooMany,
    Internal,
    Upstream,
    Overloaded,
    NotReady,
    UpstreamSlow,
}

impl Kind {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 24] = [
        Self::MalformedBody,
        Self::BadParameter,
        Self::Unsigned,
        Self::BadSignature,
        Self::Forbidden,
        Self::NotFound,
        Self::UnknownPush,
        Self::UnknownRequest,
        Self::WrongMethod,
        Self::SlowBody,
        Self::WrongState,
        Self::LargeBody,
        Self::WrongMediaType,
        Self::AmbiguousPush,
        Self::BrokenPush,
        Self::KeyReused,
        Self::UnknownLabels,
        Self::NoPlan,
        Self::TooMany,
        Self::Internal,
        Self::Upstream,
        Self::Overloaded,
        Self::NotReady,
        Self::UpstreamSlow,
    ];

    /// Its status, the last part of its type, and its title.
    pub(super) const fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedBody => (StatusCode::BAD_REQUEST, "malformed-body", "The body is not what is asked for"),
            Self::BadParameter => (StatusCode::BAD_REQUEST, "bad-parameter", "A parameter or header can't be used"),
            Self::Unsigned => (StatusCode::UNAUTHORIZED, "unsigned", "Taskcluster credentials are needed"),
            Self::BadSignature => (StatusCode::UNAUTHORIZED, "bad-signature", "The signature does not count"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "These credentials don't allow it"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::UnknownPush => (StatusCode::NOT_FOUND, "unknown-push", "No such push is known"),
            Self::UnknownRequest => (StatusCode::NOT_FOUND, "unknown-request", "No such request is known"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "This is not called that way"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow-body", "The body took too long to arrive"),
            Self::WrongState => (StatusCode::CONFLICT, "wrong-state", "The request is past that"),
            Self::LargeBody => (StatusCode::PAYLOAD_TOO_LARGE, "large-body", "The body is too large"),
            Self::WrongMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong-media-type", "JSON is needed"),
            Self::AmbiguousPush => (StatusCode::UNPROCESSABLE_ENTITY, "ambiguous-push", "Several pushes are meant"),
            Self::BrokenPush => (StatusCode::UNPROCESSABLE_ENTITY, "broken-push", "The push can't be worked on"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The key was used for something else"),
            Self::UnknownLabels => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-labels", "The push has no such jobs"),
            Self::NoPlan => (StatusCode::UNPROCESSABLE_ENTITY, "no-plan", "There is no plan for that"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many calls"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke here"),
            Self::Upstream => (StatusCode::BAD_GATEWAY, "upstream", "Taskcluster did not answer"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much is being worked on"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "No requests are taken now"),
            Self::UpstreamSlow => (StatusCode::GATEWAY_TIMEOUT, "upstream-slow", "Taskcluster took too long"),
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    /// What went wrong this time.
    pub(super) detail: String,
    /// Where in what was sent: a JSON path, or the parameter's or header's name.
    pub(super) place: Option<String>,
    /// What to do about it, each on its own.
    pub(super) way_out: Vec<String>,
    /// In how many seconds to come again.
    pub(super) retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), place: None, way_out: Vec::new(), retry_after: None }
    }

    /// A parameter, path segment or header that can't be used.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::BadParameter, detail).at(name)
    }

    /// Something that is nobody's fault outside; what it is goes to the log only.
    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "an answer failed");
        Self::new(Kind::Internal, "it is in the service's log, under this answer's X-Request-Id")
    }

    pub(super) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub(super) fn out(mut self, way: impl Into<String>) -> Self {
        self.way_out.push(way.into());
        self
    }

    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.kind.row().0
    }

    /// The last part of its type.
    pub(super) fn name(&self) -> &'static str {
        self.kind.row().1
    }

    /// The document; `call` is the answer's X-Request-Id.
    pub(super) fn document(&self, call: &str) -> Value {
        let (status, name, title) = self.kind.row();
        let mut document = Map::new();
        document.insert("type".into(), json!(format!("urn:taskgraft:problem:{name}")));
        document.insert("title".into(), json!(title));
        document.insert("status".into(), json!(status.as_u16()));
        document.insert("detail".into(), json!(self.detail));
        document.insert("instance".into(), json!(format!("urn:taskgraft:call:{call}")));
        if let Some(place) = &self.place {
            document.insert("place".into(), json!(place));
        }
        if !self.way_out.is_empty() {
            document.insert("wayOut".into(), json!(self.way_out));
        }
        Value::Object(document)
    }

    pub(super) fn into_response(self, call: &str) -> Response<Body> {
        let mut response = Response::new(Body::from(self.document(call).to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Hawk"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_type_is_its_own_and_documented_with_its_status() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/http-api.md");
        let page = std::fs::read_to_string(page).unwrap();
        let names: BTreeSet<_> = Kind::ALL.into_iter().map(|kind| kind.row().1).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let (status, name, title) = kind.row();
            let row = format!("| `{name}` | {} | {title} |", status.as_u16());
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn the_document_says_where_and_what_to_do() {
        let problem = Problem::parameter("limit", "no number").out("leave it out");
        assert_eq!(
            problem.document("c"),
            json!({
                "type": "urn:taskgraft:problem:bad-parameter", "title": "A parameter or header can't be used",
                "status": 400, "detail": "no number", "instance": "urn:taskgraft:call:c", "place": "limit",
                "wayOut": ["leave it out"],
            })
        );
    }
}
