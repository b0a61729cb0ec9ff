//! Requests as anybody may see them: without the scopes that they are done with.

use serde::Serialize;
use serde_json::Value;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::time::Millis;

use super::page;
use crate::asked::{PushName, Subject};
use crate::journal::{Line, Listed};
use crate::request::{Door, Request};
use crate::state::State;

/// A request in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary<'r> {
    id: &'r RequestId,
    door: Door,
    /// The Taskcluster client over HTTP; by pulse, whom the message names.
    asker: &'r str,
    project: Option<&'r str>,
    push: &'r PushName,
    action: &'r str,
    subject: Option<&'r Subject>,
    state: State,
    decision: Option<TaskId>,
    action_task: Option<TaskId>,
    error: Option<&'r str>,
    with_dependencies: bool,
    received: Millis,
    changed: Millis,
    retries: u32,
}

/// A request, whole.
#[derive(Serialize)]
pub(super) struct Shown<'r> {
    #[serde(flatten)]
    summary: Summary<'r>,
    key: &'r str,
    input: &'r Value,
    /// What was planned, as the action task published it.
    plan: Option<&'r Value>,
    /// What became of it.
    report: Option<&'r Value>,
}

/// A page of requests.
#[derive(Serialize)]
pub(super) struct Summaries {
    requests: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page of a request's log.
#[derive(Serialize)]
pub(super) struct Lines {
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<'r> Summary<'r> {
    fn of(request: &'r Request) -> Self {
        Self {
            id: &request.id,
            door: request.door,
            asker: &request.asker.name,
            project: request.project.as_deref(),
            push: &request.asked.push,
            action: &request.asked.action,
            subject: request.asked.subject.as_ref(),
            state: request.state,
            decision: request.decision,
            action_task: request.action_task,
            error: request.error.as_deref(),
            with_dependencies: request.with_dependencies,
            received: request.received,
            changed: request.changed,
            retries: request.retries,
        }
    }
}

impl<'r> Shown<'r> {
    pub(super) fn of(request: &'r Request) -> Self {
        Self {
            summary: Summary::of(request),
            key: &request.key,
            input: &request.asked.input,
            plan: request.plan.as_ref(),
            report: request.report.as_ref(),
        }
    }
}

impl Summaries {
    pub(super) fn of(listed: Listed<Request>) -> Self {
        // Nothing in a summary can't be written as JSON.
        let summary = |request| serde_json::to_value(Summary::of(request)).unwrap_or_default();
        Self { requests: listed.items.iter().map(summary).collect(), next: listed.next.map(|next| page::write(&next)) }
    }
}

impl Lines {
    pub(super) fn of(listed: Listed<Line>) -> Self {
        Self { lines: listed.items, next: listed.next.map(|next| page::write(&next)) }
    }
}
