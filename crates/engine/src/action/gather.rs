//! Fetching what an action's decision looks at.

use std::collections::BTreeMap;

use serde_json::Value;
use taskgraft_client::Client;
use taskgraft_core::action::Needs;
use taskgraft_core::action::deed::{EarlierPush, Refusal, Subject, View, depth};
use taskgraft_core::action::member::Member;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Source};

use crate::earlier::earlier;
use crate::fetch::Artifacts;
use crate::members::members;
use crate::push::{Push, PushError, read_targets};

/// What an action's decision looks at, fetched.
#[derive(Default)]
pub(crate) struct Gathered {
    subject: Option<(TaskId, Option<Value>)>,
    targets: Vec<String>,
    members: Vec<Member>,
    earlier: Vec<EarlierPush>,
    /// Earlier pushes on which jobs may be made, by their decision tasks.
    pub(crate) pushes: BTreeMap<TaskId, Push>,
}

/// Why not all can be had.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// Taskcluster didn't answer.
    #[error("look up what the action needs: failed to {0}")]
    Client(#[from] taskgraft_client::Error),
    /// Another push can't be read.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The action can't be for the task that it was asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// An action that is asked for, with a validated input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) needs: Needs,
    pub(crate) task: Option<TaskId>,
    pub(crate) input: &'a Value,
}

/// Fetches what `asked` needs to know about `push`.
///
/// # Errors
/// If something can't be had.
pub(crate) async fn gather(
    client: &Client,
    artifacts: &Artifacts,
    push: &Push,
    asked: Asked<'_>,
) -> Result<Gathered, GatherError> {
    let needs = asked.needs;
    let mut gathered = Gathered::default();
    if let Some(task) = asked.task {
        let definition = if needs.subject { Some(client.queue().task_as::<Value>(task).await?) } else { None };
        gathered.subject = Some((task, definition));
    }
    if needs.targets {
        gathered.targets = read_targets(artifacts, push).await?;
    }
    if let Some(group) = push.group.filter(|_| needs.members) {
        gathered.members = members(client, group).await?;
    }
    if needs.earlier_pushes {
        let label = gathered.subject().ok_or(Refusal::NoSubject)?.label()?.to_owned();
        for found in earlier(client, artifacts, push, &label, depth(asked.input)).await? {
            gathered.pushes.extend(found.loaded.and_then(|push| Some((push.decision?, push))));
            gathered.earlier.push(found.push);
        }
    }
    Ok(gathered)
}

impl Gathered {
    /// The definition of the task that the action was asked for.
    pub(crate) fn definition(&self) -> Option<&Value> {
        self.subject.as_ref()?.1.as_ref()
    }

    fn subject(&self) -> Option<Subject<'_>> {
        let (id, definition) = self.subject.as_ref()?;
        Some(Subject { id: *id, definition: definition.as_ref() })
    }

    /// What was gathered, for the decision.
    pub(crate) fn view<'a>(&'a self, policy: Policy, group: TaskId, push: &'a Push, sources: &'a [Source]) -> View<'a> {
        View {
            policy,
            group,
            subject: self.subject(),
            graph: Some(&push.graph),
            sources,
            targets: &self.targets,
            members: &self.members,
            earlier_pushes: &self.earlier,
        }
    }
}
