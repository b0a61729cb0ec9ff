//! What a client is made of.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use url::Url;

use crate::{Clock, Credentials, Retry, SystemClock};

/// Where Taskcluster is, who asks, and how patient the asker is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Root URL of the deployment, such as `https://tc.example.com`.
    pub root_url: String,
    /// A taskcluster-proxy. Where set it wins over the root URL, and requests are sent unsigned: the proxy signs.
    pub proxy_url: Option<String>,
    /// Who asks; without them requests are anonymous.
    pub credentials: Option<Credentials>,
    /// How often and how long transient failures are tried again.
    pub retry: Retry,
    /// Once this is set, nothing is tried again: what is on its way ends with its present try.
    pub no_more_tries: Arc<AtomicBool>,
    /// The longest one try of one call may take. claimWork answers within 20 s, so keep it above that.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes; artifacts have bounds of their own.
    pub max_answer: u64,
    /// The time, and how to wait.
    pub clock: Arc<dyn Clock>,
}

/// A configuration that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The root or proxy URL does not name an HTTP server.
    #[error("use `{url}` as a Taskcluster URL: {why}")]
    Url {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP or TLS machinery could not be set up.
    #[error("set up HTTPS: {0}")]
    Http(#[source] reqwest::Error),
}

impl Config {
    /// An anonymous client of the deployment at `root_url`, with the default patience.
    #[must_use]
    pub fn new(root_url: impl Into<String>) -> Self {
        Self {
            root_url: root_url.into(),
            proxy_url: None,
            credentials: None,
            retry: Retry::default(),
            no_more_tries: Arc::default(),
            timeout: Duration::from_secs(60),
            max_answer: 64 << 20,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same with credentials.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Where requests go, without a slash at its end.
    pub(crate) fn base(&self) -> Result<Url, ConfigError> {
        let text = self.proxy_url.as_ref().unwrap_or(&self.root_url);
        let refuse = |why: &str| ConfigError::Url { url: text.clone(), why: why.to_owned() };
        let url = Url::parse(text.trim_end_matches('/')).map_err(|error| refuse(&error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.query().is_some() || url.fragment().is_some() => Err(refuse("it has a query")),
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                // Said without the URL: what it holds is a secret.
                Err(ConfigError::Url { url: "…".into(), why: "it carries a user name or password".into() })
            }
            "http" | "https" if url.has_host() => Ok(url),
            _ => Err(refuse("http:// or https:// is needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_wins_over_the_root_url() {
        let config = Config { proxy_url: Some("http://taskcluster/".into()), ..Config::new("https://tc.example.com") };
        assert_eq!(config.base().unwrap().as_str(), "http://taskcluster/");
    }

    #[test]
    fn what_is_no_http_url_is_refused_and_secrets_in_it_are_not_shown() {
        for url in ["", "tc.example.com", "ftp://tc.example.com", "https://tc.example.com/?a=b", "file:///etc/passwd"] {
            assert!(Config::new(url).base().is_err(), "{url}");
        }
        let error = Config::new("https://ann:s3cret@tc.example.com").base().unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
