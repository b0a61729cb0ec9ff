//! Task ids that are derived, not drawn: the same wish gives the same id, whoever has it and however often.
//!
//! Every id is SHA-256 over a version, what it is for, and its parts, each with its length before it, so that no two
//! lists of parts read alike. The first 16 bytes become a v4 slugid.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{RequestId, TaskId};

/// Goes into every id. Changing how ids are derived means changing this.
const VERSION: &str = "taskgraft ids 1";

/// The highest `k`, the number of ids that were passed over because something unusable or foreign has them.
pub const MAX_K: u8 = 15;

/// A hash being fed with parts.
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new(purpose: &str) -> Self {
        Self(Context::new(&SHA256)).part(VERSION).part(purpose)
    }

    pub(crate) fn part(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn number(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }

    pub(crate) fn task_id(self) -> TaskId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.finish()[..16]);
        TaskId::from_bytes(bytes)
    }
}

/// SHA-256 of a task's unresolved body, byte for byte as it stands in full-task-graph.json. Written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyHash([u8; 32]);

impl BodyHash {
    /// The hash of `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(ring::digest::digest(&SHA256, body).as_ref());
        Self(hash)
    }
}

impl fmt::Display for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BodyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BodyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let invalid = || serde::de::Error::custom("a body hash is 64 hexadecimal digits");
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(invalid());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(hash))
    }
}

/// A task made because somebody asked for its label. `n` counts copies from 0, `k` ids passed over.
#[must_use]
pub fn copy(request: &RequestId, label: &str, n: u32, k: u8) -> TaskId {
    Digest::new("copy").part(request.as_str()).part(label).number(n).number(k.into()).task_id()
}

/// A task made because something that was asked for needs it: one for all who need it in this group.
#[must_use]
pub fn needed(group: TaskId, label: &str, body: &BodyHash, k: u8) -> TaskId {
    Digest::new("needed").part(group.as_str()).part(label).bytes(&body.0).number(k.into()).task_id()
}

/// A task made once more from its own definition, for one request.
#[must_use]
pub fn clone(request: &RequestId, of: TaskId, k: u8) -> TaskId {
    Digest::new("clone").part(request.as_str()).part(of.as_str()).number(k.into()).task_id()
}

/// The action task of a request, where the requester creates it.
#[must_use]
pub fn action_task(request: &RequestId, k: u8) -> TaskId {
    Digest::new("action task").part(request.as_str()).number(k.into()).task_id()
}

/// A task that a morph adds to `parent`.
#[must_use]
pub fn morph(parent: TaskId, purpose: &str) -> TaskId {
    Digest::new("morph").part(parent.as_str()).part(purpose).task_id()
}

/// Any task under `--policy reference`, which shares nothing: every iteration makes its own.
/// `duplicate` counts what the attribute `task_duplicates` asks for beyond the first, which is 0.
#[must_use]
pub fn reference(request: &RequestId, iteration: u32, label: &str, duplicate: u32) -> TaskId {
    Digest::new("reference").part(request.as_str()).number(iteration).part(label).number(duplicate).task_id()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> RequestId {
        text.parse().unwrap()
    }

    #[test]
    fn ids_never_change_between_releases() {
        let group = TaskId::from_bytes([7; 16]);
        let body = BodyHash::of(b"{}");
        let ids = [
            copy(&request("R1"), "test", 0, 0),
            needed(group, "build", &body, 0),
            morph(group, "index-task"),
            reference(&request("R1"), 0, "test", 0),
            clone(&request("R1"), group, 0),
        ];
        let ids = ids.map(|id| id.to_string());
        assert_eq!(
            ids,
            [
                "dMAno8nMQzao1LAVO2K75w",
                "KPanY13PTdiS209H9sompg",
                "dfaJQpgUTXyOTEFVL6fH9w",
                "Wrc6VCVbT62y5nwuVKqIsA",
                "HKaH1q7oRxqo5Vnc9u3Mqw"
            ]
        );
    }

    proptest! {
        #[test]
        fn every_part_counts(n in 0_u32..100, k in 0_u8..15, label in "[a-z-]{1,9}") {
            let at = |label: &str, n, k| copy(&request("R"), label, n, k);
            let id = at(&label, n, k);
            prop_assert!(id.is_v4());
            prop_assert_eq!(id, at(&label, n, k));
            prop_assert_ne!(id, at(&label, n + 1, k));
            prop_assert_ne!(id, at(&label, n, k + 1));
            prop_assert_ne!(id, at(&format!("{label}x"), n, k));
            prop_assert_ne!(id, copy(&request("S"), &label, n, k));
        }
    }

    #[test]
    fn a_body_hash_reads_back() {
        let hash = BodyHash::of(b"body");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<BodyHash>(&text).unwrap(), hash);
        assert!(serde_json::from_str::<BodyHash>("\"zz\"").is_err());
    }
}
