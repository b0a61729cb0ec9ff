//! `taskgraft plan`.

use std::path::PathBuf;

use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Plan;
use taskgraft_engine::{Artifacts, Lookups, Push, PushRef};

use crate::asking::{self, Wishes};
use crate::commands::stored_graph::{self, GraphArgs, Manner};
use crate::env::Env;
use crate::exit::Failure;
use crate::output::{self, Out};
use crate::progress::Busy;
use crate::{connect, push};

/// Show what adding jobs to a push would take, and why; nothing is created
///
/// With --graph it optimises a stored graph instead, as a decision task does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft plan test-linux64-unit-3 'package-*' --decision-id lander@a1b2c3d
  taskgraft plan test-unit-3 --times 5 --decision-id TADoGLV5QUWAYivg1ReyTw --json
  taskgraft plan test-unit-3 --artifacts ./artifacts --offline
  taskgraft plan --graph full-task-graph.json --parameters parameters.yml --targets targets.json \\
      --decision-id TADoGLV5QUWAYivg1ReyTw --out optimized/ --policy reference")]
pub(crate) struct Args {
    #[command(flatten)]
    wishes: Wishes,
    /// The push: its decision task's id, the URL of a task or group, or PROJECT@REVISION
    #[arg(long, value_name = "PUSH")]
    decision_id: Option<String>,
    /// Read the decision's artifacts from this directory; without --decision-id planned ids are null
    #[arg(long, value_name = "DIR", conflicts_with = "graph")]
    artifacts: Option<PathBuf>,
    /// Look nothing up: everything counts as not found
    #[arg(long)]
    offline: bool,
    /// The request's id, from which ids of new tasks follow
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Print the plan as JSON (plan.json)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    graph: GraphArgs,
}

pub(crate) async fn run(args: Args, env: &Env, out: &Out) -> Result<(), Failure> {
    if args.graph.graph.is_some() {
        let decision = args.decision_id.as_deref().map(id_only).transpose()?;
        let manner = Manner { decision, rules: args.wishes.policy, offline: args.offline, json: args.json };
        return stored_graph::run(args.graph, manner, env, out).await;
    }
    let busy = Busy::with(out, "reading the push");
    let (push, lookups) = sources(&args, env).await?;
    let push = args.wishes.configured(push)?;
    drop(busy);
    let id = asking::request_id(args.request_id.as_deref(), None)?;
    let request = args.wishes.request(&push, id)?;
    let busy = Busy::with(out, "looking up what ran already");
    let planned = asking::plan(&lookups, &push, &request, args.wishes.policy.into()).await?;
    drop(busy);
    // A plan on facts of the present can be carried out as it is, by its hash.
    let creatable = !args.offline && args.artifacts.is_none() && !planned.plan.tasks.is_empty();
    if creatable {
        keep(&planned.plan, env)?;
    }
    if args.json {
        return Ok(out.raw(planned.plan.to_json().as_bytes())?);
    }
    out.say(&output::plan::text(&asking::heading(&push), &planned.plan, planned.facts.now, out))?;
    asking::tell_notices(&planned, out);
    Ok(out.say(&closing(&planned.plan, creatable))?)
}

/// Stores a plan for `add --plan`, unless its request was begun already: that plan is not to be lost.
fn keep(plan: &Plan, env: &Env) -> Result<(), Failure> {
    let plans = asking::plans(env)?;
    if plans.begun(&plan.request.id)?.is_none() {
        plans.save(plan)?;
    }
    Ok(())
}

fn closing(plan: &Plan, creatable: bool) -> String {
    if creatable {
        format!("Nothing was created. Create it with: taskgraft add --plan {}", asking::short_hash(plan))
    } else {
        "Nothing was created.".to_owned()
    }
}

async fn sources(args: &Args, env: &Env) -> Result<(Push, Lookups), Failure> {
    match (&args.artifacts, &args.decision_id) {
        (None, None) => Err(Failure::mistake("which push? neither --decision-id nor --artifacts was given")
            .note("say which", "--decision-id lander@a1b2c3d")),
        (None, Some(decision)) => {
            let client = connect::reader(env)?;
            let (push, artifacts) = push::load(args.wishes.policy.into(), &client, env, decision).await?;
            Ok((push, if args.offline { connect::offline(env) } else { Lookups::Online(client, artifacts) }))
        }
        (Some(dir), decision) => {
            let directory = Artifacts::Directory(dir.clone());
            let (lookups, decision) = if args.offline {
                (connect::offline(env), decision.as_deref().map(id_only).transpose()?)
            } else {
                let client = connect::reader(env)?;
                let decision = match decision {
                    Some(text) => Some(push::resolve(&client, text).await?),
                    None => None,
                };
                let artifacts = connect::artifacts(&client, env)?;
                (Lookups::Online(client, artifacts), decision)
            };
            Ok((Push::offline(&directory, decision).await?, lookups))
        }
    }
}

/// A push that can be named without asking the index.
fn id_only(text: &str) -> Result<TaskId, Failure> {
    match push::parse(text)? {
        PushRef::Task(id) | PushRef::Member(id) => Ok(id),
        PushRef::Revision { .. } => {
            Err(Failure::mistake(format!("`{text}` can't be looked up here")).note("use", "the decision task's id"))
        }
    }
}
