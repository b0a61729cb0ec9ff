//! `taskgraft requests log`.

use std::time::Duration;

use serde_json::{Map, Value};
use taskgraft_core::ids::RequestId;
use taskgraft_service::journal::{Journal, JournalError, Line, Page};

use crate::exit::Failure;
use crate::output::Out;

/// How many lines are read at once.
const LINES: u32 = 500;
/// The longest pause between two looks, and how long after a request's end its last lines may come.
const LOOK: Duration = Duration::from_millis(500);
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
    let mut over = false;
    loop {
        let request = journal.get(&args.request).await?;
        let ended = request.ok_or_else(|| JournalError::Unknown(args.request.clone()))?.state.is_terminal();
        loop {
            let part = journal.log_of(&args.request, page).await?;
            for line in &part.items {
                out.say(&if args.json { line.text.clone() } else { readable(line, out) })?;
                page.after = Some(line.n);
            }
            if part.next.is_none() {
                break;
            }
        }
        if !args.follow || over {
            return Ok(());
        }
        // Once more after its end: the last line is written behind the last step.
        over = ended;
        if ended {
            tokio::time::sleep(LOOK).await;
        } else {
            // Lines come with steps, and between them.
            let _ = tokio::time::timeout(LOOK, steps.changed()).await;
        }
    }
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
