//! `taskgraft requests export`.

use serde::Serialize;
use taskgraft_core::ids::RequestId;
use taskgraft_service::Request;
use taskgraft_service::journal::{AuditFilter, Audited, Filter, Journal, JournalError, Line, Page, Step};

use super::dead;
use crate::exit::Failure;
use crate::output::Out;

/// How many rows are read at once.
const ROWS: u32 = 200;

/// Print everything about one request, or about all, as JSON lines
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line has a `record`: request, then its step, log and audit records; after all requests the \
audit records that are about none, and the messages that nobody understood.

Examples:
  taskgraft requests export > requests.jsonl
  taskgraft requests export R7Qm2dpaTTqn5JcG_bOa6Q | jq -c 'select(.record == \"step\")'"
)]
pub(super) struct Args {
    /// The request; all if none is named
    #[arg(value_parser = super::id)]
    request: Option<RequestId>,
}

/// A line.
#[derive(Serialize)]
#[serde(tag = "record", rename_all = "lowercase")]
enum Record<'a> {
    Request(&'a Request),
    Step(&'a Step),
    Log {
        request: &'a RequestId,
        #[serde(flatten)]
        line: &'a Line,
    },
    Audit(&'a Audited),
    Message(dead::Told<'a>),
}

impl Record<'_> {
    fn print(&self, out: &Out) -> Result<(), Failure> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(out.raw(line.as_bytes())?)
    }
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    if let Some(id) = &args.request {
        return whole(id, journal, out).await;
    }
    let mut page = Page::first(ROWS);
    loop {
        let part = journal.list(Filter::default(), page).await?;
        for request in &part.items {
            whole(&request.id, journal, out).await?;
        }
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    audit(AuditFilter::default(), |entry| entry.entry.request.is_none(), journal, out).await?;
    let mut page = Page::first(ROWS);
    loop {
        let part = journal.dead_letters(page).await?;
        for letter in &part.items {
            Record::Message(dead::Told::of(letter)).print(out)?;
        }
        page.after = part.next;
        if page.after.is_none() {
            return Ok(());
        }
    }
}

async fn whole(id: &RequestId, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let request = journal.get(id).await?.ok_or_else(|| JournalError::Unknown(id.clone()))?;
    Record::Request(&request).print(out)?;
    for step in &journal.steps_of(id).await? {
        Record::Step(step).print(out)?;
    }
    let mut page = Page::first(ROWS);
    loop {
        let part = journal.log_of(id, page).await?;
        for line in &part.items {
            Record::Log { request: id, line }.print(out)?;
        }
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    audit(AuditFilter { request: Some(id.clone()), ..AuditFilter::default() }, |_| true, journal, out).await
}

async fn audit(
    filter: AuditFilter,
    which: impl Fn(&Audited) -> bool,
    journal: &Journal,
    out: &Out,
) -> Result<(), Failure> {
    let mut page = Page::first(ROWS);
    loop {
        let part = journal.audited(filter.clone(), page).await?;
        for entry in part.items.iter().filter(|entry| which(entry)) {
            Record::Audit(entry).print(out)?;
        }
        page.after = part.next;
        if page.after.is_none() {
            return Ok(());
        }
    }
}
