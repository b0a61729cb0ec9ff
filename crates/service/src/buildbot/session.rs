//! Being known to a master: a user's name and password, and the cookie that a login leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use taskgraft_client::Site;

use super::{Error, answers};

/// The headers that say who asks, after logging in.
///
/// Buildbot's own logins take the name and password once and answer with a cookie; a reverse proxy that keeps its users
/// wants them each time. So both are sent.
///
/// # Errors
/// If the master doesn't answer, or doesn't let the user in.
pub(super) async fn log_in(site: &Site, user: &str, password: &str) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, secret(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))?);
    let reply = match site.get("login", &["auth", "login"], &[], &headers).await {
        Ok(reply) => reply,
        Err(taskgraft_client::Error::Rejected { status: status @ (401 | 403), .. }) => {
            return Err(Error::Login { user: user.to_owned(), status });
        }
        // A proxy that keeps its users knows no login.
        Err(taskgraft_client::Error::Rejected { .. }) => return Ok(headers),
        Err(error) => return Err(answers::told(error)),
    };
    let cookies = cookies(&reply.headers);
    if !cookies.is_empty() {
        headers.insert(COOKIE, secret(cookies)?);
    }
    Ok(headers)
}

/// The cookies that an answer sets, as the next request sends them; of several with one name the last counts.
fn cookies(headers: &HeaderMap) -> String {
    let mut cookies: Vec<(&str, &str)> = Vec::new();
    for value in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
        let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
        cookies.retain(|(known, _)| *known != name);
        cookies.push((name, value));
    }
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn secret(text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|error| Error::Unreadable { call: "login", why: format!("its cookies: {error}") })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cookie_of_a_name_counts() {
        let mut headers = HeaderMap::new();
        for cookie in ["S=anonymous; Path=/", "other=1", "S=known=; Path=/; HttpOnly", "nothing"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        assert_eq!(cookies(&headers), "other=1; S=known=");
    }
}
