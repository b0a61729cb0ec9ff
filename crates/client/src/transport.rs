//! Signing, sending, bounding, retrying: every call goes through here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::call::Call;
use crate::config::ConfigError;
use crate::{Auth, Cause, Clock, Config, Credentials, Error, Hooks, Index, Queue, Retry, tls};

/// A Taskcluster deployment as seen by one set of credentials. Cheap to clone: clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    base: Url,
    pub(crate) config: Config,
    /// What replaced the configuration's credentials, for all who ask as the same client.
    renewed: Arc<RwLock<Option<Credentials>>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call: &'static str,
    pub(crate) body: Bytes,
}

/// How one try ended without success.
#[derive(Debug)]
pub(crate) enum Miss {
    /// Worth another try, not before the service's wish.
    Again(Cause, Option<Duration>),
    /// Not worth another.
    Final(Error),
}

/// Taskcluster's error body; also what an unreadable one counts as.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: String,
    message: String,
}

impl Client {
    /// A client for `config`. Opens no connection yet.
    ///
    /// # Errors
    /// If the URL is unusable or TLS can't be set up.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let base = config.base()?;
        let http = tls::http(&base)?;
        Ok(Self { inner: Arc::new(Inner { http, base, config, renewed: Arc::default() }) })
    }

    /// The same deployment and connections, asked as somebody else.
    #[must_use]
    pub fn as_credentials(&self, credentials: Option<Credentials>) -> Self {
        self.with(Config { credentials, ..self.inner.config.clone() }, Arc::default())
    }

    /// From now on this client, its clones and those made of it by [`Self::with_patience`] sign with these credentials:
    /// temporary ones end, and what is under way goes on with the next.
    pub fn renew(&self, credentials: Credentials) {
        *self.inner.renewed.write().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    /// The same connections and credentials with another patience: its own retries, and a switch that ends them.
    #[must_use]
    pub fn with_patience(&self, retry: Retry, timeout: Duration, no_more_tries: Arc<AtomicBool>) -> Self {
        let config = Config { retry, timeout, no_more_tries, ..self.inner.config.clone() };
        self.with(config, Arc::clone(&self.inner.renewed))
    }

    fn with(&self, config: Config, renewed: Arc<RwLock<Option<Credentials>>>) -> Self {
        let (http, base) = (self.inner.http.clone(), self.inner.base.clone());
        Self { inner: Arc::new(Inner { http, base, config, renewed }) }
    }

    fn credentials(&self) -> Option<Credentials> {
        let renewed = self.inner.renewed.read().unwrap_or_else(PoisonError::into_inner).clone();
        renewed.or_else(|| self.inner.config.credentials.clone())
    }

    /// What this client was made of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The clock that this client waits by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.config.clock
    }

    /// The queue service.
    #[must_use]
    pub fn queue(&self) -> Queue<'_> {
        Queue::new(self)
    }

    /// The hooks service.
    #[must_use]
    pub fn hooks(&self) -> Hooks<'_> {
        Hooks::new(self)
    }

    /// The index service.
    #[must_use]
    pub fn index(&self) -> Index<'_> {
        Index::new(self)
    }

    /// The auth service.
    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        Auth::new(self)
    }

    /// Sends a call until it succeeds, is refused, or patience ends.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let mut tries = Tries::new(self, call.name);
        loop {
            match self.send_once(&call).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => tries.after(miss).await?,
            }
        }
    }

    /// [`Self::send`], reading the answer as JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.send(call).await?.json()
    }

    /// [`Self::fetch`] for what does more each time it is sent: one try.
    pub(crate) async fn fetch_once<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.send_once(&call).await.map_err(|miss| missed_once(call.name, miss))?.json()
    }

    async fn send_once(&self, call: &Call) -> Result<Answer, Miss> {
        let (status, headers, body) = self.exchange(call).await?;
        match status.as_u16() {
            200..=299 | 303 => Ok(Answer { call: call.name, body }),
            status => Err(refusal(call.name, status, &headers, &body, self.inner.config.clock.now())),
        }
    }

    /// Signs and sends once, and reads whatever the answer is.
    pub(crate) async fn exchange(&self, call: &Call) -> Result<(http::StatusCode, HeaderMap, Bytes), Miss> {
        let unsendable = |why: String| Miss::Final(Error::Unsendable { call: call.name, why });
        let config = &self.inner.config;
        let url = format!("{}{}", self.inner.base.as_str().trim_end_matches('/'), call.target);
        let url = Url::parse(&url).map_err(|error| unsendable(error.to_string()))?;
        let mut request = self.inner.http.request(call.method.clone(), url.clone()).timeout(config.timeout);
        request = request.headers(call.headers.clone());
        // A proxy signs for us.
        if let Some(credentials) = self.credentials().filter(|_| config.proxy_url.is_none()) {
            let header = credentials
                .authorization(call.method.as_str(), &url, call.body.as_ref(), config.clock.now())
                .map_err(|error| unsendable(format!("sign the request: {error}")))?;
            let mut header = http::HeaderValue::from_str(&header).map_err(|error| unsendable(error.to_string()))?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await.map_err(missed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_bounded(call.name, response, config.max_answer).await?;
        Ok((status, headers, body))
    }
}

/// The tries of one call so far: the one place that decides whether there is another.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    config: &'a Config,
    call: &'static str,
    start: Timestamp,
    made: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(client: &'a Client, call: &'static str) -> Self {
        Self { config: client.config(), call, start: client.clock().now(), made: 0 }
    }

    /// Waits until the time for another try has come.
    ///
    /// # Errors
    /// If there will be none.
    pub(crate) async fn after(&mut self, miss: Miss) -> Result<(), Error> {
        let (last, asked) = match miss {
            Miss::Final(error) => return Err(error),
            Miss::Again(cause, asked) => (cause, asked),
        };
        self.made += 1;
        let (call, tries) = (self.call, self.made);
        let elapsed = self.config.clock.now().duration_since(self.start).unsigned_abs();
        let stopped = || self.config.no_more_tries.load(Ordering::SeqCst);
        let pause = self.config.retry.pause(tries, elapsed, rand::random(), asked).filter(|_| !stopped());
        let Some(pause) = pause else { return Err(Error::Transient { call, last, tries, elapsed }) };
        tracing::debug!(call, cause = %last, tries, pause_ms = pause.as_millis(), "trying again");
        self.config.clock.sleep(pause).await;
        if stopped() { Err(Error::Transient { call, last, tries, elapsed }) } else { Ok(()) }
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Unreadable { call: self.call, why: format!("unexpected JSON: {error}") })
    }
}

/// What a status that is no success means for the next try.
pub(crate) fn refusal(call: &'static str, status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Miss {
    if status == 429 || status >= 500 {
        return Miss::Again(Cause::Status(status), retry_after(headers, now));
    }
    let ErrorBody { code, message } = serde_json::from_slice(body).unwrap_or_else(|_| ErrorBody {
        code: String::new(),
        // Not JSON, so not from Taskcluster itself: enough of it to recognise who answered.
        message: String::from_utf8_lossy(body).trim().chars().take(200).collect(),
    });
    // The message ends in a copy of the request, which may be large and hold what nobody wants logged.
    let message = message.split("\n\n---\n").next().unwrap_or_default().to_owned();
    Miss::Final(match status {
        409 => Error::Conflict { call, message },
        401 if message.contains("Stale timestamp") => {
            let theirs = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
            Error::ClockSkew { call, behind: theirs.map(|theirs| theirs.as_second() - now.as_second()) }
        }
        _ => Error::Rejected { call, status, code, message },
    })
}

/// What a failure below HTTP means for the next try.
pub(crate) fn missed(error: reqwest::Error) -> Miss {
    // URLs may be signed: but for whose they are, they are not for logs.
    let host = error.url().map(|url| url.origin().ascii_serialization());
    let error = error.without_url();
    let why = innermost(&error);
    Miss::Again(
        match () {
            () if error.is_connect() => Cause::Connect(format!("{} ({why})", host.unwrap_or_default())),
            () if error.is_timeout() => Cause::Timeout,
            () => Cause::Broken(why),
        },
        None,
    )
}

/// The error of a call that is tried once only.
pub(crate) fn missed_once(call: &'static str, miss: Miss) -> Error {
    match miss {
        Miss::Final(error) => error,
        Miss::Again(last, _) => Error::Transient { call, last, tries: 1, elapsed: Duration::ZERO },
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// The whole body, unless it is longer than `max` bytes.
async fn read_bounded(call: &'static str, mut response: reqwest::Response, max: u64) -> Result<Bytes, Miss> {
    let too_large = || Miss::Final(Error::Unreadable { call, why: format!("it is larger than {max} bytes") });
    if response.content_length().is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(missed)? {
        if (body.len() + chunk.len()) as u64 > max {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Retry-After: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(text)?.duration_since(now).try_into().ok(),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim().strip_suffix("GMT")?;
    Timestamp::strptime("%a, %d %b %Y %H:%M:%S %z", format!("{text}+0000")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn headers(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers(RETRY_AFTER, "7"), NOW), Some(Duration::from_secs(7)));
        let date = headers(RETRY_AFTER, "Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(retry_after(&date, NOW), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&headers(RETRY_AFTER, "soon"), NOW), None);
    }

    #[test]
    fn statuses_are_told_apart() {
        let miss = |status, body: &[u8]| refusal("x", status, &HeaderMap::new(), body, NOW);
        for status in [429, 500, 502, 503, 504] {
            assert!(matches!(miss(status, b""), Miss::Again(..)), "{status}");
        }
        assert!(matches!(miss(409, b"{}"), Miss::Final(Error::Conflict { .. })));
        let Miss::Final(Error::Rejected { code, message, .. }) =
            miss(403, b"{\"code\":\"InsufficientScopes\",\"message\":\"no\\n\\n---\\n\\n* method: x\"}")
        else {
            panic!("403 is a rejection");
        };
        assert_eq!((code.as_str(), message.as_str()), ("InsufficientScopes", "no"));
        let Miss::Final(Error::Rejected { message, .. }) = miss(404, b"<html>nginx</html>") else {
            panic!("404 is a rejection");
        };
        assert_eq!(message, "<html>nginx</html>");
    }

    #[test]
    fn a_stale_timestamp_is_said_to_be_the_clock() {
        let body = b"{\"code\":\"AuthenticationFailed\",\"message\":\"Unauthorized: Stale timestamp\"}";
        let answered = headers(DATE, "Thu, 01 Jan 1970 00:20:00 GMT");
        let Miss::Final(Error::ClockSkew { behind, .. }) = refusal("x", 401, &answered, body, NOW) else {
            panic!("a stale timestamp is clock skew");
        };
        assert_eq!(behind, Some(1200));
    }
}
