//! `taskgraft cancel`.

use serde::Serialize;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_engine::cancel;

use crate::env::Env;
use crate::exit::Failure;
use crate::output::{self, Out};
use crate::{asking, connect};

/// Cancel what a request made, as far as it is unfinished
#[derive(Debug, clap::Args)]
#[command(after_help = "What other tasks may need as well stays, unless it is to go too; then what something outside \
the request waits for stays all the same.

Examples:
  taskgraft cancel R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft cancel nightly-42 --with-dependencies")]
pub(crate) struct Args {
    /// The request, as `add` has printed it
    request: String,
    /// Cancel the builds and the like that only this request needed, too
    #[arg(long)]
    with_dependencies: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What was done, as data.
#[derive(Debug, Serialize)]
struct Told<'a> {
    request: &'a RequestId,
    cancelled: &'a [TaskId],
    kept: &'a [TaskId],
    rerun: &'a [TaskId],
    lost: &'a [TaskId],
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::writer(env)?;
    let plans = asking::plans(env)?;
    let unknown = || Failure::mistake(format!("no request `{}` is known on this machine", args.request));
    let id: RequestId = args.request.parse().map_err(|_| unknown())?;
    let mut report = plans.report(&id)?.ok_or_else(unknown)?;
    let done = cancel(&client, &report, args.with_dependencies).await?;
    // Nobody is to be offered to finish it.
    report.result = Terminal::Cancelled;
    plans.note(&report)?;
    if args.json {
        let (cancelled, kept, rerun, lost) = (&done.cancelled, &done.kept, &done.rerun, &done.lost);
        return Ok(out.json(&Told { request: &id, cancelled, kept, rerun, lost })?);
    }
    let lists = [
        ("cancelled", &done.cancelled),
        ("kept, as others wait for it", &done.kept),
        ("run again, as others wait for it", &done.rerun),
        ("lost to others that wait for it", &done.lost),
    ];
    for (what, ids) in lists {
        if let Some(labels) = labels(&report, ids) {
            out.say(&format!("{what}: {labels}"))?;
        }
    }
    if done.cancelled.is_empty() {
        out.say("nothing was left to cancel")?;
    }
    Ok(())
}

fn labels(report: &Report, ids: &[TaskId]) -> Option<String> {
    let among = report.tasks.iter().filter(|task| ids.contains(&task.task_id));
    output::repeated(among.map(|task| task.label.as_str()))
}
