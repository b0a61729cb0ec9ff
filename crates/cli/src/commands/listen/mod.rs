//! `taskgraft listen`.

mod dry;
mod lines;
mod live;
mod replay;
mod teller;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgGroup;
use taskgraft_client::SystemClock;
use taskgraft_service::config::Config;
use taskgraft_service::journal::{Journal, Settings};

use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use crate::service;

/// Take what people click out of pulse's queues into the journal, or tell what would come of them
///
/// Messages are Treeherder's of 2016 and after, in all their spellings: of resultset-runnable-job-actions, resultset-actions
/// and job-actions. Each is acknowledged once the journal holds it; `taskgraft serve` carries it out, and listens by itself
/// where its configuration has a table `pulse`. The user's password is in TASKGRAFT_PULSE_PASSWORD.
///
/// With --dry-run, the messages that come are told and left to whoever listens: they are heard beside it, in a queue of their
/// own that is gone when the command ends. With --replay, recorded messages are told.
///
/// What a message asks for is told even if the policy refuses it or its push can't be found. Without a configuration no policy
/// is applied, and without a Taskcluster no push is looked up.
///
/// Without --dry-run replayed messages go into the configuration's journal as if they had been delivered, and
/// `taskgraft serve` carries them out. Equal messages are one request, as they are when they are delivered.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("telling").args(["replay", "dry_run"]).multiple(true))]
#[command(after_help = "Examples:
  taskgraft listen --config service.toml
  taskgraft listen --config service.toml --dry-run
  taskgraft listen --replay messages.jsonl --dry-run
  taskgraft listen --replay - --dry-run --json <messages.jsonl | jq -c 'select(.outcome == \"refused\")'
  taskgraft listen --replay messages.jsonl --dry-run --config service.toml
  taskgraft listen --replay messages.jsonl --config service.toml")]
pub(crate) struct Args {
    /// Messages to go through, one a line: bodies, or {exchange, routingKey, payload}; - is standard input
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Tell what would come of each message; create and journal nothing
    #[arg(long)]
    dry_run: bool,
    /// The service's configuration: its broker and journal; its projects, their Treeherder and policy
    #[arg(long, value_name = "FILE", required_unless_present_all = ["replay", "dry_run"])]
    config: Option<PathBuf>,
    /// Print a JSON object for each message: line, kind, asked, policy, outcome and reason
    #[arg(long, requires = "telling")]
    json: bool,
}

impl Args {
    /// Whether it listens, rather than telling.
    pub(super) fn is_live(&self) -> bool {
        self.replay.is_none() && !self.dry_run
    }
}

pub(crate) async fn run(args: &Args, verbose: u8, env: &Env, out: &Out) -> Result<(), Failure> {
    match (&args.replay, &args.config) {
        (Some(messages), _) => replay::run(messages, args, env, out).await,
        (None, Some(config)) if args.dry_run => dry::run(config, args.json, env, out).await,
        (None, Some(config)) => live::run(config, verbose, env, out).await,
        (None, None) => Err(Failure::mistake("neither --config nor --replay says what to listen to")),
    }
}

/// The journal that the configuration at `path` names.
async fn journal(config: &Config, path: &Path) -> Result<Journal, Failure> {
    let file = service::journal(config, path)?;
    let settings = Settings { keep: (&config.keep).into(), ..Settings::default() };
    let journal = Journal::open(&file, settings, Arc::new(SystemClock)).await;
    journal.map_err(|why| Failure::other(format!("failed to open {}: {}", file.display(), chain(&why))))
}
