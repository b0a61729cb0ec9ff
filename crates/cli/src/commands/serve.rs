//! `taskgraft serve`.

use std::path::PathBuf;

use taskgraft_service::config::Config;

use crate::env::Env;
use crate::exit::Failure;
use crate::output::Out;
use crate::service;
use crate::signals::Stop;

/// Serve requests over HTTP and from pulse, until Ctrl-C
///
/// Each request is written down before anything is done, carried out by the push's own action, and kept with what became of
/// it. docs/reference/service.md describes the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft serve --config service.toml --check
  taskgraft serve --config service.toml")]
pub(crate) struct Args {
    /// The configuration: a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Only say what was understood, with all defaults, or all that is wrong; what the environment lacks is a note
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(args: Args, verbose: u8, env: &Env, out: &Out) -> Result<(), Failure> {
    let config = service::read(&args.config)?;
    service::tell_exposed(&config, out);
    let journal = service::checked(&config, &args.config, env)?;
    if args.check {
        return check(&config, env, out);
    }
    let keeper = service::start_log(&config, verbose, true, env);
    // Before anything starts: a signal that comes meanwhile is kept.
    let mut stop = Stop::listen()?;
    let parts = service::parts(config, journal, keeper, env)?;
    let root_url = parts.reader.config().root_url.clone();
    let mut service = service::start(parts).await?;
    out.note(&format!("serving {root_url} on http://{}; Ctrl-C stops it", service.address()));
    let ended = tokio::select! {
        () = stop.asked() => Ok(()),
        failure = service::ended(&mut service) => Err(failure),
    };
    out.note("stopping; once more to end at once");
    tokio::select! {
        () = service.stop() => ended,
        () = stop.asked() => ended,
    }
}

fn check(config: &Config, env: &Env, out: &Out) -> Result<(), Failure> {
    let text = config.to_toml().map_err(|why| Failure::other(format!("failed to write TOML: {why}")))?;
    out.raw(text.as_bytes())?;
    for missing in service::missing(config, env) {
        out.note(&format!("note: {missing}"));
    }
    Ok(())
}
