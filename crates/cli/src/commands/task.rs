//! `taskgraft task`.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskStatus;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Run, RunState, TaskState};
use taskgraft_core::time::Millis;
use taskgraft_engine::Followed;

use crate::env::Env;
use crate::exit::Failure;
use crate::follow;
use crate::output::{Out, Times, span};
use crate::progress::Progress;
use crate::{connect, push};

/// A log that is silent for this long is taken as read, unless it is followed.
const SILENCE: Duration = Duration::from_millis(500);
/// The pause between two looks at a task that has no run yet.
const PAUSE: Duration = Duration::from_millis(500);

/// Show what became of a task: its runs, and its log
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft task A-JT3sTNQMSvayONPiHU6A
  taskgraft task https://tc.example.com/tasks/A-JT3sTNQMSvayONPiHU6A --log
  taskgraft task A-JT3sTNQMSvayONPiHU6A --log --follow > build.log")]
pub(crate) struct Args {
    /// The task: its id or URL
    id: String,
    /// Print its last run's log rather than what is known about it
    #[arg(long, conflicts_with = "json")]
    log: bool,
    /// Wait until it has ended, and end with 0 only if it is green
    #[arg(long)]
    follow: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    label: String,
    task_id: TaskId,
    task_group_id: TaskId,
    state: TaskState,
    task_queue_id: String,
    created: Millis,
    deadline: Millis,
    expires: Millis,
    dependencies: Vec<TaskId>,
    runs: Vec<Run>,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::reader(env)?;
    let id = push::resolve_task(&client, &args.id).await?;
    let task = client.queue().task(id).await?;
    let followed = [Followed { label: task.metadata.name.clone(), id }];
    if args.log {
        log(&client, id, args.follow, out).await?;
    }
    let verdict = if args.follow {
        let ends = follow::follow(&client, &followed, &Progress::new(out, 1)).await?;
        follow::judge(&followed, &ends)
    } else {
        Ok(())
    };
    if !args.log {
        let status = client.queue().status(id).await?;
        let shown = Shown {
            label: task.metadata.name,
            task_id: id,
            task_group_id: task.task_group_id,
            state: status.state,
            task_queue_id: task.task_queue_id,
            created: task.created,
            deadline: status.deadline,
            expires: status.expires,
            dependencies: task.dependencies,
            runs: status.runs,
        };
        if args.json { out.json(&shown)? } else { show(&shown, out)? }
    }
    verdict
}

fn show(shown: &Shown, out: &Out) -> Result<(), Failure> {
    let (paint, times) = (out.paint(), Times::here());
    let mut columns = out.columns();
    columns.row([paint.bold(&shown.label), paint.state(shown.state)]);
    columns.row(["task".to_owned(), shown.task_id.to_string()]);
    columns.row(["group".to_owned(), shown.task_group_id.to_string()]);
    columns.row(["queue".to_owned(), shown.task_queue_id.clone()]);
    let moments = (times.minute(shown.created.0), times.minute(shown.deadline.0), times.day(shown.expires.0));
    columns.row(["created".to_owned(), format!("{}, deadline {}, kept until {}", moments.0, moments.1, moments.2)]);
    for run in &shown.runs {
        columns.row([format!("run {}", run.run_id), of_run(run, out, &times)]);
    }
    if !shown.dependencies.is_empty() {
        let ids: Vec<String> = shown.dependencies.iter().map(TaskId::to_string).collect();
        columns.row(["needs".to_owned(), ids.join(" ")]);
    }
    Ok(out.say(&columns.text())?)
}

fn of_run(run: &Run, out: &Out, times: &Times) -> String {
    let mut text = out.paint().state(TaskState::from(run.state));
    if let Some(resolved) = run.resolved {
        text.push_str(&format!(" {}", times.ago(resolved.0)));
        if let Some(started) = run.started {
            let took = Duration::try_from(resolved.0.duration_since(started.0)).unwrap_or_default();
            text.push_str(&format!(", took {}", span(took)));
        }
    }
    if let Some(worker) = &run.worker_id {
        text.push_str(&format!(", on {worker}"));
    }
    text
}

/// The log of the last run, as it comes; waits for a run where it is followed.
async fn log(client: &Client, id: TaskId, follow: bool, out: &Out) -> Result<(), Failure> {
    let run = loop {
        let status = client.queue().status(id).await?;
        match begun(&status) {
            Some(run) => break run.clone(),
            None if follow && !status.state.is_resolved() => tokio::time::sleep(PAUSE).await,
            None => {
                return Err(Failure::mistake(format!("the task is {} and has no log", status.state.as_str()))
                    .note("wait for it", format!("taskgraft task {id} --log --follow")));
            }
        }
    };
    let location = loop {
        match client.queue().artifact(id, Some(run.run_id), "public/logs/live.log").await {
            Ok(location) => break location,
            // A worker has claimed the run and is about to publish its log.
            Err(error) if error.is_not_found() && follow && running(client, id, run.run_id).await? => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let mut chunks = std::pin::pin!(client.stream(&location.url).await?);
    loop {
        let chunk = match follow || run.state != RunState::Running {
            true => chunks.next().await,
            false => tokio::time::timeout(SILENCE, chunks.next()).await.unwrap_or_default(),
        };
        match chunk {
            Some(chunk) => out.raw(&chunk?)?,
            None => return Ok(()),
        }
    }
}

/// The last run that a worker has begun.
fn begun(status: &TaskStatus) -> Option<&Run> {
    status.runs.iter().rev().find(|run| run.started.is_some())
}

async fn running(client: &Client, id: TaskId, run: u16) -> Result<bool, Failure> {
    let status = client.queue().status(id).await?;
    Ok(status.runs.iter().any(|each| each.run_id == run && each.state == RunState::Running))
}
