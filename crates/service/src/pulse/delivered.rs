//! A message as it was delivered, or only its body: what a line of a file of messages holds, and what a broker sends.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use taskgraft_client::pulse::Delivery;
use taskgraft_core::pulse::MAX_BODY_BYTES;

/// The longest line that is read, in bytes: a whole body, and how it was delivered.
pub const MAX_LINE_BYTES: usize = MAX_BODY_BYTES + (64 << 10);

/// A message and how it was delivered, as far as that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered<'a> {
    /// The exchange's full name.
    pub exchange: Option<String>,
    /// The routing key.
    pub routing_key: Option<String>,
    /// What was sent.
    pub body: Cow<'a, [u8]>,
}

/// `{exchange, routingKey, payload}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    exchange: Option<Value>,
    #[serde(alias = "routing_key")]
    routing_key: Option<Value>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl<'a> Delivered<'a> {
    /// Reads a line. What has no `payload` is a body, whatever it is: reading that says what is wrong with it.
    ///
    /// # Errors
    /// If the exchange or routing key is no text.
    pub fn read(line: &'a [u8]) -> Result<Self, &'static str> {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'a>>(line) else {
            return Ok(Self { exchange: None, routing_key: None, body: Cow::Borrowed(line) });
        };
        let body = match serde_json::from_str::<String>(envelope.payload.get()) {
            // A body that was recorded as the text it was.
            Ok(text) => Cow::Owned(text.into_bytes()),
            Err(_) => Cow::Borrowed(envelope.payload.get().as_bytes()),
        };
        Ok(Self {
            exchange: text(envelope.exchange).ok_or("`exchange` must be text")?,
            routing_key: text(envelope.routing_key).ok_or("`routingKey` must be text")?,
            body,
        })
    }
}

impl<'a> From<&'a Delivery> for Delivered<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            exchange: Some(delivery.exchange.clone()),
            routing_key: Some(delivery.routing_key.clone()),
            body: Cow::Borrowed(&delivery.body),
        }
    }
}

/// Text or nothing; none for anything else.
fn text(value: Option<Value>) -> Option<Option<String>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_envelope_or_a_body() {
        let read = |line: &'static str| Delivered::read(line.as_bytes());
        let body = |text: &'static str| Cow::Borrowed(text.as_bytes());
        let bare = Delivered { exchange: None, routing_key: None, body: body("{\"version\": 1}") };
        assert_eq!(read("{\"version\": 1}"), Ok(bare.clone()));
        assert_eq!(read("{\"payload\": {\"version\": 1}}"), Ok(bare.clone()));
        assert_eq!(read("{\"payload\": \"{\\\"version\\\": 1}\"}").unwrap().body, bare.body);
        let whole = Delivered { exchange: Some("e".into()), routing_key: Some("k".into()), body: body("{}") };
        assert_eq!(read("{\"exchange\": \"e\", \"routingKey\": \"k\", \"payload\": {}}"), Ok(whole.clone()));
        assert_eq!(read("{\"exchange\": \"e\", \"routing_key\": \"k\", \"payload\": {}}"), Ok(whole));
        assert_eq!(read("garbage").unwrap().body, body("garbage"));
        assert!(read("{\"exchange\": 1, \"payload\": {}}").is_err());
    }
}
