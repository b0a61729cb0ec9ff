//! URLs of servers.

use url::Url;

/// The URL of a server that is spoken to over HTTP, without anything secret in it.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("a URL that begins with https:// or http:// is needed".to_owned());
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err("it carries a user name or password: secrets come from the environment".to_owned());
    }
    Ok(url)
}

/// The same as text, without a slash at its end.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    web_url(text).map(|_| text.trim_end_matches('/').to_owned())
}
