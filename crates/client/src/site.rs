//! HTTP servers that are no Taskcluster (Buildbot, Treeherder), with the same bounds, patience and errors.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use crate::call::Call;
use crate::config::ConfigError;
use crate::transport::{Tries, missed_once, refusal};
use crate::{Client, Config, Error};

/// A server's JSON API. Nothing is signed: what proves who asks goes into the headers of each call.
#[derive(Debug, Clone)]
pub struct Site {
    client: Client,
}

/// What a server answered, whatever it was. A redirect is an answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, bounded by [`Config::max_answer`].
    pub body: Bytes,
}

impl Site {
    /// The server at `config`'s root URL; its credentials and proxy are left aside.
    ///
    /// # Errors
    /// If the URL is unusable or TLS can't be set up.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { client: Client::new(Config { credentials: None, proxy_url: None, ..config })? })
    }

    /// GET of the path made of `segments` (each encoded) with this query, until there is an answer of 2xx or 3xx, or
    /// patience ends. `name` is what errors call it.
    ///
    /// # Errors
    /// If the server refuses, does not answer, or answers too much.
    pub async fn get(
        &self,
        name: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
        headers: &HeaderMap,
    ) -> Result<Reply, Error> {
        self.fetch(Call::below(String::new(), name, Method::GET, segments)?, query, headers).await
    }

    /// The same for a path that ends in a slash, as Django's do.
    ///
    /// # Errors
    /// As [`Site::get`].
    pub async fn get_slashed(&self, name: &'static str, segments: &[&str]) -> Result<Reply, Error> {
        let call = Call::below(String::new(), name, Method::GET, segments)?.with_slash();
        self.fetch(call, &[], &HeaderMap::new()).await
    }

    async fn fetch(&self, call: Call, query: &[(&str, &str)], headers: &HeaderMap) -> Result<Reply, Error> {
        let name = call.name;
        let call = query.iter().fold(call, |call, (key, value)| call.query(key, value));
        let call = Call { headers: headers.clone(), ..call };
        let mut tries = Tries::new(&self.client, name);
        loop {
            let miss = match self.client.exchange(&call).await {
                Ok((status, headers, body)) if status.is_success() || status.is_redirection() => {
                    return Ok(Reply { status, headers, body });
                }
                Ok((status, headers, body)) => {
                    refusal(name, status.as_u16(), &headers, &body, self.client.clock().now())
                }
                Err(miss) => miss,
            };
            tries.after(miss).await?;
        }
    }

    /// POST of JSON to the path made of `segments`, tried once: whether what it asks for may have happened without an
    /// answer, [`Error::may_have_happened`] says.
    ///
    /// # Errors
    /// If there is no whole answer; any status is one.
    pub async fn post_once<T: Serialize + ?Sized>(
        &self,
        name: &'static str,
        segments: &[&str],
        headers: &HeaderMap,
        body: &T,
    ) -> Result<Reply, Error> {
        let call = Call::below(String::new(), name, Method::POST, segments)?.json(body)?;
        let call = Call { headers: headers.clone(), ..call };
        match self.client.exchange(&call).await {
            Ok((status, headers, body)) => Ok(Reply { status, headers, body }),
            Err(miss) => Err(missed_once(name, miss)),
        }
    }
}
