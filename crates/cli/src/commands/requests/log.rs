//! `taskgraft requests log`.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use taskgraft_core::ids::RequestId;
use taskgraft_service::journal::{Journal, JournalError, Line, Page};

use crate::exit::Failure;
use crate::output::Out;

/// How many lines are read at once.
const LINES: u32 = 500;
/// The longest pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long after a request's end its last line may come: it is written behind the last step.
const LAST: Duration = Duration::from_secs(10);
/// What each line says of its request, and a person who asked for it knows.
const KNOWN: [&str; 7] = ["timestamp", "level", "message", "request", "asker", "decision", "task"];

/// Show what was logged about a request, from the door it came through to its end
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft requests log R7Qm2dpaTTqn5JcG_bOa6Q
  taskgraft requests log R7Qm2dpaTTqn5JcG_bOa6Q --follow
  taskgraft requests log R7Qm2dpaTTqn5JcG_bOa6Q --json | jq -r .message")]
pub(super) struct Args {
    /// The request
    #[arg(value_parser = super::id)]
    request: RequestId,
    /// Go on until the request is at its end
    #[arg(long, short)]
    follow: bool,
    /// Print the lines as they are kept: an object each, with request, asker, decision and task
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let mut page = Page::first(LINES);
    let mut steps = journal.subscribe();
    let mut newest = None;
    let mut ended_at = None;
    loop {
        let request = journal.get(&args.request).await?;
        let request = request.ok_or_else(|| JournalError::Unknown(args.request.clone()))?;
        loop {
            let part = journal.log_of(&args.request, page).await?;
            for line in &part.items {
                show(line, args.json, out)?;
                page.after = Some(line.n);
                newest = newest.max(Some(line.at.0));
            }
            if part.next.is_none() {
                break;
            }
        }
        if !args.follow {
            return Ok(());
        }
        if request.state.is_terminal() {
            let ended = request.changed.0;
            let since = *ended_at.get_or_insert_with(|| {
                out.note(&format!("request {} is {}", request.id, request.state));
                Instant::now()
            });
            // A service that ends a request says so afterwards; nobody does where it was ended by hand.
            let late = since.elapsed() > LAST || Timestamp::now().duration_since(ended).unsigned_abs() > LAST;
            if late || newest > Some(ended) {
                return Ok(());
            }
        } else {
            ended_at = None;
        }
        // Lines come with steps, and between them.
        let _ = tokio::time::timeout(LOOK, steps.changed()).await;
    }
}

fn show(line: &Line, json: bool, out: &Out) -> Result<(), Failure> {
    if json {
        // As it is kept: what a terminal would take amiss is escaped in JSON.
        return Ok(out.raw(format!("{}\n", line.text).as_bytes())?);
    }
    Ok(out.say(&readable(line, out))?)
}

/// When, how bad, what, and what else it says.
fn readable(line: &Line, out: &Out) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(&line.text) else { return line.text.clone() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (at, level, message) = (out.paint().dim(&line.at.to_string()), text("level"), text("message"));
    [format!("{at} {level:5} {message}"), others(&fields)].join("  ").trim_end().to_owned()
}

fn others(fields: &Map<String, Value>) -> String {
    let other = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), |text| text.replace(char::is_control, " "));
        format!("{name}={text}")
    };
    let others = fields.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str())).map(other);
    others.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_every_line_says_is_not_said_again() {
        let fields = json!({"message": "m", "level": "INFO", "request": "R", "task": "T", "jobs": 2, "why": "a\nb"});
        assert_eq!(others(fields.as_object().unwrap()), "jobs=2 why=a b");
    }
}
