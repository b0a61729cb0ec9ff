//! `taskgraft requests`: what was asked of a service, from its journal, whether the service runs or not.

mod act;
mod audit;
mod dead;
mod export;
mod list;
mod log;
mod place;
mod show;

use clap::Subcommand;
use taskgraft_core::ids::RequestId;
use taskgraft_core::time::{self, Millis};
use taskgraft_service::journal::JournalError;

use crate::env::Env;
use crate::exit::{Failure, chain};
use crate::output::Out;
use place::Place;

/// Look at what was asked of a service, and have it tried again or cancelled
#[derive(Debug, clap::Args)]
#[command(
    after_help = "They work on the service's journal, whether the service runs or not: a service that runs takes up \
what is to be tried again or cancelled within a second, another one when it starts. The journal is the one that --journal \
or --config names, else that of `taskgraft up` in its usual directory.

Examples:
  taskgraft requests list --state failed --since 2d --config service.toml
  taskgraft requests show R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft requests log R7Qm2dpaTTqn5JcG_bOa6Q --follow
  taskgraft requests retry R7Qm2dpaTTqn5JcG_bOa6Q --wait 60
  taskgraft requests cancel R7Qm2dpaTTqn5JcG_bOa6Q --with-dependencies
  taskgraft requests dead && taskgraft requests retry --message 17
  taskgraft requests audit --who ann@lander.example --since 30d
  taskgraft requests export > requests.jsonl"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::Args),
    Show(show::Args),
    Log(log::Args),
    Retry(act::Retry),
    Cancel(act::Cancel),
    Export(export::Args),
    Audit(audit::Args),
    Dead(dead::Args),
}

pub(crate) async fn run(args: &Args, env: &Env, out: &Out) -> Result<(), Failure> {
    let journal = args.place.open(env).await?;
    match &args.what {
        What::List(args) => list::run(args, &journal, out).await,
        What::Show(args) => show::run(args, &journal, out).await,
        What::Log(args) => log::run(args, &journal, out).await,
        What::Retry(args) => act::retry(args, &journal, out).await,
        What::Cancel(args) => act::cancel(args, &journal, out).await,
        What::Export(args) => export::run(args, &journal, out).await,
        What::Audit(args) => audit::run(args, &journal, out).await,
        What::Dead(args) => dead::run(args, &journal, out).await,
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => Self::other(chain(&error)),
            JournalError::Unknown(_) => Self::mistake(error.to_string()).note("list them", "taskgraft requests list"),
            JournalError::NoLetter(_) => Self::mistake(error.to_string()).note("list them", "taskgraft requests dead"),
            JournalError::Invalid(_) | JournalError::TooLarge { .. } | JournalError::Cut(_) => {
                Self::mistake(error.to_string())
            }
        }
        .closing("nothing was changed")
    }
}

/// A request's id as somebody typed it; what can't be one is no request.
fn id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "that is no request's id".to_owned())
}

/// A moment: in the words of RFC 3339, or how long ago, as `90s`, `15m`, `2h` or `30d`.
fn moment(text: &str) -> Result<Millis, String> {
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let ago = jiff::SignedDuration::from_secs(number.parse::<u32>().ok().map(i64::from)?.checked_mul(seconds)?);
        jiff::Timestamp::now().checked_sub(ago).ok()
    };
    let moment = ago().map_or_else(|| time::parse(text), Ok);
    moment.map(Millis::from).map_err(|_| "a time as 2h or 3d, or as 2026-11-22T10:00:00Z, is needed".to_owned())
}

/// The beginning of a text, in one line.
fn short(text: &str) -> String {
    const MOST: usize = 120;
    let line: String = text.chars().take(MOST).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_ways() {
        let ago = |text| (jiff::Timestamp::now() - moment(text).unwrap().0).total(jiff::Unit::Second).unwrap().round();
        assert_eq!([ago("90s"), ago("15m"), ago("2h"), ago("30d")], [90.0, 900.0, 7200.0, 2_592_000.0]);
        assert_eq!(moment("2026-11-22T10:00:00Z").unwrap().to_string(), "2026-11-22T10:00:00.000Z");
        for text in ["", "d", "-1d", "1w", "ä", "99999999999d", "yesterday"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
