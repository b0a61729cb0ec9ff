//! Reading a request's body: bounded in bytes and in time, then as JSON.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde_json::{Number, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{ApiError, ErrorCode};

/// The largest body, in bytes.
pub(crate) const MAX_BODY: usize = 10 * 1024 * 1024;

/// How large a body may be, in bytes, that is always read at once.
pub(super) const SMALL: usize = 64 * 1024;

/// How many larger ones are read and worked on at a time; the others wait, no longer than their senders may take.
const MAX_LARGE: usize = 32;

/// How long a client may stay silent while it sends a body.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// How long sending a body may take altogether.
const MAX_TIME: Duration = Duration::from_secs(120);

/// How much of a body that is too large is read and thrown away, so that its sender gets to read why it is refused:
/// an answer to somebody who is still writing is often lost.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// How a body may be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl Coding {
    /// What `Content-Encoding` says; `None` if it says something else.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Some(Self::Identity) };
        let name = value.to_str().ok()?.trim();
        let known = [("identity", Self::Identity), ("gzip", Self::Gzip), ("deflate", Self::Deflate)];
        known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| coding)
    }
}

/// A body as it was before it was coded; no longer than [`MAX_BODY`] then either.
pub(super) fn decode(bytes: Bytes, coding: Coding) -> Result<Bytes, ApiError> {
    let decoder: Box<dyn Read + '_> = match coding {
        Coding::Identity => return Ok(bytes),
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&bytes[..])),
        Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(&bytes[..])),
    };
    let mut decoded = Vec::new();
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    match decoder.take(limit + 1).read_to_end(&mut decoded) {
        Ok(_) if decoded.len() > MAX_BODY => Err(too_large()),
        Ok(_) => Ok(decoded.into()),
        Err(_) => Err(ApiError::new(ErrorCode::MalformedPayload, "The request's body does not decompress.")),
    }
}

fn too_large() -> ApiError {
    ApiError::new(ErrorCode::InputTooLarge, format!("The request's body is larger than {MAX_BODY} bytes."))
}

/// The places of requests with large bodies: without them, as many as may be connected could fill the memory.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// One of them, for as long as a request is worked on.
pub(super) type Place = OwnedSemaphorePermit;

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LARGE)))
    }
}

impl Places {
    async fn take(&self) -> Result<Place, ApiError> {
        Arc::clone(&self.0).acquire_owned().await.map_err(ApiError::internal)
    }
}

fn late() -> ApiError {
    ApiError::new(ErrorCode::RequestTimeout, "The request's body came too slowly.")
}

/// Reads a whole body. One that is large, or coded and so may become large, comes with its place.
pub(super) async fn read(body: Body, coding: Coding, places: &Places) -> Result<(Bytes, Option<Place>), ApiError> {
    let reading = async {
        let mut place = None;
        if coding != Coding::Identity {
            place = Some(places.take().await?);
        }
        let bytes = read_all(body, MAX_SILENCE, places, &mut place).await?;
        Ok((bytes, place))
    };
    timeout(MAX_TIME, reading).await.map_err(|_| late())?
}

async fn read_all(
    body: Body,
    silence: Duration,
    places: &Places,
    place: &mut Option<Place>,
) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut read = BytesMut::new();
    let mut size = 0_usize;
    loop {
        let next = timeout(silence, stream.next()).await.map_err(|_| late())?;
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| ApiError::new(ErrorCode::MalformedPayload, "The request's body broke off."))?;
        size = size.saturating_add(chunk.len());
        if size > SMALL && place.is_none() {
            *place = Some(places.take().await?);
        }
        match size {
            _ if size <= MAX_BODY => read.extend_from_slice(&chunk),
            _ if size <= MAX_DISCARDED => read.clear(),
            _ => break,
        }
    }
    if size > MAX_BODY {
        return Err(too_large());
    }
    Ok(read.freeze())
}

/// Reads what is left of a body that nobody wants, as far as is reasonable. A connection on which some of a body is
/// left can't be used again, and is closed under a client that may be sending its next request by then.
pub(super) async fn discard(body: Body) {
    let mut stream = body.into_data_stream();
    let mut size = 0_usize;
    let reading = async {
        while let Some(Ok(chunk)) = stream.next().await {
            size = size.saturating_add(chunk.len());
            if size > MAX_DISCARDED {
                break;
            }
        }
    };
    // Whoever is slower has no use for the connection either.
    let _ = timeout(MAX_SILENCE, reading).await;
}

/// What a body that should be JSON turned out to be.
#[derive(Debug)]
pub(super) enum Parsed {
    Json(Value),
    /// With what goes wrong, and what the error echoes.
    Wrong(ApiError, Value),
}

/// Parses a body that says it is JSON. No body is `{}`. Numbers become what JavaScript would make of them: `2.0` is `2`.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    if bytes.is_empty() {
        return Parsed::Json(Value::Object(serde_json::Map::new()));
    }
    let wrong = |why: &dyn std::fmt::Display| {
        let error = ApiError::new(ErrorCode::MalformedPayload, format!("Failed to parse JSON: {why}"));
        Parsed::Wrong(error, Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    let mut value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return wrong(&error),
    };
    if !value.is_object() && !value.is_array() {
        return wrong(&"Must be an object or array");
    }
    tidy(&mut value);
    // In valid JSON a NUL is always spelled out, and mostly there is none to look for.
    let place = memchr::memmem::find(bytes, b"\\u0000").and_then(|_| find_nul(&value));
    match place {
        None => Parsed::Json(value),
        Some(place) => Parsed::Wrong(ApiError::input(format!("data{place} holds the character NUL")), value),
    }
}

/// Puts numbers right.
fn tidy(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => fields.values_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Where the first NUL is, which a real deployment's database refuses with an internal error.
fn find_nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            let mut places = items.iter().enumerate();
            places.find_map(|(at, item)| Some(format!("/{at}{}", find_nul(item)?)))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let within = if name.contains('\0') { Some(String::new()) } else { find_nul(field) };
            Some(format!("/{}{}", name.replace('\0', "\\u0000"), within?))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The integer that a number written with a point or an exponent comes to, if it does.
fn whole(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 is exact as an i64")]
    let whole = float as i64;
    Some(Number::from(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use serde_json::json;

    #[test]
    fn numbers_are_what_javascript_makes_of_them() {
        let Parsed::Json(value) = parse(br#"{"a": [2.0, 1e3, 1.5, -0.0, 9007199254740993, 1e300]}"#) else { panic!() };
        assert_eq!(value.to_string(), r#"{"a":[2,1000,1.5,0,9007199254740993,1e+300]}"#);
    }

    #[test]
    fn what_is_no_json_is_echoed_as_text() {
        for text in ["{", "1", "\"a\"", "{\"a\": \"\\ud800\"}", "\u{feff}{}"] {
            let Parsed::Wrong(error, echo) = parse(text.as_bytes()) else { panic!("{text}") };
            assert_eq!((error.code, echo), (ErrorCode::MalformedPayload, json!(text)), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(parse(deep.as_bytes()), Parsed::Wrong(..)));
    }

    #[test]
    fn nul_is_refused_with_its_place() {
        let Parsed::Wrong(error, _) = parse(br#"{"a": [1, {"b": "x\u0000"}]}"#) else { panic!() };
        assert_eq!(error, ApiError::input("data/a/1/b holds the character NUL"));
        assert!(matches!(parse(br#"{"\u0000": 1}"#), Parsed::Wrong(..)));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_a_place_and_small_ones_do_not() {
        let places = Places(Arc::new(Semaphore::new(1)));
        let read = |size: usize| read(Body::from(vec![b' '; size]), Coding::Identity, &places);
        let (_, held) = read(SMALL + 1).await.unwrap();
        assert!(held.is_some());
        let (bytes, none) = read(SMALL).await.unwrap();
        assert!(none.is_none() && bytes.len() == SMALL);
        assert!(read(SMALL + 1).now_or_never().is_none(), "there is one place only");
        drop(held);
        assert!(read(SMALL + 1).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let places = Places::default();
        let read = |size: usize| read(Body::from(vec![b' '; size]), Coding::Identity, &places);
        assert_eq!(read(MAX_BODY).await.unwrap().0.len(), MAX_BODY);
        assert_eq!(read(MAX_BODY + 1).await.unwrap_err().code, ErrorCode::InputTooLarge);
    }

    #[test]
    fn a_compressed_body_is_bounded_by_what_it_comes_to() {
        use std::io::Write as _;
        let gzip = |size: usize| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&vec![b' '; size]).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        assert_eq!(decode(gzip(MAX_BODY), Coding::Gzip).map(|body| body.len()), Ok(MAX_BODY));
        let code = |result: Result<Bytes, ApiError>| result.map_err(|error| error.code);
        assert_eq!(code(decode(gzip(MAX_BODY + 1), Coding::Gzip)), Err(ErrorCode::InputTooLarge));
        assert_eq!(code(decode(gzip(9), Coding::Deflate)), Err(ErrorCode::MalformedPayload));
    }

    #[tokio::test]
    async fn a_silent_body_is_given_up() {
        let silent = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read_all(silent, Duration::from_millis(1), &Places::default(), &mut None).await;
        assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::RequestTimeout));
    }
}
