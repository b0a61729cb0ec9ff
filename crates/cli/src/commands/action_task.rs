//! `taskgraft action-task`.

use std::path::PathBuf;

use taskgraft_client::Client;
use taskgraft_core::ids::TaskId;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{self, Action, ActionError, Keep, Means};

use crate::asking::{self, Rules, Wishes};
use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING};
use crate::output::Out;
use crate::signals::Stop;
use crate::{connect, creating, push};

/// Where an action task leaves what its worker uploads.
const OUT: &str = "artifacts";

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
    let own = own_run(&client, env).await?;
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
    let keep = match own {
        Some(own) => Keep::Run(own),
        None => Keep::Plans(asking::plans(env)?),
    };
    let action = Action { request, policy: args.policy.into(), keep, out: PathBuf::from(OUT) };
    let mut stop = Stop::listen()?;
    let mut broken = Ok(());
    let log = |line: &str| {
        if broken.is_ok() {
            broken = out.say(line);
        }
    };
    let ran = action::run(&Means { client, cache }, &push, &action, stop.asked(), log).await;
    let report = ran.map_err(|error| explain(error, &push))?;
    broken?;
    creating::judge(&report)
}

/// The run that this process works for, if it works for one: the task's last, where only the task is known.
async fn own_run(client: &Client, env: &Env) -> Result<Option<OwnRun>, Failure> {
    let Some(task) = &env.task_id else { return Ok(None) };
    let task: TaskId = task.parse().map_err(|why| Failure::mistake(format!("TASK_ID: {why}")).closing(NOTHING))?;
    let status = match client.queue().status(task).await {
        Err(error) if error.is_not_found() => {
            return Err(Failure::mistake(format!("TASK_ID is {task}, and there is no such task"))
                .note("by hand", "unset TASK_ID; --request-id names the request")
                .closing(NOTHING));
        }
        status => status.map_err(|error| Failure::from(error).closing(NOTHING))?,
    };
    let run = match env.run_id.as_deref() {
        Some(run) => {
            run.parse().map_err(|_| Failure::mistake(format!("RUN_ID: `{run}` is no run")).closing(NOTHING))?
        }
        None => status.runs.last().map_or(0, |run| run.run_id),
    };
    Ok(Some(OwnRun { task, run }))
}

fn explain(error: ActionError, push: &taskgraft_engine::Push) -> Failure {
    let message = format!("failed to {error}");
    match error {
        ActionError::Planner(error) => asking::explain(error, push),
        ActionError::Plans(error) => return error.into(),
        ActionError::Client(error) => error.into(),
        ActionError::Moved { plan, existing, moved, now } => {
            return asking::moved_half_way(&plan, &existing, &moved, now);
        }
        ActionError::Forbidden(missing) => {
            let text = format!("these credentials can't create {} of the tasks", missing.tasks());
            Failure::new(Kind::NoRights, text).notes("missing", missing.scopes.into_keys())
        }
        ActionError::UnknownAction(_)
        | ActionError::Refused(_)
        | ActionError::Authority(_)
        | ActionError::OtherRequest(_)
        | ActionError::Uncreatable(_)
        | ActionError::Artifacts(_) => Failure::mistake(message),
        ActionError::RunPlan(_) | ActionError::Write { .. } => Failure::other(message),
    }
    .closing(NOTHING)
}
