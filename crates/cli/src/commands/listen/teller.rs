//! What is said of messages: a line for each, and in the end how many there were.

use std::collections::BTreeMap;

use taskgraft_service::pulse::replay::{Line, Outcome};

use crate::exit::Failure;
use crate::output::Out;

/// Says it as it comes, and counts.
pub(super) struct Teller<'a> {
    out: &'a Out,
    json: bool,
    /// How many messages there were of a kind and outcome.
    counts: BTreeMap<(&'static str, Outcome), u64>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(out: &'a Out, json: bool) -> Self {
        Self { out, json, counts: BTreeMap::new() }
    }

    /// Says what there is to say about a message.
    pub(super) fn tell(&mut self, line: &Line) -> Result<(), Failure> {
        *self.counts.entry((line.kind, line.outcome)).or_default() += 1;
        if self.json {
            let mut json = serde_json::to_string(line)?;
            json.push('\n');
            return Ok(self.out.raw(json.as_bytes())?);
        }
        Ok(self.out.say(&sentence(line, self.out))?)
    }

    /// Says to people how many there were, by kind and outcome; `end` is what comes of them.
    pub(super) fn end(self, end: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut columns = self.out.columns();
        for ((kind, outcome), count) in &self.counts {
            columns.row([(*kind).to_owned(), outcome.to_string(), count.to_string()]);
        }
        let all: u64 = self.counts.values().sum();
        let messages = if all == 1 { "message" } else { "messages" };
        Ok(self.out.say(&format!("\n{}{all} {messages}; {end}", columns.text()))?)
    }
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
