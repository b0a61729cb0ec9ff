//! `--replay`: recorded messages gone through.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use taskgraft_engine::action::Means;
use taskgraft_service::config::Config;
use taskgraft_service::pulse::MAX_LINE_BYTES;
use taskgraft_service::pulse::replay::{Line, Outcome, Replay, Then};
use taskgraft_service::pulse::resolver::Resolver;

use super::Args;
use super::lines::Lines;
use crate::env::Env;
use crate::exit::Failure;
use crate::output::Out;
use crate::{connect, service};

/// How many messages there were of a kind and outcome.
type Counts = BTreeMap<(&'static str, Outcome), u64>;

pub(super) async fn run(messages: &Path, args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let config = args.config.as_deref().map(service::read).transpose()?;
    let then = match (&config, &args.config) {
        (Some(config), Some(path)) if !args.dry_run => Then::Receive(super::journal(config, path).await?),
        _ => plan(config.as_ref(), env)?,
    };
    let replay = Replay::new(config, then);
    let mut lines = Lines::new(open(messages)?, MAX_LINE_BYTES);
    let failed = |why: io::Error| Failure::mistake(format!("failed to read {}: {why}", messages.display()));
    let mut counts = Counts::new();
    while let Some((number, text)) = lines.next().map_err(failed)? {
        let line = replay.line(number, text).await;
        *counts.entry((line.kind, line.outcome)).or_default() += 1;
        if args.json {
            let mut json = serde_json::to_string(&line)?;
            json.push('\n');
            out.raw(json.as_bytes())?;
        } else {
            out.say(&sentence(&line, out))?;
        }
    }
    if args.json { Ok(()) } else { Ok(out.say(&closing(&counts, args.dry_run, out))?) }
}

/// What looks pushes up and plans, if there is a Taskcluster: the configuration's counts, else the environment's.
fn plan(config: Option<&Config>, env: &Env) -> Result<Then, Failure> {
    let root_url = config.and_then(|config| config.root_url.clone()).or_else(|| env.root_url.clone());
    if root_url.is_none() && env.proxy_url.is_none() {
        return Ok(Then::Nothing);
    }
    let env = Env {
        root_url,
        proxy_url: env.proxy_url.clone(),
        credentials: env.credentials.clone(),
        cache_dir: env.cache_dir.clone(),
        ..Env::default()
    };
    let client = connect::reader(&env)?;
    let none = BTreeMap::new();
    let resolver = Resolver::new(client.clone(), config.map_or(&none, |config| &config.project));
    let resolver = resolver.map_err(|why| Failure::mistake(format!("failed to {why}")))?;
    let means = Means { client, cache: connect::cache(&env)? };
    Ok(Then::Plan(Box::new((resolver, means))))
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let failed = |why: io::Error| Failure::mistake(format!("failed to read {}: {why}", path.display()));
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(Failure::mistake(format!("failed to read {}: it is a directory", path.display())));
    }
    Ok(Box::new(BufReader::new(File::open(path).map_err(failed)?)))
}

/// A message in a line for people.
fn sentence(line: &Line, out: &Out) -> String {
    let paint = out.paint();
    let outcome = match line.outcome {
        Outcome::Planned | Outcome::Understood | Outcome::Received | Outcome::Known => {
            paint.bold(line.outcome.as_str())
        }
        Outcome::Unreadable | Outcome::Unresolved | Outcome::Refused | Outcome::Impossible => line.outcome.to_string(),
    };
    let wanted = line.asked.as_ref().map(|wanted| {
        let asked = &wanted.asked;
        let jobs = match asked.input.get("tasks").and_then(serde_json::Value::as_array) {
            Some(jobs) => format!(" ({} {})", jobs.len(), if jobs.len() == 1 { "job" } else { "jobs" }),
            None => String::new(),
        };
        let on = asked.subject.as_ref().map_or_else(|| asked.push.to_string(), ToString::to_string);
        format!(" {}{jobs} on {on}, for {}:", asked.action, wanted.requester)
    });
    let reason = line.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    format!("{:>5} {} {outcome}{reason}", line.line, wanted.unwrap_or_default().trim_start())
}

/// How many there were, by kind and outcome.
fn closing(counts: &Counts, dry_run: bool, out: &Out) -> String {
    let mut columns = out.columns();
    for ((kind, outcome), count) in counts {
        columns.row([(*kind).to_owned(), outcome.to_string(), count.to_string()]);
    }
    let all: u64 = counts.values().sum();
    let messages = if all == 1 { "message" } else { "messages" };
    let end = if dry_run { "nothing was created" } else { "`taskgraft serve` carries out what was received" };
    format!("\n{}{all} {messages}; {end}", columns.text())
}
