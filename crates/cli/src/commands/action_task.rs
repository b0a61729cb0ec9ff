//! `taskgraft action-task`.

use std::path::PathBuf;

use taskgraft_core::plan::MAX_NEW;
use taskgraft_engine::action::{self, Action, Means};

use crate::acting::{self, OUT};
use crate::asking::{self, Rules, Wishes};
use crate::env::Env;
use crate::exit::Failure;
use crate::output::Out;
use crate::signals::Stop;
use crate::{connect, creating, push};

/// Create jobs from inside an action task, or by hand as one would
///
/// Inside a task (TASK_ID and RUN_ID are set) it acts with the task's own credentials, keeps its plan as an artifact,
/// and finishes what an earlier run of the task began. Task graph, ids and plan are written into artifacts/.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft action-task --decision-id TADoGLV5QUWAYivg1ReyTw --task-labels test-unit-3,package-opt
  taskgraft action-task --decision-id lander@a1b2c3d --task-labels test-unit-3 --request-id n-42")]
pub(crate) struct Args {
    /// The push: its decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(long, value_name = "PUSH")]
    decision_id: String,
    /// The jobs: labels of the push's graph, with commas between them
    #[arg(long, value_name = "LABEL,…", required = true, value_delimiter = ',')]
    task_labels: Vec<String>,
    /// How many copies of each job; what they need is made once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
    /// Go on with the other jobs where some don't exist or can't be had
    #[arg(long)]
    partial: bool,
    /// Run needed tasks that failed on this push again, instead of making new ones
    #[arg(long)]
    rerun_failed: bool,
    /// The most tasks to create
    #[arg(long, value_name = "N", default_value_t = MAX_NEW)]
    max_new_tasks: usize,
    /// Name the request: the same name creates nothing twice [default: $TASK_ID, else a fresh one]
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Which rules the plan follows
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    policy: Rules,
    /// The project's task graph directory (taskcluster/ in a checkout), for a job with more than 64 routes: its config.yml
    /// says who inserts the index paths that the queue doesn't take
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::writer(env)?;
    let cache = connect::cache(env)?;
    let own = acting::own_run(&client, env).await?;
    let id = asking::request_id(args.request_id.as_deref(), env.task_id.as_deref())?;
    let (push, _) = push::load(args.policy.into(), &client, env, &args.decision_id).await?;
    let labels = args.task_labels.into_iter().map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
    let wishes = Wishes {
        labels: labels.collect(),
        times: args.times,
        partial: args.partial,
        rerun_failed: args.rerun_failed,
        policy: args.policy,
        root: args.root,
    };
    let push = wishes.configured(push)?;
    let mut request = wishes.request(&push, id)?;
    request.action_task = own.map(|own| own.task);
    let keep = acting::keep(own, env)?;
    let action =
        Action { request, policy: args.policy.into(), keep, out: PathBuf::from(OUT), max_new: args.max_new_tasks };
    let mut stop = Stop::listen()?;
    let mut broken = Ok(());
    let log = |line: &str| {
        if broken.is_ok() {
            broken = out.say(line);
        }
    };
    let ran = action::run(&Means { client, cache }, &push, &action, stop.asked(), log).await;
    let report = ran.map_err(|error| acting::explain(error, Some(&push)))?;
    broken?;
    creating::judge(&report)
}
