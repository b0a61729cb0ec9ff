//! What a requester's key stands for: what the first action task that carries it was told.
//!
//! Whoever carries a key that isn't sealed looks through the group before it does anything. The first is the one that the
//! queue scheduled first: it had been scheduled before any later one could begin to look, so that each of several sees
//! the same one, however they run.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use serde_json::Value;
use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;

use super::ask::ActionAsk;
use super::error::ActionError;

/// How many tasks are listed at once.
const PAGE: u16 = 1000;
/// The most pages of a group that are looked through.
const MAX_PAGES: usize = 100;

/// When an action task of the group was scheduled, and which it is: the least comes first.
type Place = (Millis, TaskId);

/// The first action task of `group` for which `carried` gives something, from its definition's `extra` and what it was
/// told, if it came before `own`.
///
/// # Errors
/// If the queue doesn't answer, or the group is too large to be looked through.
pub(super) async fn before<T>(
    client: &Client,
    group: TaskId,
    own: TaskId,
    carried: impl Fn(&Value, ActionAsk) -> Option<T>,
) -> Result<Option<(TaskId, T)>, ActionError> {
    let mut pages = pin!(client.queue().list_task_group(group, PAGE));
    let (mut ours, mut first): (Option<Place>, Option<(Place, T)>) = (None, None);
    let mut looked = 0;
    while let Some(page) = pages.try_next().await? {
        for member in page.tasks {
            let Some(place) = place(&member) else { continue };
            if place.1 == own {
                ours = Some(place);
            } else if first.as_ref().is_none_or(|(first, _)| place < *first)
                && let Some(told) = told(&member.task.payload).and_then(|ask| carried(&member.task.extra, ask))
            {
                first = Some((place, told));
            }
        }
        looked += 1;
        if looked == MAX_PAGES && page.continuation_token.is_some() {
            return Err(ActionError::Crowded(MAX_PAGES * usize::from(PAGE)));
        }
    }
    let came_before = |place: &Place| ours.is_none_or(|ours| *place < ours);
    Ok(first.filter(|(place, _)| came_before(place)).map(|((_, task), told)| (task, told)))
}

/// What was never scheduled did nothing, and comes after whoever looks now.
fn place(member: &TaskDefinitionAndStatus) -> Option<Place> {
    Some((member.status.runs.first()?.scheduled, member.status.task_id))
}

/// What the payload of an action task tells.
fn told(payload: &Value) -> Option<ActionAsk> {
    let env = payload.get("env")?.as_object()?;
    env.get("ACTION_CALLBACK")?;
    ActionAsk::from_env(|name| env.get(name)?.as_str().map(str::to_owned)).ok()
}
