//! From a method and a path to an endpoint and its parameters.

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value};

use super::endpoint::{Endpoint, Method, PAGED, Service};
use super::{ApiError, ErrorCode, common};

/// A table that cannot be used; only a defect in this crate makes one.
#[derive(Debug, thiserror::Error)]
#[error("endpoint table: `{0}` is not a regular expression")]
pub struct BadPattern(String);

/// A piece of an endpoint's path.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(&'static str),
    Param(&'static str),
    Optional(&'static str),
    Rest(&'static str),
}

struct Route {
    endpoint: &'static Endpoint,
    pieces: Vec<Piece>,
}

struct Served {
    service: &'static Service,
    params: Vec<(&'static str, &'static str, Regex)>,
    routes: Vec<Route>,
}

/// All tables, ready to be asked.
pub(super) struct Routes {
    services: Vec<Served>,
    /// Patterns of query parameters, each compiled once.
    patterns: Vec<(&'static str, Regex)>,
}

/// Where a request leads.
pub(super) enum Found {
    /// To an endpoint, with its parameters.
    Endpoint(&'static Endpoint, Map<String, Value>),
    /// To nothing, within a service.
    NoEndpoint,
    /// To a path that others may call with these methods.
    Options(Vec<&'static str>),
    /// To a service, and to no version of it that there is.
    NoVersion,
    /// To no service at all.
    NoService,
    /// A parameter that isn't UTF-8.
    Undecodable,
}

impl Routes {
    pub(super) fn new(services: &'static [Service]) -> Result<Self, BadPattern> {
        let compile = |pattern: &'static str| Regex::new(pattern).map_err(|_| BadPattern(pattern.to_owned()));
        let mut patterns = Vec::new();
        let mut served = Vec::new();
        for service in services {
            let endpoints = common::ENDPOINTS.iter().chain(service.endpoints);
            for (_, pattern) in endpoints.clone().flat_map(|endpoint| endpoint.query).chain(PAGED) {
                if !patterns.iter().any(|(known, _)| known == pattern) {
                    patterns.push((*pattern, compile(pattern)?));
                }
            }
            let compiled = service.params.iter().map(|(name, pattern)| Ok((*name, *pattern, compile(pattern)?)));
            served.push(Served {
                service,
                params: compiled.collect::<Result<_, _>>()?,
                routes: endpoints.map(|endpoint| Route { endpoint, pieces: pieces(endpoint.path) }).collect(),
            });
        }
        Ok(Self { services: served, patterns })
    }

    pub(super) fn find(&self, method: &http::Method, path: &str) -> Found {
        let Some((served, rest)) = self.service(path) else {
            let of_service = |served: &Served| {
                path.strip_prefix("/api/").is_some_and(|path| path.split('/').next() == Some(served.service.name))
            };
            return if self.services.iter().any(of_service) { Found::NoVersion } else { Found::NoService };
        };
        let segments: Vec<&str> = rest.split('/').collect();
        if method == http::Method::OPTIONS {
            return served.options(&segments);
        }
        let method = if method == http::Method::HEAD { "GET" } else { method.as_str() };
        for route in served.routes.iter().filter(|route| route.endpoint.method.as_str() == method) {
            if let Some(values) = matched(&route.pieces, &segments) {
                return values.map_or(Found::Undecodable, |params| Found::Endpoint(route.endpoint, params));
            }
        }
        Found::NoEndpoint
    }

    /// The service that a path belongs to, and what follows `/api/<service>/v1/`.
    fn service<'a>(&self, path: &'a str) -> Option<(&Served, &'a str)> {
        let (name, rest) = path.strip_prefix("/api/")?.split_once('/')?;
        let rest = rest.strip_prefix("v1/")?;
        Some((self.services.iter().find(|served| served.service.name == name)?, rest))
    }

    /// Refuses parameters that don't match their service's patterns.
    pub(super) fn check_params(&self, path: &str, params: &Map<String, Value>) -> Result<(), ApiError> {
        let Some((served, _)) = self.service(path) else { return Ok(()) };
        let mut text = String::new();
        for (name, value) in params {
            let value = value.as_str().unwrap_or_default();
            let wrong = |(known, _, regex): &&(&str, &str, Regex)| known == name && !regex.is_match(value);
            if let Some((_, pattern, _)) = served.params.iter().find(wrong) {
                text += &format!(
                    "\nURL parameter '{name}' given as '{value}' must match regular expression: '/{pattern}/'"
                );
            }
        }
        match text.is_empty() {
            true => Ok(()),
            false => Err(ApiError::new(ErrorCode::InvalidRequestArguments, format!("Invalid URL patterns:{text}"))),
        }
    }

    /// Refuses query parameters that the endpoint doesn't know, and such that don't match. `bewit` is always known.
    pub(super) fn check_query(&self, endpoint: &Endpoint, query: &[(String, String)]) -> Result<(), ApiError> {
        let mut mistakes = Vec::new();
        for (at, (name, value)) in query.iter().enumerate() {
            let Some((_, pattern)) = endpoint.query.iter().find(|(known, _)| known == name) else {
                if name != "bewit" {
                    mistakes.push(format!("Query-string parameter: {name} is not supported!"));
                }
                continue;
            };
            if query[..at].iter().any(|(earlier, _)| earlier == name) {
                mistakes.push(format!("Query-string parameter: {name} must be a string!"));
            }
            let regex = self.patterns.iter().find(|(known, _)| known == pattern);
            if regex.is_some_and(|(_, regex)| !regex.is_match(value)) {
                mistakes
                    .push(format!("Query-string parameter: {name}=\"{value}\" does not match expression: /{pattern}/"));
            }
        }
        match mistakes.is_empty() {
            true => Ok(()),
            false => Err(ApiError::new(ErrorCode::InvalidRequestArguments, mistakes.join("\n"))),
        }
    }
}

impl Served {
    fn options(&self, segments: &[&str]) -> Found {
        let has = |method: Method| {
            let of_method = self.routes.iter().filter(|route| route.endpoint.method == method);
            of_method.into_iter().any(|route| matched(&route.pieces, segments).is_some())
        };
        let mut methods = Vec::new();
        for method in [Method::Get, Method::Put, Method::Post, Method::Delete].into_iter().filter(|m| has(*m)) {
            methods.push(method.as_str());
            if method == Method::Get {
                methods.push("HEAD");
            }
        }
        if methods.is_empty() { Found::NoEndpoint } else { Found::Options(methods) }
    }
}

fn pieces(path: &'static str) -> Vec<Piece> {
    let piece = |text: &'static str| match text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
        None => Piece::Text(text),
        Some(name) => match (name.strip_prefix('*'), name.strip_suffix('?')) {
            (Some(name), _) => Piece::Rest(name),
            (None, Some(name)) => Piece::Optional(name),
            (None, None) => Piece::Param(name),
        },
    };
    path.trim_matches('/').split('/').map(piece).collect()
}

/// `None` if the path is another; `Some(None)` if a parameter cannot be decoded. One slash at the end is overlooked.
fn matched(pieces: &[Piece], segments: &[&str]) -> Option<Option<Map<String, Value>>> {
    let rest = matches!(pieces.last(), Some(Piece::Rest(_)));
    let mut segments = segments;
    if let (false, [all @ .., ""]) = (rest, segments) {
        segments = all;
    }
    let optional = usize::from(matches!(pieces.last(), Some(Piece::Optional(_))));
    let fits = match rest {
        true => segments.len() >= pieces.len(),
        false => (pieces.len() - optional..=pieces.len()).contains(&segments.len()),
    };
    if !fits || !pieces.iter().zip(segments).all(|(piece, segment)| piece.takes(segment)) {
        return None;
    }
    let mut params = Map::new();
    for (at, piece) in pieces.iter().enumerate() {
        let (name, value) = match piece {
            Piece::Text(_) => continue,
            Piece::Param(name) | Piece::Optional(name) => match segments.get(at) {
                Some(segment) => (name, decode(segment)),
                None => continue,
            },
            Piece::Rest(name) => {
                let decoded: Option<Vec<String>> = segments[at..].iter().map(|segment| decode(segment)).collect();
                (name, decoded.map(|parts| parts.join("/")))
            }
        };
        match value {
            Some(value) => params.insert((*name).to_owned(), Value::String(value)),
            None => return Some(None),
        };
    }
    Some(Some(params))
}

impl Piece {
    fn takes(&self, segment: &str) -> bool {
        match self {
            Self::Text(text) => *text == segment,
            Self::Param(_) | Self::Optional(_) => !segment.is_empty(),
            Self::Rest(_) => true,
        }
    }
}

fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(path: &'static str, request: &str) -> Option<Value> {
        let segments: Vec<&str> = request.trim_start_matches('/').split('/').collect();
        matched(&pieces(path), &segments).map(|params| params.map_or(Value::Null, Value::Object))
    }

    #[test]
    fn paths_match_by_segments() {
        assert_eq!(params("/ping", "/ping"), Some(json!({})));
        assert_eq!(params("/ping", "/ping/"), Some(json!({})));
        assert_eq!(params("/ping", "/pong"), None);
        assert_eq!(params("/roles/", "/roles"), Some(json!({})));
        assert_eq!(params("/roles/<roleId>", "/roles/"), None);
        assert_eq!(params("/roles/<roleId>", "/roles/a%2Fb%3A*"), Some(json!({"roleId": "a/b:*"})));
        assert_eq!(params("/roles/<roleId>", "/roles/a/b"), None);
        assert_eq!(params("/tasks/<namespace?>", "/tasks"), Some(json!({})));
        assert_eq!(params("/tasks/<namespace?>", "/tasks/"), Some(json!({})));
        assert_eq!(params("/tasks/<namespace?>", "/tasks/a.b"), Some(json!({"namespace": "a.b"})));
        assert_eq!(params("/a/<id>/artifacts/<*name>", "/a/1/artifacts"), None);
        assert_eq!(params("/a/<id>/artifacts/<*name>", "/a/1/artifacts/"), Some(json!({"id": "1", "name": ""})));
        let found = params("/a/<id>/artifacts/<*name>", "/a/1/artifacts/public/x%2Fy//z");
        assert_eq!(found, Some(json!({"id": "1", "name": "public/x/y//z"})));
        assert_eq!(params("/a/<id>", "/a/%ff"), Some(Value::Null));
    }
}
