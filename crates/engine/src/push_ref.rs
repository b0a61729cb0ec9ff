//! How people name a push: a decision task's id, a URL that shows it, or `PROJECT@REVISION`.

use std::fmt;
use std::pin::pin;
use std::str::FromStr;

use futures_util::TryStreamExt as _;
use taskgraft_client::{Client, Error};
use taskgraft_core::ids::TaskId;

/// The fewest characters of a revision that are looked for as a prefix.
const MIN_REVISION: usize = 6;

/// A push, as somebody named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushRef {
    /// The decision task, as given or found in its group's URL: a group has its decision task's id.
    Task(TaskId),
    /// Any task of the push, found in its URL.
    Member(TaskId),
    /// A revision of a project, looked up in the index.
    Revision {
        /// The project's short name, such as `lander`.
        project: String,
        /// The revision in hexadecimal digits; its beginning is enough.
        revision: String,
    },
}

/// A text that names no push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a task id, nor the URL of a task or group, nor PROJECT@REVISION")]
pub struct InvalidPushRef(String);

/// Why a push can't be found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The index doesn't know it.
    #[error("find {push}: the index knows no decision task of that revision")]
    Unknown {
        /// What was looked for.
        push: PushRef,
    },
    /// Several revisions begin like this.
    #[error("find {push}: {} revisions begin like that", .revisions.len())]
    Ambiguous {
        /// What was looked for.
        push: PushRef,
        /// They, in full.
        revisions: Vec<String>,
    },
    /// The index didn't answer.
    #[error(transparent)]
    Client(#[from] Error),
}

impl FromStr for PushRef {
    type Err = InvalidPushRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPushRef(text.chars().take(200).collect());
        if let Ok(id) = text.parse() {
            return Ok(Self::Task(id));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return task_in(text).ok_or_else(invalid);
        }
        match text.split_once('@') {
            Some((project, revision)) if is_project(project) && is_revision(revision) => {
                Ok(Self::Revision { project: project.to_owned(), revision: revision.to_ascii_lowercase() })
            }
            Some(_) | None => Err(invalid()),
        }
    }
}

impl fmt::Display for PushRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(id) | Self::Member(id) => id.fmt(f),
            Self::Revision { project, revision } => write!(f, "{project}@{revision}"),
        }
    }
}

/// The first task id behind a path segment that says what it is, as in `/tasks/ID`, `/tasks/groups/ID` and the API's
/// own `/task/ID` and `/task-group/ID/list`.
fn task_in(url: &str) -> Option<PushRef> {
    let segments: Vec<&str> = url.split(['/', '?', '#']).collect();
    segments.windows(2).find_map(|pair| match pair[0] {
        "groups" | "task-group" => pair[1].parse().ok().map(PushRef::Task),
        "tasks" | "task" => pair[1].parse().ok().map(PushRef::Member),
        _ => None,
    })
}

fn is_project(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn is_revision(text: &str) -> bool {
    (MIN_REVISION..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl PushRef {
    /// The decision task that this means, looked up in the index where need be: at
    /// `TRUST_DOMAIN.v2.PROJECT.revision.REVISION.taskgraph.decision` for each trust domain that the index has.
    ///
    /// # Errors
    /// If the index knows none, several that begin like this, or doesn't answer.
    pub async fn resolve(&self, client: &Client) -> Result<TaskId, ResolveError> {
        match self {
            Self::Task(id) => Ok(*id),
            Self::Member(id) => Ok(client.queue().task(*id).await?.task_group_id),
            Self::Revision { project, revision } => self.look_up(client, project, revision).await,
        }
    }

    async fn look_up(&self, client: &Client, project: &str, revision: &str) -> Result<TaskId, ResolveError> {
        let unknown = || ResolveError::Unknown { push: self.clone() };
        let roots: Vec<String> =
            client.index().list_namespaces("").await?.into_iter().map(|domain| domain.namespace).collect();
        let below = |domain: &str| format!("{domain}.v2.{project}.revision");
        let decision = |domain: &str, revision: &str| format!("{}.{revision}.taskgraph.decision", below(domain));
        let exact: Vec<String> = roots.iter().map(|domain| decision(domain, revision)).collect();
        if let Some(found) = client.index().find_tasks_at_index(&exact).await?.into_values().next() {
            return Ok(found.task_id);
        }
        let mut begun = Vec::new();
        for domain in &roots {
            // A project may have very many, of which few fit.
            let below = below(domain);
            let mut revisions = pin!(client.index().namespaces(&below));
            while let Some(page) = revisions.try_next().await? {
                let fits = page.namespaces.into_iter().filter(|found| found.name.starts_with(revision));
                begun.extend(fits.map(|found| (decision(domain, &found.name), found.name)));
            }
        }
        if begun.is_empty() {
            return Err(unknown());
        }
        let paths: Vec<String> = begun.iter().map(|(path, _)| path.clone()).collect();
        let found = client.index().find_tasks_at_index(&paths).await?;
        begun.retain(|(path, _)| found.contains_key(path));
        match begun.as_slice() {
            [] => Err(unknown()),
            [(path, _)] => found.get(path).map(|task| task.task_id).ok_or_else(unknown),
            several => {
                let revisions = several.iter().map(|(_, revision)| revision.clone()).collect();
                Err(ResolveError::Ambiguous { push: self.clone(), revisions })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "TADoGLV5QUWAYivg1ReyTw";

    #[test]
    fn urls_of_tasks_and_groups_name_a_push() {
        let (decision, member) = (PushRef::Task(ID.parse().unwrap()), PushRef::Member(ID.parse().unwrap()));
        for (url, push) in [
            (format!("https://tc.example.com/tasks/{ID}"), &member),
            (format!("https://tc.example.com/tasks/groups/{ID}?search=x"), &decision),
            (format!("https://tc.example.com/tasks/{ID}/runs/0/logs/public/logs/live.log"), &member),
            (format!("http://127.0.0.1:8080/api/queue/v1/task-group/{ID}/list"), &decision),
        ] {
            assert_eq!(url.parse().as_ref(), Ok(push), "{url}");
        }
        assert_eq!(ID.parse(), Ok(decision));
    }

    #[test]
    fn revisions_are_hexadecimal_and_long_enough() {
        let revision = PushRef::Revision { project: "lander".into(), revision: "a1b2c3d".into() };
        assert_eq!("lander@A1B2C3D".parse(), Ok(revision));
        for text in ["", "lander@", "lander@a1b", "@a1b2c3d", "a.b@a1b2c3d", "lander@xyzxyzx", "https://x/y/z", "short"]
        {
            assert!(text.parse::<PushRef>().is_err(), "{text}");
        }
    }
}
