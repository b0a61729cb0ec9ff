//! Sending what was prepared, at most once as far as that can be had.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use taskgraft_client::{Client, Credentials, Error};
use taskgraft_core::ids::derive::{self, MAX_K};
use taskgraft_core::ids::{RequestKey, TaskId};

use super::find::{FindError, Found, find, find_all, lost, ours};
use super::offer::Offer;
use super::prepare::{Definition, PrepareError, Prepared, Sending};

/// How often a hook is triggered at most.
const TRIES: u32 = 4;
/// The pauses before each look for what came of a trigger whose answer was lost: hooks may still be creating the task.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// An action task was made.
    Made(TaskId),
    /// The action task that an earlier try had made.
    Found(TaskId),
}

impl Sent {
    /// The action task.
    #[must_use]
    pub fn task(self) -> TaskId {
        match self {
            Self::Made(task) | Self::Found(task) => task,
        }
    }
}

/// Why it is not known that an action task was made.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was made: this was refused.
    #[error("ask for the action: failed to {0}")]
    Refused(Error),
    /// Nobody knows. Sending it again might do everything twice.
    #[error("learn what came of asking for the action: failed to {0}")]
    Unclear(Error),
    /// Whether the key was used before can't be told. Nothing was sent.
    #[error("learn whether this was asked for before: {0}")]
    Unsearched(FindError),
    /// Nobody knows, for the group can't be searched.
    #[error("learn what came of asking for the action: {0}")]
    Lost(FindError),
    /// The hook made nothing.
    #[error("ask for the action: the hook made no task")]
    Nothing,
    /// The key was used for something else.
    #[error("ask for the action: the key `{key}` asked for something else before, see {task}")]
    OtherRequest {
        /// The key.
        key: String,
        /// The action task that carries it.
        task: TaskId,
    },
    /// Every id that the action task could have is taken.
    #[error("ask for the action: each id that the action task could have is taken")]
    NoFreeId,
    /// The template can't be rendered.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Narrowing credentials takes credentials.
    #[error("create the action task: a proxy can't narrow its credentials to those of the decision task")]
    Proxy,
}

/// What came of an earlier try under the same key, unless that has failed. Nothing is sent.
///
/// # Errors
/// If the key was used for something else, or Taskcluster doesn't answer.
pub async fn earlier(client: &Client, offer: &Offer, prepared: &Prepared) -> Result<Option<Sent>, SendError> {
    match &prepared.sending {
        Sending::Hook { .. } if prepared.carries_key => {
            // Nothing was sent yet.
            let found = find(client, offer.group, prepared).await.map_err(SendError::Unsearched)?;
            Ok(taken(found, prepared)?.map(Sent::Found))
        }
        Sending::Hook { .. } => Ok(None),
        Sending::Task(_) => {
            let asker = client.config().credentials.as_ref().map(|credentials| credentials.client_id.as_str());
            match place(client, offer, prepared, asker.unwrap_or_default()).await? {
                Place::Taken(task) => Ok(Some(Sent::Found(task))),
                Place::Free(_) => Ok(None),
            }
        }
    }
}

/// An action task that carries a request's key, or one from before it was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The task.
    pub task: TaskId,
    /// Whether it did the work that is asked for now, or may still do it.
    pub counts: bool,
}

/// Every action task that tries of the same request have made, also those that have failed and those from before it was
/// undone; what counts comes first. None of what [can't be found](Prepared::can_be_found). Nothing is sent.
///
/// # Errors
/// If Taskcluster doesn't answer, or the group is too large to be searched.
pub async fn begun(client: &Client, offer: &Offer, prepared: &Prepared) -> Result<Vec<Begun>, SendError> {
    let mut begun: Vec<Begun> = match &prepared.sending {
        Sending::Hook { .. } if prepared.carries_key => {
            let found = find_all(client, offer.group, prepared).await.map_err(SendError::Unsearched)?;
            found.into_iter().map(|found| Begun { task: found.task, counts: found.counts() }).collect()
        }
        Sending::Hook { .. } => Vec::new(),
        Sending::Task(_) => {
            let mut begun = Vec::new();
            for key in prepared.undone.iter().chain([&prepared.key]) {
                begun.extend(created(client, offer, prepared, key).await?);
            }
            begun
        }
    };
    begun.sort_by_key(|begun| !begun.counts);
    Ok(begun)
}

async fn created(client: &Client, offer: &Offer, prepared: &Prepared, key: &str) -> Result<Vec<Begun>, SendError> {
    let asker = client.config().credentials.as_ref().map(|credentials| credentials.client_id.as_str());
    let asker = asker.unwrap_or_default();
    let request = request(offer, &prepared.action, key, asker);
    let is_current = key == prepared.key;
    let mut created = Vec::new();
    for k in 0..=MAX_K {
        let task = derive::action_task(&request.id(), k);
        let status = match client.queue().status(task).await {
            Ok(status) => status,
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(SendError::Refused(error)),
        };
        match adopted(client, prepared, task, asker).await {
            Ok(task) => created.push(Begun { task, counts: is_current && !lost(status.state) }),
            // Somebody else's.
            Err(SendError::OtherRequest { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(created)
}

/// Asks for the action.
///
/// # Errors
/// If it was refused, or it can't be told whether an action task was made.
pub async fn send(client: &Client, offer: &Offer, prepared: &Prepared) -> Result<Sent, SendError> {
    match &prepared.sending {
        Sending::Hook { group, id, payload } => trigger(client, offer, prepared, (group, id, payload)).await,
        Sending::Task(definition) => create(client, offer, prepared, definition).await,
    }
}

/// The action task that carries the key, unless it has failed.
fn taken(found: Option<Found>, prepared: &Prepared) -> Result<Option<TaskId>, SendError> {
    match found {
        Some(found) if !found.ours.same => Err(SendError::OtherRequest { key: prepared.key.clone(), task: found.task }),
        Some(found) if !lost(found.state) => Ok(Some(found.task)),
        Some(_) | None => Ok(None),
    }
}

async fn trigger(
    client: &Client,
    offer: &Offer,
    prepared: &Prepared,
    (group, id, payload): (&str, &str, &Value),
) -> Result<Sent, SendError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match client.hooks().trigger_hook(group, id, payload).await {
            Ok(answer) => return answer.task_id.map(Sent::Made).ok_or(SendError::Nothing),
            Err(error) => error,
        };
        if !error.may_have_happened() {
            if !error.is_transient() || tries == TRIES {
                return Err(SendError::Refused(error));
            }
            client.clock().sleep(LOOKS[0] * tries * tries).await;
            continue;
        }
        if !prepared.carries_key {
            return Err(SendError::Unclear(error));
        }
        for pause in LOOKS {
            client.clock().sleep(pause).await;
            let found = find(client, offer.group, prepared).await.map_err(SendError::Lost)?;
            if let Some(task) = taken(found, prepared)? {
                return Ok(Sent::Found(task));
            }
        }
        // Two action tasks of ours with one key do the work once. Others may not, and may hide the key as well.
        if !prepared.ours || tries == TRIES {
            return Err(SendError::Unclear(error));
        }
    }
}

/// An id that follows from the request.
enum Place {
    /// No task has it.
    Free(TaskId),
    /// What an earlier try made has it.
    Taken(TaskId),
}

/// What the ids of its action task follow from.
fn request(offer: &Offer, action: &str, key: &str, asker: &str) -> RequestKey {
    RequestKey::Requester {
        client_id: asker.to_owned(),
        group: offer.group,
        action: action.to_owned(),
        key: key.to_owned(),
    }
}

/// The first id of the action task that isn't one of an earlier try that failed.
async fn place(client: &Client, offer: &Offer, prepared: &Prepared, asker: &str) -> Result<Place, SendError> {
    let request = request(offer, &prepared.action, &prepared.key, asker);
    for k in 0..=MAX_K {
        let id = derive::action_task(&request.id(), k);
        match client.queue().status(id).await {
            Ok(status) if lost(status.state) => {}
            Ok(_) => return adopted(client, prepared, id, asker).await.map(Place::Taken),
            Err(error) if error.is_not_found() => return Ok(Place::Free(id)),
            Err(error) => return Err(SendError::Refused(error)),
        }
    }
    Err(SendError::NoFreeId)
}

/// Creates the action task under an id that follows from the request, so that a lost answer is no question.
async fn create(
    client: &Client,
    offer: &Offer,
    prepared: &Prepared,
    definition: &Definition,
) -> Result<Sent, SendError> {
    let Some(credentials) = client.config().credentials.clone().filter(|_| client.config().proxy_url.is_none()) else {
        return Err(SendError::Proxy);
    };
    let asker = credentials.client_id.clone();
    let id = match place(client, offer, prepared, &asker).await? {
        Place::Taken(task) => return Ok(Sent::Found(task)),
        Place::Free(id) => id,
    };
    let narrowed =
        client.as_credentials(Some(Credentials { authorized_scopes: Some(offer.scopes.clone()), ..credentials }));
    let body = definition.of(&prepared.action, id, client.clock().now())?.to_string();
    match narrowed.queue().create_task(id, Bytes::from(body)).await {
        Ok(_) => Ok(Sent::Made(id)),
        // Somebody was faster with the same key.
        Err(Error::Conflict { .. }) => adopted(client, prepared, id, &asker).await.map(Sent::Found),
        Err(error) => settled(client, id, error).await,
    }
}

/// What came of creating a task when the answers to that were lost: its id tells.
async fn settled(client: &Client, id: TaskId, error: Error) -> Result<Sent, SendError> {
    if !error.may_have_happened() {
        return Err(SendError::Refused(error));
    }
    match client.queue().status(id).await {
        Ok(_) => Ok(Sent::Made(id)),
        Err(look) if look.is_not_found() => Err(SendError::Refused(error)),
        Err(_) => Err(SendError::Unclear(error)),
    }
}

/// The task under an id that follows from the request, which an earlier try made, or somebody else's squatting there.
async fn adopted(client: &Client, prepared: &Prepared, id: TaskId, asker: &str) -> Result<TaskId, SendError> {
    let task = client.queue().task(id).await.map_err(SendError::Refused)?;
    // Without a key in it, the id alone must do.
    let same = !prepared.carries_key || ours(&task.extra, prepared, Some(asker)).is_some_and(|ours| ours.same);
    if same { Ok(id) } else { Err(SendError::OtherRequest { key: prepared.key.clone(), task: id }) }
}
