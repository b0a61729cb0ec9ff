//! Requests that come in.

use serde_json::Value;
use taskgraft_core::ids::TaskId;
use taskgraft_service::{Asked, Asker, Authority, Door, NewRequest, PushName};

/// Somebody wants jobs, with no rights to anything.
pub(crate) fn by_nobody(key: String, door: Door, input: Value) -> NewRequest {
    NewRequest {
        key,
        door,
        asker: Asker { name: "ann".to_owned(), authority: Authority::Nobody("a test".to_owned()) },
        asked: Asked {
            project: None,
            push: PushName::Decision(TaskId::from_bytes([7; 16])),
            resultset: None,
            action: "add-new-jobs".to_owned(),
            subject: None,
            input,
        },
    }
}
