//! `--replay`: recorded messages gone through.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use taskgraft_engine::action::Means;
use taskgraft_service::config::Config;
use taskgraft_service::pulse::MAX_LINE_BYTES;
use taskgraft_service::pulse::replay::{Replay, Then};
use taskgraft_service::pulse::resolver::Resolver;

use super::Args;
use super::lines::Lines;
use super::teller::Teller;
use crate::env::Env;
use crate::exit::{Failure, NOTHING};
use crate::output::Out;
use crate::{connect, service};

pub(super) async fn run(messages: &Path, args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let config = args.config.as_deref().map(service::read).transpose()?;
    let then = match (&config, &args.config) {
        (Some(config), Some(path)) if !args.dry_run => Then::Receive(super::journal(config, path).await?),
        _ => plan(config.as_ref(), env)?,
    };
    let replay = Replay::new(config, then);
    let mut lines = Lines::new(open(messages)?, MAX_LINE_BYTES);
    let failed = |why: io::Error| Failure::mistake(format!("failed to read {}: {why}", messages.display()));
    let mut teller = Teller::new(out, args.json);
    while let Some((number, text)) = lines.next().map_err(failed)? {
        teller.tell(&replay.line(number, text).await)?;
    }
    teller.end(if args.dry_run { NOTHING } else { "`taskgraft serve` carries out what was received" })
}

/// What looks pushes up and plans, if there is a Taskcluster: the configuration's counts, else the environment's.
pub(super) fn plan(config: Option<&Config>, env: &Env) -> Result<Then, Failure> {
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
