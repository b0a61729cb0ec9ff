//! A call's body: whole, of JSON, and within its bounds of bytes, memory and time.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::app::App;
use super::problem::{Kind, Problem};
use super::room::Held;

/// The whole body, and what it holds. An empty one may be of any type.
///
/// # Errors
/// If it is too large, too slow, breaks off, or is not declared as JSON; or if other large ones have the room.
pub(super) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<(Bytes, Held), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > app.settings.body_bytes) {
        return Err(large(app));
    }
    let within = app.settings.read_within;
    let slow = |_| Problem::new(Kind::SlowBody, format!("not whole within {} s", within.as_secs()));
    let (bytes, held) = tokio::time::timeout(within, whole(app, body)).await.map_err(slow)??;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !bytes.is_empty() && !essence.eq_ignore_ascii_case("application/json") {
        return Err(
            Problem::new(Kind::WrongMediaType, "the body is not declared as application/json").at("Content-Type")
        );
    }
    Ok((bytes, held))
}

async fn whole(app: &App, body: Body) -> Result<(Bytes, Held), Problem> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut held) = (BytesMut::new(), Held::default());
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| Problem::new(Kind::MalformedBody, "the body broke off"))?;
        let length = bytes.len() + part.len();
        if length > app.settings.body_bytes {
            return Err(large(app));
        }
        app.room.hold(&mut held, length)?;
        bytes.extend_from_slice(&part);
    }
    Ok((bytes.freeze(), held))
}

fn large(app: &App) -> Problem {
    Problem::new(Kind::LargeBody, format!("more than {} bytes", app.settings.body_bytes))
}
