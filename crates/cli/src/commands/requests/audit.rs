//! `taskgraft requests audit`.

use taskgraft_core::ids::RequestId;
use taskgraft_core::time::Millis;
use taskgraft_service::journal::{AuditFilter, Audited, Journal, Page};

use super::{moment, short};
use crate::exit::Failure;
use crate::output::{Out, Times};

/// Print the audit log: who wanted what, why it was allowed or refused, and what came of it; the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  taskgraft requests audit
  taskgraft requests audit --who ann@lander.example --since 30d
  taskgraft requests audit --who project/lander/ann
  taskgraft requests audit --outcome refused --json | jq -r '.[].why' | sort | uniq -c")]
pub(super) struct Args {
    /// Only what is about this request
    #[arg(long, value_parser = super::id)]
    request: Option<RequestId>,
    /// Only what this one wanted: the whole of a client id, or of whom a message names
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only with this outcome, as refused or allowed
    #[arg(long, value_name = "WORD")]
    outcome: Option<String>,
    /// Only since then: 2h, 3d, or a date and time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Millis>,
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, journal: &Journal, out: &Out) -> Result<(), Failure> {
    let filter = AuditFilter {
        request: args.request.clone(),
        who: args.who.clone(),
        outcome: args.outcome.clone(),
        since: args.since,
    };
    let mut entries = Vec::new();
    let mut page = Page::first(args.limit);
    loop {
        let part = journal.audited(filter.clone(), page).await?;
        entries.extend(part.items);
        page.after = part.next;
        page.limit = args.limit.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        if page.after.is_none() || page.limit == 0 {
            break;
        }
    }
    if args.json {
        return Ok(out.json(&entries)?);
    }
    if entries.is_empty() {
        out.note("the audit log has no such entries");
        return Ok(());
    }
    show(&entries, out)
}

fn show(entries: &[Audited], out: &Out) -> Result<(), Failure> {
    let (paint, times) = (out.paint(), Times::here());
    let mut columns = out.columns();
    for Audited { at, entry, .. } in entries {
        let why = if entry.why.is_empty() { String::new() } else { format!(" ({})", entry.why) };
        columns.row([
            paint.dim(&times.minute(at.0)),
            entry.outcome.clone(),
            entry.who.clone(),
            entry.request.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            format!("{}{why}", short(&entry.what)),
        ]);
    }
    Ok(out.say(&columns.text())?)
}
