//! Finding the action task that came of a request, by the key that its input carries.

use std::pin::pin;

use futures_util::{Stream, TryStreamExt as _};
use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::action::reserved;
use taskgraft_core::api::queue::{TaskDefinitionAndStatus, TaskGroupList};
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
    /// Whose it is.
    pub(super) ours: Ours,
}

impl Found {
    /// Whether it did the work that is asked for now, or may still do it.
    pub(super) fn counts(&self) -> bool {
        self.ours.is_current && !lost(self.state)
    }
}

/// How an action task of the same request relates to what is asked for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ours {
    /// Whether it was asked for the same.
    pub(super) same: bool,
    /// Whether it goes by the name that the request goes by now, and not by one from before it was undone.
    pub(super) is_current: bool,
}

/// Why it is not known whether a request's action task exists.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Taskcluster didn't answer.
    #[error("failed to {0}")]
    Client(#[from] Error),
    /// Not found so far is not known to be absent.
    #[error("the group has more than {0} tasks, too many to search")]
    Large(usize),
}

/// The action task of `group` that carries the request's key of now; of several, one that may still do the work.
///
/// # Errors
/// If Taskcluster doesn't answer, or the group is too large to be searched to its end.
pub(super) async fn find(client: &Client, group: TaskId, prepared: &Prepared) -> Result<Option<Found>, FindError> {
    search(client, group, prepared).await?.one()
}

/// Every action task of `group` that carries the request's key, or one from before it was undone, those first that may still
/// do the work.
///
/// # Errors
/// As [`find`].
pub(super) async fn find_all(client: &Client, group: TaskId, prepared: &Prepared) -> Result<Vec<Found>, FindError> {
    search(client, group, prepared).await?.every()
}

/// What was found of a group.
struct Searched {
    /// Those first that may still do the work.
    found: Vec<Found>,
    /// How many tasks were looked at, where there are more.
    cut: Option<usize>,
}

impl Searched {
    /// One that may still do the work is the one, whatever was not looked at.
    fn one(self) -> Result<Option<Found>, FindError> {
        match (self.found.into_iter().find(|found| found.ours.is_current), self.cut) {
            (Some(found), cut) if cut.is_none() || found.counts() => Ok(Some(found)),
            (_, Some(most)) => Err(FindError::Large(most)),
            (found, None) => Ok(found),
        }
    }

    fn every(self) -> Result<Vec<Found>, FindError> {
        self.cut.map_or(Ok(self.found), |most| Err(FindError::Large(most)))
    }
}

async fn search(client: &Client, group: TaskId, prepared: &Prepared) -> Result<Searched, FindError> {
    let own = client.config().credentials.as_ref().map(|credentials| credentials.client_id.as_str());
    look_through(client.queue().list_task_group(group, PAGE), MAX_PAGES, prepared, own).await
}

async fn look_through(
    pages: impl Stream<Item = Result<TaskGroupList, Error>>,
    max_pages: usize,
    prepared: &Prepared,
    own: Option<&str>,
) -> Result<Searched, FindError> {
    let mut pages = pin!(pages);
    let mut found: Vec<Found> = Vec::new();
    let (mut searched, mut cut) = (0, None);
    loop {
        let page = match pages.try_next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            // A group without a task is none.
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error.into()),
        };
        found.extend(page.tasks.iter().filter_map(|member| carries(member, prepared, own)));
        searched += 1;
        if searched == max_pages && page.continuation_token.is_some() {
            cut = Some(max_pages * usize::from(PAGE));
            break;
        }
    }
    found.sort_by_key(|found| (lost(found.state), found.task));
    Ok(Searched { found, cut })
}

/// Whether a task in this state will not do the work any more.
pub(super) fn lost(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Exception)
}

fn carries(member: &TaskDefinitionAndStatus, prepared: &Prepared, own: Option<&str>) -> Option<Found> {
    let ours = ours(&member.task.extra, prepared, own)?;
    Some(Found { task: member.status.task_id, state: member.status.state, ours })
}

/// Whether a task with this `extra` is an action task of the same asker, for the same action, under one of the request's
/// keys; and then, what it was asked for.
pub(super) fn ours(extra: &Value, prepared: &Prepared, own: Option<&str>) -> Option<Ours> {
    let action = extra.get("action")?;
    let context = action.get("context")?;
    let input = context.get("input")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let asker = text(context, "clientId").is_none_or(|theirs| own.is_none_or(|own| own == theirs));
    let name = text(action, "name").is_none_or(|theirs| theirs == prepared.action);
    let key = reserved::key_of(input)?;
    let is_current = key == prepared.key;
    let keyed = is_current || prepared.undone.iter().any(|undone| undone == key);
    let subject =
        context.get("taskId").is_none_or(|theirs| theirs.as_str() == prepared.subject.as_ref().map(TaskId::as_str));
    let same = || subject && without_key(input) == without_key(&prepared.input);
    (asker && name && keyed).then(|| Ours { same: same(), is_current })
}

fn without_key(input: &Value) -> Value {
    let mut input = input.clone();
    if let Some(fields) = input.as_object_mut() {
        fields.remove(reserved::KEY);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::prepare::Sending;
    use futures_util::stream;
    use serde_json::json;

    const GROUP: &str = "TADoGLV5QUWAYivg1ReyTw";

    /// A page of one task in this state, whose input carries `key`.
    fn page(n: u8, key: &str, state: &str, last: bool) -> Result<TaskGroupList, Error> {
        let (id, at) = (TaskId::from_bytes([n; 16]), "2026-01-01T00:00:00.000Z");
        let common = json!({"provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "s",
            "projectId": "none", "taskGroupId": GROUP, "deadline": at, "expires": at, "priority": "low"});
        let (mut task, mut status) = (common.clone(), common);
        let input = json!({"taskgraft": {"key": key}});
        for (field, value) in [
            ("created", json!(at)),
            ("payload", json!({})),
            (
                "metadata",
                json!({"name": "n", "description": "", "owner": "a@b.example", "source": "https://x.example"}),
            ),
            ("extra", json!({"action": {"context": {"input": input}}})),
        ] {
            task[field] = value;
        }
        for (field, value) in
            [("taskId", json!(id)), ("state", json!(state)), ("retriesLeft", json!(5)), ("runs", json!([]))]
        {
            status[field] = value;
        }
        let mut list = json!({"taskGroupId": GROUP, "schedulerId": "s", "expires": at,
                              "tasks": [{"task": task, "status": status}]});
        if !last {
            list["continuationToken"] = json!("more");
        }
        Ok(serde_json::from_value(list).unwrap())
    }

    async fn searched(pages: Vec<Result<TaskGroupList, Error>>) -> Searched {
        let sending = Sending::Hook { group: "g".to_owned(), id: "h".to_owned(), payload: json!({}) };
        let prepared = Prepared {
            action: "poke".to_owned(),
            subject: None,
            key: "mine".to_owned(),
            undone: vec!["before".to_owned()],
            input: json!({"taskgraft": {"key": "mine"}}),
            carries_key: true,
            ours: true,
            sending,
        };
        look_through(stream::iter(pages), 2, &prepared, None).await.unwrap()
    }

    async fn one(pages: Vec<Result<TaskGroupList, Error>>) -> Result<Option<TaskId>, FindError> {
        Ok(searched(pages).await.one()?.map(|found| found.task))
    }

    async fn every(pages: Vec<Result<TaskGroupList, Error>>) -> Result<Vec<TaskId>, FindError> {
        Ok(searched(pages).await.every()?.into_iter().map(|found| found.task).collect())
    }

    #[tokio::test]
    async fn what_was_not_searched_to_its_end_is_not_known_to_be_absent() {
        let other = |n, last| page(n, "other", "pending", last);
        let absent = || vec![other(1, false), other(2, true)];
        assert_eq!((one(absent()).await.unwrap(), every(absent()).await.unwrap()), (None, Vec::new()));
        let large = one(vec![other(1, false), other(2, false), page(3, "mine", "pending", true)]).await;
        assert!(matches!(large, Err(FindError::Large(2000))), "{large:?}");
        let failed = one(vec![other(1, false), page(2, "mine", "failed", false), other(3, true)]).await;
        assert!(matches!(failed, Err(FindError::Large(_))), "there may be one that has not failed: {failed:?}");
        let live = || vec![other(1, false), page(2, "mine", "pending", false), other(3, true)];
        assert_eq!(one(live()).await.unwrap(), Some(TaskId::from_bytes([2; 16])));
        let more = every(live()).await;
        assert!(matches!(more, Err(FindError::Large(2000))), "there may be another one: {more:?}");
        let both = every(vec![page(1, "mine", "failed", false), page(2, "mine", "pending", true)]).await.unwrap();
        assert_eq!(both, [2, 1].map(|n| TaskId::from_bytes([n; 16])), "what may still do the work comes first");
        let undone = |last| vec![page(1, "before", "completed", last)];
        assert_eq!(every(undone(true)).await.unwrap(), [TaskId::from_bytes([1; 16])]);
        assert_eq!(one(undone(true)).await.unwrap(), None, "what was undone is not what is looked for");
        let large = one(undone(false).into_iter().chain([other(2, false)]).collect()).await;
        assert!(matches!(large, Err(FindError::Large(_))), "{large:?}");
    }
}
