//! Finding the action task that came of a request, by the key that its input carries.

use futures_util::TryStreamExt as _;
use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::action::reserved;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;

use super::prepare::Prepared;

/// How many tasks are listed at once.
const PAGE: u16 = 1000;
/// The most pages of a group that are searched.
const MAX_PAGES: usize = 100;

/// An action task that carries a request's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The task.
    pub(super) task: TaskId,
    /// Its state.
    pub(super) state: TaskState,
    /// Whether it was asked for the same.
    pub(super) same: bool,
}

/// The action tasks of `group` that carry the request's key, those that may still do the work first.
pub(super) async fn find(client: &Client, group: TaskId, prepared: &Prepared) -> Result<Option<Found>, Error> {
    let own = client.config().credentials.as_ref().map(|credentials| credentials.client_id.as_str());
    let mut pages = Box::pin(client.queue().list_task_group(group, PAGE));
    let mut found: Vec<Found> = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = match pages.try_next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            // A group without a task is none.
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error),
        };
        found.extend(page.tasks.iter().filter_map(|member| carries(member, prepared, own)));
    }
    found.sort_by_key(|found| (lost(found.state), found.task));
    Ok(found.into_iter().next())
}

/// Whether a task in this state will not do the work any more.
pub(super) fn lost(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Exception)
}

fn carries(member: &TaskDefinitionAndStatus, prepared: &Prepared, own: Option<&str>) -> Option<Found> {
    let same = is_ours(&member.task.extra, prepared, own)?;
    Some(Found { task: member.status.task_id, state: member.status.state, same })
}

/// Whether a task with this `extra` is an action task of the same asker, for the same action, under the same key; and
/// then, whether it was asked for the same.
pub(super) fn is_ours(extra: &Value, prepared: &Prepared, own: Option<&str>) -> Option<bool> {
    let action = extra.get("action")?;
    let context = action.get("context")?;
    let input = context.get("input")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let asker = text(context, "clientId").is_none_or(|theirs| own.is_none_or(|own| own == theirs));
    let name = text(action, "name").is_none_or(|theirs| theirs == prepared.action);
    let key = reserved::key_of(input) == Some(prepared.key.as_str());
    (asker && name && key).then(|| without_key(input) == without_key(&prepared.input))
}

fn without_key(input: &Value) -> Value {
    let mut input = input.clone();
    if let Some(fields) = input.as_object_mut() {
        fields.remove(reserved::KEY);
    }
    input
}
