//! `taskgraft requests list`.

use taskgraft_core::time::Millis;
use taskgraft_engine::PushRef;
use taskgraft_service::journal::{Filter, Journal, Page};
use taskgraft_service::{Door, Request, State};

use super::{moment, short};
use crate::exit::Failure;
use crate::output::{Out, Times};

/// List requests, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft requests list
  taskgraft requests list --state failed --project lander --since 2d
  taskgraft requests list --push lander@a1b2c3d4e5f6
  taskgraft requests list --key 7c9e6679-7425-40de-944b-e07fc1f90ae7 --json
  taskgraft requests list --json | jq -r '.[] | select(.state == \"refused\") | .error'")]
pub(super) struct Args {
    /// Only those in this state: received, ready, asked, cancelling, done, failed, refused or cancelled
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Only those that came by this door: pulse or http
    #[arg(long, value_parser = door)]
    door: Option<Door>,
    /// Only those for pushes of this project
    #[arg(long)]
    project: Option<String>,
    /// Only those of this asker: a client id, or whom a message names
    #[arg(long, value_name = "NAME")]
    asker: Option<String>,
    /// Only those on this push, as far as the journal knows: a decision task's id, PROJECT@REVISION (its beginning is enough),
    /// or the URL of a task or group
    #[arg(long)]
    push: Option<PushRef>,
    /// Only those with this idempotency key, or made by a message with this AMQP message id; as `requests show` has it, too
    #[arg(long)]
    key: Option<String>,
    /// Only those received since then: 2h, 3d, or a date and time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Millis>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let filter = Filter {
        state: args.state,
        door: args.door,
        project: args.project.clone(),
        asker: args.asker.clone(),
        push: args.push.clone(),
        key: args.key.clone(),
        since: args.since,
    };
    let mut requests = Vec::new();
    let mut page = Page::first(args.limit);
    loop {
        let part = journal.list(filter.clone(), page).await?;
        requests.extend(part.items);
        page.after = part.next;
        page.limit = args.limit.saturating_sub(u32::try_from(requests.len()).unwrap_or(u32::MAX));
        if page.after.is_none() || page.limit == 0 {
            break;
        }
    }
    if args.json {
        return Ok(out.json(&requests)?);
    }
    if requests.is_empty() {
        return Ok(out.say("no such requests")?);
    }
    let (paint, times) = (out.paint(), Times::here());
    let mut columns = out.columns();
    for request in &requests {
        columns.row([
            request.id.to_string(),
            request.state.to_string(),
            paint.dim(&times.ago(request.received.0)),
            request.asker.name.clone(),
            told(request),
        ]);
    }
    out.say(&columns.text())?;
    if page.after.is_some() {
        out.note(&format!("there are more than these {}: --limit", requests.len()));
    }
    Ok(())
}

/// What was asked for, and why it came to nothing, as far as both fit into a line.
fn told(request: &Request) -> String {
    let asked = short(&request.asked.to_string());
    match &request.error {
        Some(why) if matches!(request.state, State::Refused | State::Failed) => format!("{asked}: {}", short(why)),
        Some(_) | None => asked,
    }
}

fn state(word: &str) -> Result<State, String> {
    State::named(word).ok_or_else(|| format!("it is one of {}", State::ALL.map(State::as_str).join(", ")))
}

fn door(word: &str) -> Result<Door, String> {
    Door::named(word).ok_or_else(|| "it is pulse or http".to_owned())
}
