//! `taskgraft labels`.

use serde::Serialize;
use taskgraft_core::glob::Glob;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Policy;
use taskgraft_core::state::TaskState;
use taskgraft_engine::{PushError, newest};

use crate::env::Env;
use crate::exit::Failure;
use crate::output::Out;
use crate::{connect, push};

/// List the jobs that a push could have, with kind and state
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft labels --decision-id lander@a1b2c3d
  taskgraft labels 'test-*' --decision-id https://tc.example.com/tasks/TADoGLV5QUWAYivg1ReyTw
  taskgraft labels --decision-id lander@a1b2c3d --json | jq -r '.[] | select(.state == null).label'")]
pub(crate) struct Args {
    /// Only labels like this; `*` stands for anything, `?` for one character
    pattern: Option<String>,
    /// The push: its decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(long, value_name = "PUSH")]
    decision_id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    label: String,
    kind: String,
    /// Null where no task of that label is in the push.
    state: Option<TaskState>,
    task_id: Option<TaskId>,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::reader(env)?;
    let (push, _) = push::load(Policy::Graft, &client, env, &args.decision_id).await?;
    let glob = args.pattern.as_deref().map(Glob::new);
    let wanted = |label: &str| glob.as_ref().is_none_or(|glob| glob.matches(label));
    let labels: Vec<String> =
        push.graph.labels().filter(|label| wanted(label)).map(|label| label.into_owned()).collect();
    let mut listed = Vec::with_capacity(labels.len());
    let tasks = newest(&client, &push).await?;
    for label in labels {
        let Some(task) = push.graph.get(&label).map_err(PushError::from)? else { continue };
        let (task_id, state) = tasks.get(&label).copied().unzip();
        listed.push(Listed { label, kind: task.kind, state, task_id });
    }
    if args.json {
        return Ok(out.json(&listed)?);
    }
    let paint = out.paint();
    let mut columns = out.columns();
    for job in &listed {
        let state = job.state.map_or_else(|| paint.dim("not scheduled"), |state| paint.state(state));
        columns.row([job.label.clone(), job.kind.clone(), state]);
    }
    if listed.is_empty() {
        out.note(&format!("none of the {} labels is like that", push.graph.len()));
        return Ok(());
    }
    Ok(out.say(&columns.text())?)
}
