//! Identifiers, parsed once at the edge and never carried as bare strings.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub mod derive;
mod request;

pub use request::{InvalidRequestId, RequestId, RequestKey};

/// A Taskcluster task id: 22 characters of URL-safe base64.
///
/// Artifacts and recordings may hold any 22 URL-safe characters, so parsing takes those; the queue itself takes only
/// v4 slugids, see [`TaskId::is_v4`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 22]);

/// A text that is no task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task id: 22 characters of A-Z, a-z, 0-9, `-` and `_` are needed")]
pub struct InvalidTaskId(String);

impl TaskId {
    /// The v4 slugid of 16 bytes: version and variant bits are set and the top bit is cleared, so that the id never
    /// starts with `-` ("nice" slugids).
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 16]) -> Self {
        bytes[0] &= 0x7f;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = [0; 22];
        // 16 bytes are 22 characters without padding, always.
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(22));
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the queue would take this id: a v4 slugid, as `^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$`.
    #[must_use]
    pub fn is_v4(&self) -> bool {
        (b'Q'..=b'T').contains(&self.0[8]) && b"CGKOSWaeimquy26-".contains(&self.0[10]) && b"AQgw".contains(&self.0[21])
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let urlsafe = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
        match <[u8; 22]>::try_from(bytes) {
            Ok(id) if id.iter().all(urlsafe) => Ok(Self(id)),
            Ok(_) | Err(_) => Err(InvalidTaskId(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derived_ids_are_v4_and_round_trip(bytes: [u8; 16]) {
            let id = TaskId::from_bytes(bytes);
            prop_assert!(id.is_v4());
            prop_assert_ne!(id.as_str().as_bytes()[0], b'-');
            prop_assert_eq!(id.as_str().parse::<TaskId>(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_id_is_refused_with_its_text() {
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAAA", "ääääääääääÄ"] {
            assert!(text.parse::<TaskId>().is_err(), "{text}");
        }
    }

    #[test]
    fn recorded_ids_need_not_be_v4() {
        let id: TaskId = "ZmqJUNkPMp_J_EVsYMNC8w".parse().unwrap();
        assert!(!id.is_v4());
    }
}
