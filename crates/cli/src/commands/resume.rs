//! `taskgraft resume`.

use std::collections::BTreeSet;

use taskgraft_client::Client;
use taskgraft_core::frontier::{Frontier, Limits};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::Plan;
use taskgraft_engine::recheck::{existing, is_open, recheck};
use taskgraft_engine::{Lookups, Plans};

use crate::asking;
use crate::creating::{self, After};
use crate::env::Env;
use crate::exit::{Failure, NOTHING_MORE};
use crate::output::Out;
use crate::{connect, push};

/// Finish a request that stopped half way: creates what is missing, nothing twice
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft resume R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft resume nightly-42 --wait")]
pub(crate) struct Args {
    /// The request, as `add` has printed it
    request: String,
    /// Follow the new jobs to their end; exit code 6 if not all of them become green
    #[arg(long)]
    wait: bool,
    /// Print what became of it as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let client = connect::writer(env)?;
    let plans = asking::plans(env)?;
    let unknown = || {
        Failure::mistake(format!("no request `{}` is known on this machine", args.request))
            .note("or begin anew", format!("taskgraft add LABEL… --request-id {}", args.request))
    };
    let id: RequestId = args.request.parse().map_err(|_| unknown())?;
    let plan = plans.begun(&id)?.ok_or_else(unknown)?;
    finish(&client, &plans, plan, After { wait: args.wait, json: args.json }, env, out).await
}

/// Carries out what is left of a stored plan, if the facts allow it still.
pub(crate) async fn finish(
    client: &Client,
    plans: &Plans,
    plan: Plan,
    after: After,
    env: &Env,
    out: &Out,
) -> Result<(), Failure> {
    let existing = existing(client, &plan).await?;
    if is_open(&plan, &existing) {
        check(client, &plan, &existing, env).await?;
    }
    let frontier = Frontier::resume(plan, Limits::default())
        .map_err(|why| Failure::mistake(format!("failed to carry out the plan: {why}")))?;
    plans.note(&frontier.report())?;
    creating::carry_out(client, plans, frontier, after, out).await
}

/// Fails if a verdict on something that is still to be created would be another now.
async fn check(client: &Client, plan: &Plan, existing: &BTreeSet<TaskId>, env: &Env) -> Result<(), Failure> {
    let (push, artifacts) = push::of_plan(client, env, plan).await?;
    let lookups = Lookups::Online(client.clone(), artifacts.clone());
    let rechecked = recheck(&lookups, &push, plan, existing).await;
    let (moved, now) = rechecked.map_err(|error| asking::explain(error, &push).closing(NOTHING_MORE))?;
    if !moved.is_empty() {
        return Err(asking::moved_half_way(plan, existing, &moved, now));
    }
    asking::check_scopes(client, &artifacts, &push, plan, env).await
}
