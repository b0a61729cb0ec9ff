//! `taskgraft action-callback`.

use std::path::PathBuf;

use taskgraft_engine::action::{self, ActionAsk, Means, Terms, With};

use crate::acting::{self, OUT};
use crate::asking::{self, Rules};
use crate::env::Env;
use crate::exit::{Failure, NOTHING};
use crate::output::Out;
use crate::signals::Stop;
use crate::{connect, creating};

/// Perform the action that an action task was made for, in place of the reference's command of this name
///
/// What is asked is in the environment, as in-tree .taskcluster.yml files set it: ACTION_TASK_GROUP_ID, ACTION_TASK_ID,
/// ACTION_INPUT and ACTION_CALLBACK. Inside a task (TASK_ID is set) it acts with the task's own credentials, keeps its
/// plan as an artifact, and finishes what an earlier run of the task began. Task graph, ids, plan and report are written
/// into artifacts/.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft action-callback
  taskgraft action-callback --root ci/taskgraph --policy reference")]
pub(crate) struct Args {
    /// Where the project's config.yml is, which names its trust domain [default: taskcluster; without one the decision
    /// task's schedulerId names it]
    #[arg(short, long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The most tasks that the action may create
    #[arg(long, value_name = "N", default_value_t = taskgraft_core::plan::MAX_NEW)]
    max_new_tasks: usize,
    /// Name the request: the same name creates nothing twice [default: $TASK_ID, else a fresh one]
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Which rules the plan follows
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    policy: Rules,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let ask = ActionAsk::from_env(|name| env.action.get(name).cloned())
        .map_err(|why| Failure::mistake(why.to_string()).closing(NOTHING))?;
    let client = connect::writer(env)?;
    let cache = connect::cache(env)?;
    let own = acting::own_run(&client, env).await?;
    let id = asking::request_id(args.request_id.as_deref(), env.task_id.as_deref())?;
    let terms = Terms {
        action_task: own.map(|own| own.task),
        max_new: args.max_new_tasks,
        project: acting::project(args.root.as_deref())?,
        ..Terms::by_hand(args.policy.into(), id)
    };
    let with = With { terms, keep: acting::keep(own, env)?, out: PathBuf::from(OUT) };
    let mut stop = Stop::listen()?;
    let mut broken = Ok(());
    let log = |line: &str| {
        if broken.is_ok() {
            broken = out.say(line);
        }
    };
    let performed = action::perform(&Means { client, cache }, &ask, &with, stop.asked(), log).await;
    let report = performed.map_err(|error| acting::explain(error, None))?;
    broken?;
    report.requests.iter().try_for_each(creating::judge)
}
