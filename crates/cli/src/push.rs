//! The push that a command is about: which one, its graph, and where its tasks stand.

use futures_util::TryStreamExt as _;
use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, Policy};
use taskgraft_engine::{Artifacts, FetchError, Push, PushError, PushRef, ResolveError, reference};

use crate::connect;
use crate::env::Env;
use crate::exit::{Failure, NOTHING};

/// How many tasks are listed or asked about at once.
const PAGE: u16 = 1000;

/// What somebody calls a push.
pub(crate) fn parse(text: &str) -> Result<PushRef, Failure> {
    text.parse().map_err(|why: taskgraft_engine::InvalidPushRef| {
        Failure::mistake(why.to_string()).notes(
            "a push is",
            ["TADoGLV5QUWAYivg1ReyTw", "https://tc.example.com/tasks/groups/TADoGLV5QUWAYivg1ReyTw", "lander@a1b2c3d"]
                .map(str::to_owned),
        )
    })
}

/// The decision task of the push that somebody named.
pub(crate) async fn resolve(client: &Client, text: &str) -> Result<TaskId, Failure> {
    Ok(complete(parse(text)?)?.resolve(client).await?)
}

/// The task that somebody named; a push stands for its decision task.
pub(crate) async fn resolve_task(client: &Client, text: &str) -> Result<TaskId, Failure> {
    match complete(parse(text)?)? {
        PushRef::Task(id) | PushRef::Member(id) => Ok(id),
        push @ PushRef::Revision { .. } => Ok(push.resolve(client).await?),
    }
}

/// Refuses an id that no queue knows, as it comes of copying a part.
fn complete(push: PushRef) -> Result<PushRef, Failure> {
    if let PushRef::Task(id) | PushRef::Member(id) = push
        && !id.is_v4()
    {
        return Err(Failure::mistake(format!("`{id}` is no task id that a queue gives: not a v4 slugid"))
            .note("an id is", "22 characters such as TADoGLV5QUWAYivg1ReyTw; is it complete?"));
    }
    Ok(push)
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let message = format!("failed to {error}");
        match error {
            ResolveError::Unknown { .. } => Self::mistake(message)
                .note("it may be", "too early: a push is found once its decision task has completed")
                .note("or use", "the decision task's id, or the URL of its group"),
            ResolveError::Ambiguous { revisions, .. } => {
                Self::mistake(message).notes("which", revisions.into_iter().take(10))
            }
            ResolveError::Client(error) => error.into(),
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let message = format!("failed to {error}");
        match error {
            PushError::Fetch(FetchError::Missing { .. }) => {
                Self::mistake(message).note("it may be", "no decision task, or one that has not completed yet")
            }
            PushError::Fetch(FetchError::NotInDirectory { .. }) => Self::mistake(message)
                .note("it should hold", "a decision task's artifacts: full-task-graph.json and so on"),
            PushError::Fetch(FetchError::Client { error, .. }) | PushError::Client(error) => error.into(),
            PushError::Fetch(FetchError::Io { .. })
            | PushError::Parameters(_)
            | PushError::Graph(_)
            | PushError::Labels(_)
            | PushError::Targets(_)
            | PushError::Path(_)
            | PushError::Authority(_) => Self::mistake(message),
        }
    }
}

/// The push of the decision task that somebody named, with all that it left, as the policy finds it.
pub(crate) async fn load(policy: Policy, client: &Client, env: &Env, text: &str) -> Result<(Push, Artifacts), Failure> {
    let decision = resolve(client, text).await?;
    let artifacts = connect::artifacts(client, env)?;
    match reference::load_by(policy, client, &artifacts, decision).await {
        Ok(push) => Ok((push, artifacts)),
        Err(error) => Err(with_its_push(client, decision, error).await),
    }
}

/// Some other task of a push is soon copied by mistake: its group tells which push was meant.
async fn with_its_push(client: &Client, task: TaskId, error: PushError) -> Failure {
    let missing = matches!(&error, PushError::Fetch(FetchError::Missing { .. }));
    let failure = Failure::from(error);
    match client.queue().task(task).await {
        Ok(definition) if missing && definition.task_group_id != task => {
            failure.note("its push is", definition.task_group_id.to_string())
        }
        Ok(_) | Err(_) => failure,
    }
}

/// The push that a stored plan is for.
pub(crate) async fn of_plan(client: &Client, env: &Env, plan: &Plan) -> Result<(Push, Artifacts), Failure> {
    let decision = plan.request.decision.ok_or_else(|| {
        Failure::mistake("this plan was made without a decision task: nothing can be created from it").closing(NOTHING)
    })?;
    load(plan.policy, client, env, decision.as_str()).await
}

/// All tasks of a group, oldest first.
pub(crate) async fn members(client: &Client, group: TaskId) -> Result<Vec<TaskDefinitionAndStatus>, Failure> {
    let pages = client.queue().list_task_group(group, PAGE);
    let mut tasks = pages
        .try_fold(Vec::new(), async |mut all, page| {
            all.extend(page.tasks);
            Ok(all)
        })
        .await?;
    tasks.sort_by_key(|member| (member.task.created, member.status.task_id));
    Ok(tasks)
}
