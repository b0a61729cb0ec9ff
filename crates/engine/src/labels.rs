//! A push's labels: which ones a pattern means, and what became of each.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use taskgraft_client::{Client, Error};
use taskgraft_core::glob::Glob;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;

use crate::members::members;
use crate::{Push, lookup};

/// A pattern that no label of a push is like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no job in this push is like `{0}`")]
pub struct NoneLike(pub String);

/// The labels that were meant, each once: a label that exists is itself, whatever characters it has, and one that doesn't
/// and is no pattern stays as it is.
///
/// # Errors
/// If a pattern means none.
pub fn expand(push: &Push, wanted: &[String]) -> Result<Vec<String>, NoneLike> {
    let (mut labels, mut known) = (Vec::new(), HashSet::new());
    let mut mean = |label: Cow<'_, str>| {
        if !known.contains(&*label) {
            labels.push(label.clone().into_owned());
            known.insert(label.into_owned());
        }
    };
    for text in wanted {
        if push.graph.contains(text) || !Glob::is_pattern(text) {
            mean(Cow::Borrowed(text));
            continue;
        }
        let glob = Glob::new(text);
        let mut found = false;
        for label in push.graph.labels().filter(|label| glob.matches(label)) {
            found = true;
            mean(label);
        }
        if !found {
            return Err(NoneLike(text.clone()));
        }
    }
    Ok(labels)
}

/// The newest task of each label: those that the decision task names, and those that others added to its group.
///
/// # Errors
/// If the queue doesn't answer.
pub async fn newest(client: &Client, push: &Push) -> Result<HashMap<String, (TaskId, TaskState)>, Error> {
    let ids: Vec<TaskId> = push.labels.values().copied().collect();
    let statuses = lookup::statuses(client, &ids).await?;
    let named = push.labels.iter().filter_map(|(label, id)| Some((label.clone(), (*id, statuses.get(id)?.state))));
    let mut newest: HashMap<_, _> = named.collect();
    if let Some(group) = push.group {
        let mut members = members(client, group).await?;
        members.sort_by_key(|member| (member.created, member.task));
        newest.extend(members.into_iter().map(|member| (member.name, (member.task, member.state))));
    }
    Ok(newest)
}
