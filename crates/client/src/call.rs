//! One request of the API, as a value.

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::Error;

/// What stays unencoded in a path segment or a query value, as in RFC 3986 ("unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request, before it is signed and sent: a retry sends the same one again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// From the base URL on: encoded path, and query if there is one.
    pub(crate) target: String,
    pub(crate) body: Option<Bytes>,
    /// Beside those that signing and the body bring.
    pub(crate) headers: HeaderMap,
}

impl Call {
    /// A call of `service` (`queue`, `index`, `auth`) whose path is made of `segments`, each encoded.
    ///
    /// # Errors
    /// For a segment that URL rules would swallow (empty, `.` or `..`).
    pub(crate) fn new(name: &'static str, method: Method, service: &str, segments: &[&str]) -> Result<Self, Error> {
        Self::below(format!("/api/{service}/v1"), name, method, segments)
    }

    /// The same for any path: `segments` below `prefix`.
    ///
    /// # Errors
    /// As [`Call::new`].
    pub(crate) fn below(prefix: String, name: &'static str, method: Method, segments: &[&str]) -> Result<Self, Error> {
        let mut target = prefix;
        for segment in segments {
            if matches!(*segment, "" | "." | "..") {
                return Err(Error::Unsendable { call: name, why: format!("`{segment}` can't be part of a URL") });
            }
            target.push('/');
            target.extend(utf8_percent_encode(segment, ENCODED));
        }
        Ok(Self { name, method, target, body: None, headers: HeaderMap::new() })
    }

    /// With a slash at the path's end, as some listings want it.
    pub(crate) fn with_slash(mut self) -> Self {
        self.target.push('/');
        self
    }

    /// With one more query parameter.
    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(key);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// With a page's continuation token, if there is one.
    pub(crate) fn page(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.query("continuationToken", token),
            None => self,
        }
    }

    /// With a JSON body.
    ///
    /// # Errors
    /// If `body` can't be written as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(self, body: &T) -> Result<Self, Error> {
        match serde_json::to_vec(body) {
            Ok(bytes) => Ok(self.bytes(bytes.into())),
            Err(error) => Err(Error::Unsendable { call: self.name, why: error.to_string() }),
        }
    }

    /// With a body that is JSON already.
    pub(crate) fn bytes(self, body: Bytes) -> Self {
        Self { body: Some(body), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_query_values_are_encoded() {
        let call = Call::new("x", Method::GET, "queue", &["task", "a/b c", "public%2F", "é"]).unwrap();
        let call = call.query("limit", "5").page(Some("a+b=="));
        assert_eq!(
            call.target,
            "/api/queue/v1/task/a%2Fb%20c/public%252F/%C3%A9?limit=5&continuationToken=a%2Bb%3D%3D"
        );
    }

    #[test]
    fn dot_segments_are_refused() {
        for segment in ["", ".", ".."] {
            assert!(Call::new("x", Method::GET, "index", &["task", segment]).is_err(), "{segment}");
        }
    }
}
