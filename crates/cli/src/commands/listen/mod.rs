//! `taskgraft listen`.

mod lines;
mod replay;

use std::path::PathBuf;

use crate::env::Env;
use crate::exit::Failure;
use crate::output::Out;

/// Go through recorded pulse messages: what each asks for, whether it is let through, and what would come of it
///
/// Messages are Treeherder's of 2016 and after, in all their spellings: of resultset-runnable-job-actions, resultset-actions
/// and job-actions. What a message asks for is told even if the policy refuses it or its push can't be found. Without a
/// configuration no policy is applied, and without a Taskcluster no push is looked up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft listen --replay messages.jsonl --dry-run
  taskgraft listen --replay - --dry-run --json <messages.jsonl | jq -c 'select(.outcome == \"refused\")'
  taskgraft listen --replay messages.jsonl --dry-run --config service.toml")]
pub(crate) struct Args {
    /// The messages, one a line: bodies, or {exchange, routingKey, payload}; - is standard input
    #[arg(long, value_name = "FILE")]
    replay: PathBuf,
    /// Create and journal nothing
    #[arg(long, required = true)]
    dry_run: bool,
    /// The service's configuration: its projects, their Treeherder and policy
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON object for each message: line, kind, asked, policy, outcome and reason
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    replay::run(args, env, out).await
}
