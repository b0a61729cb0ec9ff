//! Who calls: Hawk with Taskcluster credentials, judged by the deployment's own auth service.
//!
//! The auth service compares the signature. It has not seen the body, and may not remember nonces: that the hash in the
//! signature is the body's, and that a signature counts once, is seen to here.

use std::sync::{Mutex, PoisonError};

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use taskgraft_client::{Client, is_loopback};
use taskgraft_core::api::auth::{AuthenticateHawkRequest, AuthenticateHawkResponse};
use taskgraft_core::nonces::{Nonces, Refused};
use taskgraft_core::scopes;
use taskgraft_core::time::Millis;
use url::Url;

use super::problem::{Kind, Problem};
use crate::buildbot::FORCE;

/// The longest header that Taskcluster takes, in bytes.
const MAX_HEADER: usize = 4096;

/// What the scopes begin with of which it takes one, at least, to have anything done.
const ASKING: [&str; 3] = ["hooks:trigger-hook:", "queue:create-task:", FORCE];

/// Who calls, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) client_id: String,
    /// Expanded.
    pub(super) scopes: Vec<String>,
    /// When the credentials end.
    pub(super) expires: Millis,
}

impl Who {
    pub(super) fn may(&self, scope: &str) -> bool {
        scopes::satisfies(&self.scopes, scope)
    }

    /// Whether there is anything at all that may be done for them. Whatever it is takes a scope of one of these families:
    /// to trigger a hook, to create an action task, or to have a build forced. Which one, the push says later.
    pub(super) fn may_ask(&self) -> bool {
        let of = |family: &&str, scope: &String| {
            scope.starts_with(family) || scope.strip_suffix('*').is_some_and(|begin| family.starts_with(begin))
        };
        ASKING.iter().any(|family| self.scopes.iter().any(|scope| of(family, scope)))
    }
}

/// What of a call is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) from: String,
}

/// Judges signatures.
#[derive(Debug)]
pub(super) struct Judge {
    client: Client,
    public_url: Option<Url>,
    nonces: Mutex<Nonces>,
}

impl Judge {
    /// Nothing counts that was signed before now, since nobody remembers whether it was seen.
    pub(super) fn new(client: Client, public_url: Option<Url>) -> Self {
        let nonces = Mutex::new(Nonces::since(client.clock().now().as_second()));
        Self { client, public_url, nonces }
    }

    /// Who signed a call.
    ///
    /// # Errors
    /// If nobody did, the signature does not count, or the auth service doesn't say.
    pub(super) async fn judge(&self, signed: &Signed<'_>) -> Result<Who, Problem> {
        let header = match signed.headers.get(AUTHORIZATION).map(|value| value.to_str()) {
            None => {
                return Err(Problem::new(Kind::Unsigned, "there is no Authorization header")
                    .out("sign with Hawk and Taskcluster credentials"));
            }
            Some(Err(_)) => return Err(bad("the Authorization header is no text")),
            Some(Ok(header)) if header.len() > MAX_HEADER => return Err(bad("the Authorization header is too long")),
            Some(Ok(header)) => header,
        };
        // Taken apart before anybody is asked: what can't be remembered can't be let through.
        let claim = Claim::read(header).ok_or_else(|| bad("the Authorization header is no Hawk header"))?;
        let (who, hash) = self.ask(signed, header).await?;
        check_body(signed, hash.as_deref())?;
        let now = self.client.clock().now();
        if Millis::from(now) >= who.expires {
            return Err(bad("the credentials have expired"));
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        match nonces.note(claim.client, claim.ts, claim.nonce, now.as_second()) {
            Ok(()) => Ok(who),
            Err(Refused::Replayed) => Err(bad("this signature was used before").out("sign each call anew")),
            Err(Refused::Stale) => {
                Err(bad("this signature is too old, or older than this service").out("sign again, with the right time"))
            }
        }
    }

    async fn ask(&self, signed: &Signed<'_>, header: &str) -> Result<(Who, Option<String>), Problem> {
        let (host, port, prefix) = self.seen_as(signed.headers)?;
        let resource = signed.uri.path_and_query().map_or("/", |resource| resource.as_str());
        let request = AuthenticateHawkRequest {
            method: signed.method.as_str().to_lowercase(),
            resource: format!("{prefix}{resource}"),
            host,
            port,
            authorization: Some(header.to_owned()),
            source_ip: Some(signed.from.clone()),
        };
        match self.client.auth().authenticate_hawk(&request).await {
            Ok(AuthenticateHawkResponse::Success { expires, scopes, client_id, hash, .. }) => {
                Ok((Who { client_id, scopes, expires }, hash))
            }
            Ok(AuthenticateHawkResponse::Anonymous { .. }) => Err(bad("the auth service found no signature")),
            Ok(AuthenticateHawkResponse::Failed { message }) => Err(bad(&message)),
            Err(taskgraft_client::Error::Rejected { .. }) => Err(bad("the auth service can't read the signature")),
            Err(error) => Err(Problem::new(Kind::Upstream, format!("failed to {error}")).after(5)),
        }
    }

    /// The host and port that the client called, and what stands before the path there.
    fn seen_as(&self, headers: &HeaderMap) -> Result<(String, u16, String), Problem> {
        if let Some(url) = &self.public_url {
            let host = url.host_str().unwrap_or_default().to_owned();
            let port = url.port_or_known_default().unwrap_or(443);
            return Ok((host, port, url.path().trim_end_matches('/').to_owned()));
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let url = Url::parse(&format!("http://{host}/"));
        let url = url.ok().filter(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none());
        let url = url.ok_or_else(|| Problem::parameter("Host", "it is no host"))?;
        // What was signed for another host must not count here because somebody writes that host's name into a header.
        if !is_loopback(&url) {
            let problem =
                Problem::parameter("Host", "without a public URL signatures for this machine's loopback count only");
            return Err(problem.out("call 127.0.0.1").out("configure http.public_url as what callers call"));
        }
        let name = url.host_str().unwrap_or_default().to_owned();
        Ok((name, url.port_or_known_default().unwrap_or(80), String::new()))
    }
}

fn bad(why: &str) -> Problem {
    Problem::new(Kind::BadSignature, why)
}

/// Refuses a body that the signature does not cover.
fn check_body(signed: &Signed<'_>, hash: Option<&str>) -> Result<(), Problem> {
    let Some(hash) = hash else {
        return if signed.body.is_empty() {
            Ok(())
        } else {
            Err(bad("the signature does not cover the body").out("sign with the payload's hash"))
        };
    };
    let content_type = signed.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = hawk::PayloadHasher::hash(&content_type, hawk::SHA256, signed.body).map_err(Problem::internal)?;
    let given = STANDARD.decode(hash).unwrap_or_default();
    if given.as_slice() == AsRef::<[u8]>::as_ref(&found) {
        Ok(())
    } else {
        Err(bad("the body is not the one that was signed"))
    }
}

/// What a header claims, by which a signature is remembered.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    client: &'a str,
    ts: i64,
    nonce: &'a str,
}

impl<'a> Claim<'a> {
    /// Takes a header apart that says each thing once.
    fn read(header: &'a str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("hawk") {
            return None;
        }
        let (mut client, mut ts, mut nonce) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once("=\"")?;
            let value = value.strip_suffix('"').filter(|value| !value.contains(['"', '\\']))?;
            let place = match name {
                "id" => &mut client,
                "ts" => &mut ts,
                "nonce" => &mut nonce,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        // More digits than any moment has are no moment.
        let ts: &str = ts.filter(|ts| ts.len() <= 11 && ts.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(Self { client: client?, ts: ts.parse().ok()?, nonce: nonce? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use taskgraft_serve::{Bounds, serve_router};

    #[test]
    fn a_header_that_can_be_remembered_is_read() {
        let header = "Hawk id=\"a/b\", ts=\"1353832234\", nonce=\"j4\", ext=\"e30=\", mac=\"6R4r=\"";
        assert_eq!(Claim::read(header), Some(Claim { client: "a/b", ts: 1_353_832_234, nonce: "j4" }));
        for header in [
            "Bearer x",
            "Hawk",
            "Hawk id=\"a\"",
            "Hawk id=\"a\", ts=\"x\", nonce=\"n\"",
            "Hawk id=\"a\", ts=\"99999999999999999999\", nonce=\"n\"",
            "Hawk id=\"a\", ts=\"1\", nonce=\"n\", nonce=\"m\"",
            "Hawk id=\"a\" ts=\"1\", nonce=\"n\"",
        ] {
            assert_eq!(Claim::read(header), None, "{header}");
        }
    }

    #[test]
    fn who_may_not_do_anything_that_could_be_asked_for_is_known_at_once() {
        let may_ask = |scopes: &[&str]| {
            let scopes = scopes.iter().map(ToString::to_string).collect();
            Who { client_id: "ann".to_owned(), scopes, expires: Millis::from(jiff::Timestamp::now()) }.may_ask()
        };
        for scope in [
            "*",
            "hooks:*",
            "hooks:trigger-hook:g/h",
            "queue:create-task:low:*",
            "queue:*",
            "taskgraft:force-build:m/b",
        ] {
            assert!(may_ask(&["unlike", scope]), "{scope}");
        }
        for scope in ["", "hooks:", "hooks:trigger-hook", "hooks:list-hooks:*", "queue:cancel-task:*", "assume:repo:*"]
        {
            assert!(!may_ask(&[scope]), "{scope}");
        }
        assert!(!may_ask(&[]));
    }

    /// An auth service that finds every signature right and remembers none, and a judge before it.
    async fn judge(expires: &'static str) -> Judge {
        let says =
            json!({"status": "auth-success", "scheme": "hawk", "clientId": "ann", "scopes": ["a"], "expires": expires});
        let router = axum::Router::new().fallback(move || async move { says.to_string() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve_router(listener, router, Bounds::default(), std::future::pending()));
        Judge::new(Client::new(taskgraft_client::Config::new(url)).unwrap(), None)
    }

    async fn verdict(judge: &Judge, ts: i64, nonce: &str) -> Result<Who, Problem> {
        verdict_on(judge, "127.0.0.1:80", ts, nonce).await
    }

    async fn verdict_on(judge: &Judge, host: &str, ts: i64, nonce: &str) -> Result<Who, Problem> {
        let header = format!("Hawk id=\"ann\", ts=\"{ts}\", nonce=\"{nonce}\", mac=\"YQ==\"");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap()), (HOST, host.parse().unwrap())]);
        let (method, uri) = (Method::POST, Uri::from_static("/"));
        let signed = Signed { method: &method, uri: &uri, headers: &headers, body: b"", from: String::new() };
        judge.judge(&signed).await
    }

    #[tokio::test]
    async fn a_signature_counts_once_whoever_judges_it_and_not_if_it_is_older_than_the_service() {
        let judge = judge("2099-01-01T00:00:00.000Z").await;
        let now = judge.client.clock().now().as_second();
        assert_eq!(verdict(&judge, now, "a").await.unwrap().client_id, "ann");
        let again = verdict(&judge, now, "a").await.unwrap_err();
        assert!(again.detail.contains("used before"), "{again:?}");
        assert!(verdict(&judge, now, "b").await.is_ok());
        let older = verdict(&judge, now - 60, "c").await.unwrap_err();
        assert!(older.detail.contains("too old"), "{older:?}");
    }

    #[tokio::test]
    async fn without_a_public_url_a_signature_is_for_this_machine_whatever_the_host_header_says() {
        let mut judge = judge("2099-01-01T00:00:00.000Z").await;
        let now = judge.client.clock().now().as_second();
        for (nonce, host) in ["localhost:8080", "127.0.0.1", "[::1]:80"].into_iter().enumerate() {
            assert!(verdict_on(&judge, host, now, &nonce.to_string()).await.is_ok(), "{host}");
        }
        for host in ["jobs.example.com", "192.0.2.1:8080", "localhost.example.com", "ann@localhost", "localhost/x", ""]
        {
            let refused = verdict_on(&judge, host, now, "other").await.unwrap_err();
            assert_eq!((refused.kind, refused.place.as_deref()), (Kind::BadParameter, Some("Host")), "{host}");
        }
        judge.public_url = Some("https://jobs.example.com".parse().unwrap());
        assert!(verdict_on(&judge, "anything", now, "other").await.is_ok());
    }

    #[tokio::test]
    async fn credentials_that_have_ended_do_not_count_whoever_judges_them() {
        let judge = judge("2020-01-01T00:00:00.000Z").await;
        let now = judge.client.clock().now().as_second();
        let ended = verdict(&judge, now, "a").await.unwrap_err();
        assert_eq!((ended.kind, ended.detail.as_str()), (Kind::BadSignature, "the credentials have expired"));
    }

    #[test]
    fn a_body_has_to_be_the_one_that_was_signed() {
        let (method, uri) = (Method::POST, Uri::from_static("/"));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap())]);
        let check = |body: &[u8], hash: Option<&str>| {
            check_body(&Signed { method: &method, uri: &uri, headers: &headers, body, from: String::new() }, hash)
        };
        let hash = hawk::PayloadHasher::hash("application/json", hawk::SHA256, b"{}").unwrap();
        let hash = STANDARD.encode(hash);
        assert!(check(b"{}", Some(&hash)).is_ok());
        assert!(check(b"{ }", Some(&hash)).is_err());
        assert!(check(b"{}", None).is_err());
        assert!(check(b"", None).is_ok());
        assert!(check(b"{}", Some("!")).is_err());
    }
}
