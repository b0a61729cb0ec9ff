//! `taskgraft test-action-callback`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use taskgraft_client::Client;
use taskgraft_core::action::schema::MAX_INPUT_BYTES;
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::to_string_sorted;
use taskgraft_core::plan::{Care, definitions};
use taskgraft_engine::action::{self, ActionAsk, Means, Terms};
use taskgraft_engine::{ParametersRef, Project, Push, read_yaml};

use crate::asking::{self, Rules};
use crate::env::Env;
use crate::exit::{Failure, NOTHING};
use crate::output::Out;
use crate::{acting, connect};

/// The most bytes of an input file.
const MAX_INPUT: u64 = MAX_INPUT_BYTES as u64;

/// Show what an action would do, as the reference's command of this name does: the tasks, and nothing is created
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft test-action-callback --task-group-id TADoGLV5QUWAYivg1ReyTw --input input.yml add-new-jobs
  taskgraft test-action-callback -p parameters.yml --task-id dSlITZ4yQgmvxxAi4A8fHQ rerun")]
pub(crate) struct Args {
    /// Where the project's config.yml is, which names its trust domain [default: taskcluster; without one the decision
    /// task's schedulerId names it]
    #[arg(short, long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The push's parameters, where no group is named: a YAML or JSON file, task-id=ID, project=NAME or index=PATH
    #[arg(short, long, value_name = "PARAMETERS", required_unless_present = "task_group_id")]
    parameters: Option<ParametersRef>,
    /// The task that the action is for
    #[arg(long, value_name = "ID")]
    task_id: Option<TaskId>,
    /// The group that the action is for
    #[arg(long, value_name = "ID")]
    task_group_id: Option<TaskId>,
    /// The action's input: a YAML or JSON file
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The most tasks that the action may create
    #[arg(long, value_name = "N", default_value_t = taskgraft_core::plan::MAX_NEW)]
    max_new_tasks: usize,
    /// Which rules the plan follows
    #[arg(long, value_name = "RULES", value_enum, default_value_t)]
    policy: Rules,
    /// The action's callback
    callback: String,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::reader(env)?;
    let cache = connect::cache(env)?;
    let project = acting::project(args.root.as_deref())?;
    let input = args.input.as_deref().map(read_input).transpose()?.unwrap_or_default();
    let group = group(&args, &client, project.as_ref(), env).await?;
    let ask = ActionAsk { group, task: args.task_id, input, callback: args.callback };
    let id = asking::request_id(None, env.task_id.as_deref())?;
    let terms = Terms { project, max_new: args.max_new_tasks, ..Terms::by_hand(args.policy.into(), id) };
    let means = Means { client, cache };
    let plan = action::rehearse(&means, &ask, &terms, |line| out.note(line)).await;
    let plan = plan.map_err(|error| acting::explain(error, None))?;
    for part in plan.parts() {
        for tend in &part.tend {
            let verb = match tend.care {
                Care::Rerun => "rerun",
                Care::Cancel => "cancelled",
            };
            out.note(&format!("would have {verb} {} {}", tend.label.as_deref().unwrap_or_default(), tend.task_id));
        }
        let made = definitions(&part, means.client.clock().now());
        for (task, definition) in made.map_err(|why| Failure::mistake(why.to_string()).closing(NOTHING))? {
            out.raw(format!("{}\n", to_string_sorted(&json!([task, definition]))).as_bytes())?;
        }
    }
    Ok(())
}

/// The group that is named; else the one of the push that the parameters are of.
async fn group(args: &Args, client: &Client, project: Option<&Project>, env: &Env) -> Result<TaskId, Failure> {
    if let Some(group) = args.task_group_id {
        return Ok(group);
    }
    let Some(reference) = &args.parameters else {
        return Err(Failure::mistake("which push? Neither --task-group-id nor --parameters is given"));
    };
    let Some(project) = project else {
        return Err(Failure::mistake("which push? Without a checkout's config.yml the parameters don't tell")
            .note("name it", "--task-group-id ID"));
    };
    let artifacts = connect::artifacts(client, env)?;
    let parameters = reference.fetch(client, &artifacts, &project.trust_domain).await?;
    Ok(Push::find(client, &parameters, &project.trust_domain).await?)
}

fn read_input(path: &Path) -> Result<Value, Failure> {
    let failed = |why: String| Failure::mistake(format!("failed to read {}: {why}", path.display())).closing(NOTHING);
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_INPUT + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_INPUT {
        return Err(failed("it is too long".to_owned()));
    }
    read_yaml(&text).map_err(|error| failed(error.to_string()))
}
