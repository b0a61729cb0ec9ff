//! Artifact contents: plain HTTP to wherever the queue points, never signed, always bounded.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::transport::{Client, Miss, Tries, missed, refusal};
use crate::{Cause, Error};

/// The longest that one try of an upload may take: there is no telling how slow the way is.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// The most redirects that are followed from one artifact URL.
const MAX_REDIRECTS: usize = 5;

/// What was downloaded into a file, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Length of the file in bytes, before any decoding.
    pub bytes: u64,
    /// `Content-Encoding`, such as `gzip`: undoing it is the caller's part.
    pub encoding: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
}

/// What to upload.
#[derive(Debug, Clone)]
pub enum Upload<'a> {
    /// These bytes.
    Bytes(Bytes),
    /// A file's contents at the time of each try.
    File(&'a Path),
}

impl Client {
    /// Downloads `url` into the file `to` (created, or emptied first), at most `max` bytes.
    ///
    /// Redirects are followed, never from https to http, and a retry starts the file anew. No credentials are sent: an
    /// artifact's URL carries what it needs.
    ///
    /// # Errors
    /// As any call; [`Error::Unreadable`] when it is longer than `max` or the file can't be written.
    pub async fn download(&self, url: &str, to: &Path, max: u64) -> Result<Download, Error> {
        let mut tries = Tries::new(self, "artifact download");
        loop {
            match self.download_once(url, to, max).await {
                Ok(download) => return Ok(download),
                Err(miss) => tries.after(miss).await?,
            }
        }
    }

    async fn download_once(&self, url: &str, to: &Path, max: u64) -> Result<Download, Miss> {
        let response = self.open(url).await?;
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (encoding, content_type) = (header(CONTENT_ENCODING), header(CONTENT_TYPE));
        let bytes = save(response, to, max, self.config().timeout).await?;
        Ok(Download { bytes, encoding, content_type })
    }

    /// The bytes behind `url` as they come, such as the log of a task that still runs. A broken stream is not resumed.
    ///
    /// # Errors
    /// As any call; the stream's own when the connection breaks.
    pub async fn stream(&self, url: &str) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let mut tries = Tries::new(self, "artifact download");
        loop {
            match self.open(url).await {
                Ok(response) => {
                    return Ok(response.bytes_stream().map_err(|why| unreadable(why.without_url().to_string())));
                }
                Err(miss) => tries.after(miss).await?,
            }
        }
    }

    /// Opens `url` for reading, whatever it redirects to.
    async fn open(&self, url: &str) -> Result<reqwest::Response, Miss> {
        let config = self.config();
        let mut url = parse(url).map_err(Miss::Final)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.inner.http.get(url.clone()).build().map_err(missed)?;
            let sent = tokio::time::timeout(config.timeout, self.inner.http.execute(request)).await;
            let response = sent.map_err(|_| Miss::Again(Cause::Timeout, None))?.map_err(missed)?;
            match response.status().as_u16() {
                200 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
                    url = redirected(&url, location).map_err(Miss::Final)?;
                }
                status => {
                    let headers = response.headers().clone();
                    return Err(refusal("artifact download", status, &headers, b"", config.clock.now()));
                }
            }
        }
        Err(Miss::Final(unreadable(format!("more than {MAX_REDIRECTS} redirects"))))
    }

    /// PUTs `content` to `url`, as createArtifact's `putUrl` wants it.
    ///
    /// # Errors
    /// As any call; [`Error::Unsendable`] when the file can't be read.
    pub async fn upload(&self, url: &str, content_type: &str, content: Upload<'_>) -> Result<(), Error> {
        let url = parse(url)?;
        let mut tries = Tries::new(self, "artifact upload");
        loop {
            match self.upload_once(&url, content_type, &content).await {
                Ok(()) => return Ok(()),
                Err(miss) => tries.after(miss).await?,
            }
        }
    }

    async fn upload_once(&self, url: &Url, content_type: &str, content: &Upload<'_>) -> Result<(), Miss> {
        let unsendable = |why: std::io::Error| {
            Miss::Final(Error::Unsendable { call: "artifact upload", why: format!("read the file: {why}") })
        };
        let request = self.inner.http.put(url.clone()).timeout(UPLOAD_TIMEOUT).header(CONTENT_TYPE, content_type);
        let request = match content {
            Upload::Bytes(bytes) => request.body(bytes.clone()),
            Upload::File(path) => {
                let file = File::open(path).await.map_err(unsendable)?;
                let length = file.metadata().await.map_err(unsendable)?.len();
                request.header(http::header::CONTENT_LENGTH, length).body(file)
            }
        };
        let response = request.send().await.map_err(missed)?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status => {
                let headers = response.headers().clone();
                Err(refusal("artifact upload", status, &headers, b"", self.clock().now()))
            }
        }
    }
}

fn unreadable(why: String) -> Error {
    Error::Unreadable { call: "artifact download", why }
}

/// An artifact's URL. Messages leave it out: it may be signed.
fn parse(url: &str) -> Result<Url, Error> {
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) => Err(unreadable(format!("its URL has the scheme `{}`", url.scheme()))),
        Err(why) => Err(unreadable(format!("its URL is none: {why}"))),
    }
}

/// Where a redirect from `from` leads.
fn redirected(from: &Url, location: Option<&str>) -> Result<Url, Error> {
    let location = location.ok_or_else(|| unreadable("a redirect without a Location".into()))?;
    let to = from.join(location).map_err(|why| unreadable(format!("a redirect to no URL: {why}")))?;
    match (from.scheme(), to.scheme()) {
        ("https", "http") => Err(unreadable("a redirect from https to http".into())),
        (_, "http" | "https") => Ok(to),
        (_, scheme) => Err(unreadable(format!("a redirect to the scheme `{scheme}`"))),
    }
}

/// Writes the body to `to` and tells its length. A body of which nothing comes for as long as `patience` is a broken one.
async fn save(response: reqwest::Response, to: &Path, max: u64, patience: Duration) -> Result<u64, Miss> {
    let too_large = || Miss::Final(unreadable(format!("it is larger than {max} bytes")));
    let unwritable = |why: std::io::Error| Miss::Final(unreadable(format!("write {}: {why}", to.display())));
    if response.content_length().is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let mut file = File::create(to).await.map_err(unwritable)?;
    let mut chunks = response.bytes_stream();
    let mut length = 0;
    loop {
        let next = tokio::time::timeout(patience, chunks.try_next()).await;
        let Some(chunk) = next.map_err(|_| Miss::Again(Cause::Timeout, None))?.map_err(missed)? else { break };
        length += chunk.len() as u64;
        if length > max {
            return Err(too_large());
        }
        file.write_all(&chunk).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_within_http_and_never_lose_tls() {
        let from = Url::parse("https://store.example.com/a/b").unwrap();
        assert_eq!(redirected(&from, Some("../c")).unwrap().as_str(), "https://store.example.com/c");
        for location in [Some("http://store.example.com/"), Some("file:///etc/passwd"), None] {
            assert!(redirected(&from, location).is_err(), "{location:?}");
        }
    }

    #[test]
    fn messages_leave_a_signed_url_out() {
        let error = parse("ftp://store.example.com/?signature=s3cret").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
