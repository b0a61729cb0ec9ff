//! Who asks: Taskcluster credentials and the Hawk header that proves them.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use serde_json::{Map, Value};
use url::Url;

/// The longest Authorization header that Taskcluster's Hawk takes.
const MAX_HEADER: usize = 4096;

/// A client id and what proves it.
#[derive(Clone)]
pub struct Credentials {
    /// The client's name.
    pub client_id: String,
    /// Its secret.
    pub access_token: String,
    /// The certificate of temporary credentials: a JSON object as text.
    pub certificate: Option<String>,
    /// Narrows what these credentials may do in the calls made with them; unexpanded.
    pub authorized_scopes: Option<Vec<String>>,
}

/// Why no header could be made of some credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("the certificate is not JSON: {0}")]
    Certificate(serde_json::Error),
    #[error(
        "certificate and authorizedScopes make a header of {0} bytes, and Taskcluster takes {MAX_HEADER}: use fewer \
         scopes, or roles"
    )]
    TooLong(usize),
    #[error("{0}")]
    Hawk(hawk::Error),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("temporary", &self.certificate.is_some())
            .field("authorized_scopes", &self.authorized_scopes)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Permanent credentials.
    #[must_use]
    pub fn new(client_id: impl Into<String>, access_token: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            access_token: access_token.into(),
            certificate: None,
            authorized_scopes: None,
        }
    }

    /// The Authorization header of one try of one request: path *and* query are signed as they are sent, the body by
    /// its hash, with a nonce of its own.
    pub(crate) fn authorization(
        &self,
        method: &str,
        url: &Url,
        body: Option<&Bytes>,
        now: Timestamp,
    ) -> Result<String, SignError> {
        let hash = match body {
            Some(body) => Some(
                hawk::PayloadHasher::hash("application/json", hawk::SHA256, body.as_ref()).map_err(SignError::Hawk)?,
            ),
            None => None,
        };
        let ext = self.ext()?;
        let key = hawk::Key::new(&self.access_token, hawk::SHA256).map_err(SignError::Hawk)?;
        let credentials = hawk::Credentials { id: self.client_id.clone(), key };
        let request = hawk::RequestBuilder::from_url(method, url)
            .map_err(SignError::Hawk)?
            .hash(hash.as_deref())
            .ext(ext.as_deref())
            .request();
        let nonce: String = rand::rng().sample_iter(Alphanumeric).take(16).map(char::from).collect();
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millisecond()).unwrap_or_default());
        let header = request.make_header_full(&credentials, now, nonce).map_err(SignError::Hawk)?;
        let header = format!("Hawk {header}");
        if header.len() > MAX_HEADER { Err(SignError::TooLong(header.len())) } else { Ok(header) }
    }

    /// Hawk's `ext`: base64 of `{"certificate": …, "authorizedScopes": […]}`, or nothing if neither is there.
    fn ext(&self) -> Result<Option<String>, SignError> {
        let mut ext = Map::new();
        if let Some(certificate) = self.certificate.as_deref().filter(|text| !text.trim().is_empty()) {
            ext.insert("certificate".into(), serde_json::from_str(certificate).map_err(SignError::Certificate)?);
        }
        if let Some(scopes) = &self.authorized_scopes {
            ext.insert("authorizedScopes".into(), Value::from(scopes.clone()));
        }
        Ok((!ext.is_empty()).then(|| STANDARD.encode(Value::from(ext).to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(credentials: &Credentials) -> Result<String, SignError> {
        let url = Url::parse("https://tc.example.com/api/queue/v1/ping").unwrap();
        credentials.authorization("GET", &url, None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let credentials =
            Credentials { certificate: Some("{\"signature\":\"sig\"}".into()), ..Credentials::new("ann", "s3cret") };
        let text = format!("{credentials:?}");
        assert!(text.contains("ann") && !text.contains("s3cret") && !text.contains("sig\""), "{text}");
    }

    #[test]
    fn certificate_and_authorized_scopes_travel_in_ext() {
        let credentials = Credentials {
            certificate: Some("{\"version\": 1}".into()),
            authorized_scopes: Some(vec!["queue:get-task:*".into()]),
            ..Credentials::new("ann", "key")
        };
        let header = header(&credentials).unwrap();
        let ext = header.split("ext=\"").nth(1).unwrap().split('"').next().unwrap();
        let ext: Value = serde_json::from_slice(&STANDARD.decode(ext).unwrap()).unwrap();
        assert_eq!(ext, serde_json::json!({"certificate": {"version": 1}, "authorizedScopes": ["queue:get-task:*"]}));
        assert!(super::tests::header(&Credentials::new("ann", "key")).unwrap().find("ext=").is_none());
    }

    #[test]
    fn an_empty_certificate_is_none_and_each_header_has_its_own_nonce() {
        let credentials = Credentials { certificate: Some(String::new()), ..Credentials::new("ann", "key") };
        let (first, second) = (header(&credentials).unwrap(), header(&credentials).unwrap());
        assert!(!first.contains("ext="));
        assert_ne!(first, second);
    }

    #[test]
    fn too_many_authorized_scopes_are_a_clear_error() {
        let scopes = (0..100).map(|n| format!("queue:create-task:low:proj-lander/pool-number-{n:03}")).collect();
        let credentials = Credentials { authorized_scopes: Some(scopes), ..Credentials::new("ann", "key") };
        let error = header(&credentials).unwrap_err().to_string();
        assert!(error.contains("4096") && error.contains("authorizedScopes"), "{error}");
    }
}
