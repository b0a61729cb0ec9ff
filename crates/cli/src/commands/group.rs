//! `taskgraft group`.

use std::collections::BTreeMap;

use serde::Serialize;
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;
use taskgraft_engine::Followed;

use crate::env::Env;
use crate::exit::Failure;
use crate::follow;
use crate::output::{Out, Times};
use crate::progress::Progress;
use crate::{connect, push};

/// Show what became of a push: its tasks and their states
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft group TADoGLV5QUWAYivg1ReyTw
  taskgraft group lander@a1b2c3d --follow
  taskgraft group lander@a1b2c3d --json | jq -r '.tasks[] | select(.state == \"failed\").label'")]
pub(crate) struct Args {
    /// The push: its group's or decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(value_name = "PUSH")]
    id: String,
    /// Wait until all of its tasks have ended
    #[arg(long)]
    follow: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    task_group_id: TaskId,
    states: BTreeMap<TaskState, usize>,
    tasks: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    label: String,
    task_id: TaskId,
    state: TaskState,
    created: Millis,
    /// When its last run ended.
    resolved: Option<Millis>,
}

impl From<TaskDefinitionAndStatus> for Member {
    fn from(member: TaskDefinitionAndStatus) -> Self {
        Self {
            label: member.task.metadata.name,
            task_id: member.status.task_id,
            state: member.status.state,
            created: member.task.created,
            resolved: member.status.runs.last().and_then(|run| run.resolved),
        }
    }
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::reader(env)?;
    let decision = push::resolve(&client, &args.id).await?;
    // A task's id stands for its group; a group that was named itself may have no task of its name.
    let group = match client.queue().task(decision).await {
        Ok(task) => task.task_group_id,
        Err(error) if error.is_not_found() => decision,
        Err(error) => return Err(error.into()),
    };
    let mut members = push::members(&client, group).await?;
    let mut verdict = Ok(());
    let mut tasks: Vec<Followed> = Vec::new();
    // Tasks may join while others are followed: the decision task's, or somebody's additions.
    while args.follow && members.len() > tasks.len() {
        tasks = members.iter().map(followed).collect();
        let ends = follow::follow(&client, &tasks, &Progress::new(out, tasks.len())).await?;
        verdict = follow::judge(&tasks, &ends);
        members = push::members(&client, group).await?;
    }
    let mut states = BTreeMap::new();
    for member in &members {
        *states.entry(member.status.state).or_default() += 1;
    }
    let shown = Shown { task_group_id: group, states, tasks: members.into_iter().map(Member::from).collect() };
    if args.json {
        out.json(&shown)?
    } else {
        show(&shown, out)?
    }
    verdict
}

fn followed(member: &TaskDefinitionAndStatus) -> Followed {
    Followed { label: member.task.metadata.name.clone(), id: member.status.task_id }
}

fn show(shown: &Shown, out: &Out) -> Result<(), Failure> {
    let (paint, times) = (out.paint(), Times::here());
    let states: Vec<String> =
        shown.states.iter().map(|(state, count)| format!("{count} {}", paint.state(*state))).collect();
    out.say(&format!("group {}  {} tasks: {}", shown.task_group_id, shown.tasks.len(), states.join(", ")))?;
    let mut columns = out.columns();
    for task in &shown.tasks {
        let when = task.resolved.unwrap_or(task.created);
        columns.row([
            format!("  {}", task.label),
            paint.state(task.state),
            paint.dim(&times.ago(when.0)),
            paint.dim(&task.task_id.to_string()),
        ]);
    }
    Ok(out.say(&columns.text())?)
}
