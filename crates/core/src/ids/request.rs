//! A request's key, and the id that everything of the request is derived from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::TaskId;
use super::derive::Digest;

/// Names one request for good: the same id asks for the same thing, however often it is delivered.
///
/// 1 to 64 characters of `A-Z a-z 0-9 _ - .`, not starting with a dot: it is a file's name in the state directory too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);

/// A text that is no request id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a request id: 1 to 64 characters of A-Z, a-z, 0-9, `_`, `-` and `.` are needed, no dot first")]
pub struct InvalidRequestId(String);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len()) && !text.starts_with('.');
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if fits && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRequestId(text.chars().take(80).collect()))
        }
    }
}

impl From<TaskId> for RequestId {
    fn from(id: TaskId) -> Self {
        Self(id.as_str().to_owned())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a request's id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKey {
    /// The action task that carries the request out: its runs are one request.
    ActionTask(TaskId),
    /// A key that the requester chose. It counts only together with who asked, where, and for what.
    Requester {
        /// The requester's Taskcluster client.
        client_id: String,
        /// The task group that the jobs go into.
        group: TaskId,
        /// The action's name.
        action: String,
        /// The requester's own key.
        key: String,
    },
    /// That part of a request that is carried out in another group.
    Part {
        /// The request.
        request: RequestId,
        /// The group.
        group: TaskId,
    },
    /// What came through a door of the service.
    Door {
        /// Which door.
        door: String,
        /// Who asked; empty where nobody has checked that.
        asker: String,
        /// The request's name there.
        key: String,
    },
    /// Given whole, as by `--request-id`.
    Given(RequestId),
}

impl RequestKey {
    /// The request's id.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match self {
            Self::ActionTask(task) => (*task).into(),
            Self::Requester { client_id, group, action, key } => {
                Digest::new("requester").part(client_id).part(group.as_str()).part(action).part(key).task_id().into()
            }
            Self::Part { request, group } => {
                Digest::new("part").part(request.as_str()).part(group.as_str()).task_id().into()
            }
            Self::Door { door, asker, key } => Digest::new("door").part(door).part(asker).part(key).task_id().into(),
            Self::Given(id) => id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requesters_key_counts_only_with_who_where_and_what() {
        let key = |client: &str, action: &str| RequestKey::Requester {
            client_id: client.to_owned(),
            group: TaskId::from_bytes([1; 16]),
            action: action.to_owned(),
            key: "click-1".to_owned(),
        };
        assert_eq!(key("ann", "add").id(), key("ann", "add").id());
        assert_ne!(key("ann", "add").id(), key("bob", "add").id());
        assert_ne!(key("ann", "add").id(), key("an", "nadd").id());
    }

    #[test]
    fn each_group_has_its_part_of_a_request() {
        let part = |request: &str, group: u8| {
            let group = TaskId::from_bytes([group; 16]);
            RequestKey::Part { request: request.parse().unwrap(), group }.id()
        };
        assert_eq!(part("R", 1), part("R", 1));
        assert_ne!(part("R", 1), part("R", 2));
        assert_ne!(part("R", 1), part("S", 1));
    }

    #[test]
    fn what_could_leave_the_state_directory_is_no_id() {
        for text in ["", ".", "..", "../x", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
        assert!("-W8xk_2.c".parse::<RequestId>().is_ok());
    }
}
