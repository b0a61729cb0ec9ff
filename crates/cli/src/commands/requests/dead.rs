//! `taskgraft requests dead`.

use serde::Serialize;
use taskgraft_service::journal::{Journal, Letter, Page};

use super::short;
use crate::exit::Failure;
use crate::output::{Out, Times};

/// List pulse messages that nobody understood, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft requests dead
  taskgraft requests dead --json | jq -r '.[] | select(.number == 17).body'
  taskgraft requests retry --message 17")]
pub(super) struct Args {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print JSON, with the messages' bodies
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let (mut letters, mut page) = (Vec::new(), Page::first(args.limit));
    // Where they are large, they come in several parts.
    loop {
        let part = journal.dead_letters(page).await?;
        letters.extend(part.items);
        page = Page {
            after: part.next,
            limit: args.limit.saturating_sub(u32::try_from(letters.len()).unwrap_or(u32::MAX)),
        };
        if page.after.is_none() || page.limit == 0 {
            break;
        }
    }
    if args.json {
        return Ok(out.json(&letters.iter().map(Told::of).collect::<Vec<_>>())?);
    }
    if letters.is_empty() {
        return Ok(out.say("all messages were understood")?);
    }
    let (paint, times) = (out.paint(), Times::here());
    let mut columns = out.columns();
    for letter in &letters {
        let stands = match &letter.became {
            Some(request) => format!("request {request}"),
            None if letter.wanted => "to be tried again".to_owned(),
            None => String::new(),
        };
        columns.row([
            letter.n.to_string(),
            paint.dim(&times.ago(letter.at.0)),
            format!("{} {}", letter.message.exchange, letter.message.routing_key),
            stands,
            short(&letter.message.reason),
        ]);
    }
    Ok(out.say(&columns.text())?)
}

/// A message, as data.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    number: i64,
    at: taskgraft_core::time::Millis,
    exchange: &'a str,
    routing_key: &'a str,
    message_id: Option<&'a str>,
    reason: &'a str,
    /// What is no UTF-8 is replaced.
    body: std::borrow::Cow<'a, str>,
    /// Of the whole body, in bytes.
    size: u64,
    to_be_retried: bool,
    request: Option<&'a taskgraft_core::ids::RequestId>,
}

impl<'a> Told<'a> {
    pub(super) fn of(letter: &'a Letter) -> Self {
        Self {
            number: letter.n,
            at: letter.at,
            exchange: &letter.message.exchange,
            routing_key: &letter.message.routing_key,
            message_id: letter.message.message_id.as_deref(),
            reason: &letter.message.reason,
            body: String::from_utf8_lossy(&letter.message.body),
            size: letter.size,
            to_be_retried: letter.wanted,
            request: letter.became.as_ref(),
        }
    }
}
