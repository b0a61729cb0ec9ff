//! A request as its signature sees it, and what became of judging it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hawk::{DigestAlgorithm, PayloadHasher};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use jiff::Timestamp;
use taskgraft_core::scopes::ScopeExpression;

use crate::Ctx;
use crate::http::ApiError;

/// What a Hawk signature or a bewit covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// Upper-case HTTP method.
    pub method: String,
    /// Path and query as received.
    pub resource: String,
    /// Host (lower case) and port that the client may have called, the likeliest first.
    pub hosts: Vec<(String, u16)>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl SignedRequest {
    /// A request that came in over HTTP. Behind a proxy the client signed for the root URL; whoever comes around the
    /// proxy, as a worker on the same machine does, signed for what the `Host` header says.
    #[must_use]
    pub(crate) fn received(parts: &Parts, ctx: &Ctx) -> Self {
        let mut hosts = Vec::new();
        if let (true, Some(host)) = (ctx.behind_proxy, ctx.root_url.host_str()) {
            hosts.push((host.to_lowercase(), ctx.root_url.port_or_known_default().unwrap_or(80)));
        }
        let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
        if let Some(host) = host.and_then(host_and_port).filter(|host| !hosts.contains(host)) {
            hosts.push(host);
        }
        Self {
            method: parts.method.as_str().to_owned(),
            resource: parts.uri.path_and_query().map(|resource| resource.as_str().to_owned()).unwrap_or_default(),
            hosts,
            // What isn't text can't be a signature, but it is an attempt at one.
            authorization: parts.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("?").to_owned()),
        }
    }
}

/// `example.com:8080`, `example.com`, `[::1]:80`. Without a port it is that of plain HTTP.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        Some(_) | None => (text, 80),
    };
    Some((host.to_lowercase(), port))
}

/// What became of judging a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Signed by a client that there is.
    Success {
        /// Who signed; for temporary credentials with a name, that name.
        client_id: String,
        /// Expanded scopes, those of the role `anonymous` among them.
        scopes: Arc<[String]>,
        /// When the credentials end.
        expires: Timestamp,
        /// The payload hash that was signed, base64; not compared with any payload yet.
        hash: Option<String>,
    },
    /// Not signed.
    Anonymous {
        /// Expanded scopes of the role `anonymous`.
        scopes: Arc<[String]>,
    },
    /// Signed, and wrong.
    Failed {
        /// Why, for the caller.
        message: String,
    },
}

impl Authentication {
    /// Refuses unless the scopes are enough: 401 for a bad signature, 403 for too few scopes.
    pub fn authorize(&self, needed: &ScopeExpression) -> Result<(), ApiError> {
        let (client, scopes) = match self {
            Self::Success { client_id, scopes, .. } => (Some(client_id.as_str()), scopes),
            Self::Anonymous { scopes } => (None, scopes),
            Self::Failed { message } => return Err(ApiError::unauthorized(message.clone())),
        };
        match needed.missing(scopes) {
            None => Ok(()),
            Some(missing) => Err(ApiError::forbidden(client, &missing, needed)),
        }
    }

    /// The same, unless a payload hash was signed that isn't this payload's.
    #[must_use]
    pub(crate) fn with_payload(self, payload: &[u8], content_type: Option<&HeaderValue>) -> Self {
        let Self::Success { hash: Some(signed), .. } = &self else { return self };
        let kind = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
        let computed = PayloadHasher::hash(kind, DigestAlgorithm::Sha256, payload);
        let computed = computed.map(|hash| STANDARD.encode(hash)).unwrap_or_default();
        // No secret: whoever sent the payload knows its hash.
        if computed == *signed {
            return self;
        }
        let message = format!(
            "Invalid payload hash: {{{{hash}}}}\nComputed payload hash: {computed}\nThis happens when your request carries \
             a signed hash of the payload and the hash doesn't match the hash we've computed on the server-side."
        );
        Self::Failed { message }
    }
}
