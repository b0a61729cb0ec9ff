//! URLs of our own for bytes: signed for one method until a moment, or plain for what is public.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use url::Url;

use crate::http::{ApiError, Call, ErrorCode};

/// How long a URL to put bytes to works.
pub(super) const PUT_LASTS: SignedDuration = SignedDuration::from_mins(45);

/// How long a URL to read private bytes works.
const GET_LASTS: SignedDuration = SignedDuration::from_mins(30);

/// What names bytes in URLs, and what signs those: 16 and 32 random bytes.
pub(super) fn draw() -> (String, String) {
    let (blob, secret): ([u8; 16], [u8; 32]) = (rand::random(), rand::random());
    (URL_SAFE_NO_PAD.encode(blob), URL_SAFE_NO_PAD.encode(secret))
}

/// Where to put bytes, and until when.
pub(super) fn put(root: &Url, (blob, secret): &(String, String), now: Timestamp) -> String {
    signed(root, "PUT", blob, secret, now.saturating_add(PUT_LASTS).unwrap_or(now))
}

/// Where to read bytes.
pub(super) fn get(root: &Url, (blob, secret): &(String, String), public: bool, now: Timestamp) -> String {
    if public {
        return plain(root, blob);
    }
    signed(root, "GET", blob, secret, now.saturating_add(GET_LASTS).unwrap_or(now))
}

fn plain(root: &Url, blob: &str) -> String {
    format!("{}/api/queue/v1/artifact-store/{blob}", root.as_str().trim_end_matches('/'))
}

fn signed(root: &Url, method: &str, blob: &str, secret: &str, until: Timestamp) -> String {
    let until = until.as_millisecond();
    let tag = hmac::sign(&key(secret), text(method, blob, until).as_bytes());
    format!("{}?until={until}&signature={}", plain(root, blob), URL_SAFE_NO_PAD.encode(tag))
}

/// Refuses a call whose URL was not signed for this method and these bytes, or too long ago.
pub(super) fn check(
    call: &Call,
    method: &str,
    (blob, secret): &(String, String),
    now: Timestamp,
) -> Result<(), ApiError> {
    let refused = |why: &str| Err(ApiError::new(ErrorCode::InsufficientScopes, why.to_owned()));
    let until: Option<i64> = call.query("until").and_then(|text| text.parse().ok());
    let tag = call.query("signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let (Some(until), Some(tag)) = (until, tag) else { return refused("This URL is not signed.") };
    if hmac::verify(&key(secret), text(method, blob, until).as_bytes(), &tag).is_err() {
        return refused("This URL's signature is not right.");
    }
    if until < now.as_millisecond() { refused("This URL does not work any more.") } else { Ok(()) }
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn text(method: &str, blob: &str, until: i64) -> String {
    format!("{method}\n{blob}\n{until}")
}
