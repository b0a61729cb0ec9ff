//! A plan for people: what, why, and what it costs. The words are core's; here they get their places.

use jiff::Timestamp;
use taskgraft_core::plan::{Line, Plan};

use super::{Out, Paint};

/// At most so many tasks that are not needed are named.
const NOT_NEEDED: usize = 8;

/// The push that a plan is for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heading {
    /// Such as `lander@a1b2c3d`.
    pub(crate) name: Option<String>,
    /// The first line of its description.
    pub(crate) message: Option<String>,
    /// How many labels the graph has.
    pub(crate) labels: usize,
    /// How many of them its decision task scheduled.
    pub(crate) scheduled: usize,
}

/// All of a plan: heading, verdicts and cost.
pub(crate) fn text(heading: &Heading, plan: &Plan, now: Timestamp, out: &Out) -> String {
    let paint = out.paint();
    let words = plan.words(now);
    let mut text = format!("{}\n\n", head(heading, plan, paint));
    let mut columns = out.columns();
    let mut section = |title: &str, about: &str, lines: &[Line], most: usize| {
        if lines.is_empty() {
            return;
        }
        columns.row([format!("{title}  {}", lines.len()), about.to_owned()]);
        for line in lines.iter().take(most) {
            columns.row([format!("  {}", line.label), line.why.clone()]);
        }
        if lines.len() > most {
            columns.row([format!("  and {} more", lines.len() - most), String::new()]);
        }
    };
    section(&paint.good("New"), &paint.dim("why"), &words.new, usize::MAX);
    section(&paint.bold("Reused"), "", &words.reused, usize::MAX);
    section(&paint.dim("Not needed"), "", &words.removed, NOT_NEEDED);
    section(&paint.bad("Can't be had"), "", &words.refused, usize::MAX);
    text.push_str(&columns.text());
    for warning in &words.warnings {
        text.push_str(&format!("{} {warning}\n", paint.busy("note:")));
    }
    text.push_str(&format!("\n{}\n", words.summary));
    text
}

fn head(heading: &Heading, plan: &Plan, paint: Paint) -> String {
    let mut parts = Vec::new();
    parts.extend(heading.name.as_deref().map(|name| paint.bold(name)));
    parts.extend(heading.message.as_deref().map(|message| format!("\"{message}\"")));
    parts.extend(plan.request.group.map(|group| format!("group {group}")));
    parts.push(format!("{} of {} jobs scheduled", heading.scheduled, heading.labels));
    parts.join("  ")
}
