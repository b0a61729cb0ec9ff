//! The span that a request's lines are in, and what it says.

use taskgraft_core::ids::{RequestId, TaskId};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::request::Request;

/// The name of a request's span.
pub(super) const NAME: &str = "request";

/// The span for everything that is done about a request: fields `request`, `asker`, and, as soon as they are known,
/// `decision` and `task`. It is never filtered out: also a warning has to say what it is about.
#[must_use]
pub fn span(request: &Request) -> Span {
    let span = of(&request.id, &request.asker.name);
    if let Some(decision) = request.decision {
        decided(&span, decision);
    }
    if let Some(task) = request.action_task {
        acting(&span, task);
    }
    span
}

pub(super) fn of(request: &RequestId, asker: &str) -> Span {
    tracing::error_span!("request", %request, asker, decision = Empty, task = Empty)
}

/// From now on the lines say whose push it is.
pub fn decided(span: &Span, decision: TaskId) {
    span.record("decision", display(decision));
}

/// From now on the lines say which action task carries it out.
pub fn acting(span: &Span, task: TaskId) {
    span.record("task", display(task));
}
