//! `taskgraft demo`: a newcomer's story, told by what really happens. Each claim in it is checked.

mod added;
mod checks;
mod decision;
mod lander;
mod story;

use std::path::{Path, PathBuf};

use taskgraft_engine::{Followed, install};
use taskgraft_local::Config;

use crate::embedded::{Embedded, WorkerOptions};
use crate::env::Env;
use crate::exit::{Failure, Kind, chain};
use crate::follow;
use crate::output::Out;
use crate::progress::Progress;
use crate::signals::Stop;

use decision::Decided;
use lander::Lander;
use story::Story;

/// See it work: an embedded Taskcluster, two pushes of a small project, jobs added to the second
///
/// Everything happens on this machine, in a temporary directory, with real jobs that compile and test; it takes half a
/// minute and ends with 0 only if all that it says is true. It needs examples/lander of taskgraft's sources, a C
/// compiler and Python 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft demo
  taskgraft demo --data-dir ./demo && taskgraft up --data-dir ./demo    # to look around")]
pub(crate) struct Args {
    /// The project [default: examples/lander here or in a directory above]
    #[arg(long, value_name = "DIR")]
    lander: Option<PathBuf>,
    /// Keep everything in this directory, which must be empty or absent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let lander = Lander::find(args.lander.as_deref())?;
    let scratch = tempfile::tempdir()?;
    let data_dir = match &args.data_dir {
        Some(dir) => empty(dir)?,
        None => scratch.path().join("tc"),
    };
    let mut stop = Stop::listen()?;
    let mut story = Story::begin(out);
    let workers = WorkerOptions { queues: lander::QUEUES.map(str::to_owned).to_vec(), capacity: None };
    let embedded = Embedded::start(Config::new(&data_dir), Some(workers)).await?;
    let told = tokio::select! {
        told = tell(&lander, &embedded, scratch.path(), &mut story, env, out) => told,
        () = stop.asked() => Err(Failure::other("interrupted")),
    };
    embedded.stop().await;
    if let Err(failure) = told {
        if failure.kind() != Kind::NotGreen {
            return Err(failure);
        }
        // It names a job to look at, and so that can be done.
        let kept = args.data_dir.clone().unwrap_or_else(|| scratch.keep().join("tc"));
        return Err(failure.note("it is kept", format!("taskgraft up --data-dir {}", kept.display())));
    }
    story.end()?;
    let last = match &args.data_dir {
        Some(dir) => format!(
            "Everything above is real: look around with `taskgraft up --data-dir {}`, or read docs/tutorial.md.",
            dir.display()
        ),
        None => "Everything above was real. Keep it with `taskgraft demo --data-dir DIR` and look around with\n\
                 `taskgraft up --data-dir DIR`, or read docs/tutorial.md."
            .to_owned(),
    };
    Ok(out.say(&last)?)
}

fn empty(dir: &Path) -> Result<PathBuf, Failure> {
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(false) => Err(Failure::mistake(format!("{} is not empty", dir.display()))),
        Ok(true) => Ok(dir.to_owned()),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(dir.to_owned()),
        Err(why) => Err(Failure::mistake(format!("failed to look into {}: {}", dir.display(), chain(&why)))),
    }
}

async fn tell(
    lander: &Lander,
    embedded: &Embedded,
    scratch: &Path,
    story: &mut Story<'_>,
    env: &Env,
    out: &Out,
) -> Result<(), Failure> {
    let client = embedded.client(embedded.credentials())?;
    let setup = lander.setup()?;
    install(&client, &setup).await?;
    story.did(&format!(
        "Taskcluster, embedded, on {}, with {} action hooks",
        embedded.root_url(),
        setup.hooks.len()
    ))?;

    let first = decision::decide(lander, "1", &client, scratch).await?;
    story.did(&format!(
        "push 1 of examples/lander: decision task made a graph of {} jobs, scheduled {}",
        first.labels,
        first.created.len()
    ))?;
    run_jobs(&client, &first, out).await?;
    story.did(&format!("its {0} jobs ran on this machine: {0} green", first.created.len()))?;

    let second = decision::decide(lander, "2", &client, scratch).await?;
    run_jobs(&client, &second, out).await?;
    checks::reused_by_index(&first, &second)?;
    story.did(&format!(
        "push 2: {0} scheduled, {0} green, toolchain-cc reused from push 1 by the index",
        second.created.len()
    ))?;

    added::add(embedded, &first, &second, scratch, story, env, out).await
}

/// Follows what a decision task scheduled to its end.
async fn run_jobs(client: &taskgraft_client::Client, decided: &Decided, out: &Out) -> Result<(), Failure> {
    let tasks: Vec<Followed> =
        decided.created.iter().map(|(label, id)| Followed { label: label.clone(), id: *id }).collect();
    let ends = follow::follow(client, &tasks, &Progress::bar(out, tasks.len())).await?;
    follow::judge(&tasks, &ends)
}
