//! What people read of a plan. One place for these words, so that the command line, logs and artifacts agree.

use jiff::{SignedDuration, Timestamp};

use super::facts::{SourceKind, StatusFact};
use super::model::{Plan, Warning};
use super::task::Role;
use super::verdict::{Origin, PassedOver, Reuse, Unneeded, Unusable, Verdict, Why};
use crate::ids::TaskId;
use crate::printable::in_a_line;
use crate::state::TaskState;
use crate::time::{Millis, format_ms};

/// A label and why it has its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The label.
    pub label: String,
    /// A fragment such as `needed by test-1; not on this push yet`.
    pub why: String,
}

/// A plan in words. Each list is in the plan's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Labels to create.
    pub new: Vec<Line>,
    /// Labels that an earlier task stands in for.
    pub reused: Vec<Line>,
    /// Labels that are not needed.
    pub removed: Vec<Line>,
    /// Labels that can't be had.
    pub refused: Vec<Line>,
    /// Warnings, one a line.
    pub warnings: Vec<String>,
    /// `5 tasks to create, 2 of them not asked for. Longest chain: a → b.`
    pub summary: String,
}

impl Plan {
    /// The plan in words, with times told as seen from `now`.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> Words {
        let line = |text: String| in_a_line(&text).into_owned();
        let mut words = Words { summary: line(self.summary()), ..Words::default() };
        for entry in &self.verdicts {
            let why = why(&entry.verdict, self.request.group, now);
            let line = Line { label: line(entry.label.clone()), why: line(why) };
            match entry.verdict {
                Verdict::New { .. } => words.new.push(line),
                Verdict::Reuse(_) => words.reused.push(line),
                Verdict::Removed { .. } => words.removed.push(line),
                Verdict::Refused { .. } => words.refused.push(line),
            }
        }
        words.warnings = self.warnings.iter().map(warning).map(line).collect();
        words
    }

    /// The labels of the longest chain of new tasks, each waiting for the one before.
    #[must_use]
    pub fn longest_chain(&self) -> Vec<&str> {
        // Dependencies come first, so one pass is enough.
        let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(self.tasks.len());
        for task in &self.tasks {
            let before =
                task.new_dependencies().filter(|on| *on < best.len()).max_by_key(|on| (best[*on].0, usize::MAX - on));
            best.push((before.map_or(1, |on| best[on].0 + 1), before));
        }
        let longest = (0..best.len()).max_by_key(|at| (best[*at].0, usize::MAX - at));
        let mut chain = Vec::new();
        let mut at = longest;
        while let Some(here) = at {
            chain.push(self.tasks[here].label.as_str());
            at = best[here].1;
        }
        chain.reverse();
        chain
    }

    fn summary(&self) -> String {
        let all = self.tasks.len();
        let asked = |role: &Role, label: &str| match role {
            Role::Copy { .. } | Role::Clone { .. } => true,
            Role::Reference { .. } => self.request.labels.iter().any(|asked| asked == label),
            Role::Needed { .. } | Role::Bridge | Role::Index { .. } => false,
        };
        let more = self.tasks.iter().filter(|task| !asked(&task.role, &task.label)).count();
        let tasks = if all == 1 { "task" } else { "tasks" };
        let more = if more > 0 && !self.request.is_optimization() {
            format!(", {more} of them not asked for")
        } else {
            String::new()
        };
        let chain = self.longest_chain();
        let chain = if chain.len() > 1 { format!(" Longest chain: {}.", chain.join(" → ")) } else { String::new() };
        format!("{all} {tasks} to create{more}.{chain}")
    }
}

/// Why a task has its verdict, as a fragment; `group` is the push's.
#[must_use]
pub fn why(verdict: &Verdict, group: Option<TaskId>, now: Timestamp) -> String {
    match verdict {
        Verdict::New { why, passed_over } => new(why, passed_over, now),
        Verdict::Reuse(reuse) => reused(reuse, group, now),
        Verdict::Removed { why, .. } => match why {
            Unneeded::OnlyReused => "needed only by reused tasks".to_owned(),
            Unneeded::OnlyRefused => "needed only by what can't be had".to_owned(),
            Unneeded::Optimized { by } => format!("optimized away: {by}"),
        },
        Verdict::Refused { why } => why.to_string(),
    }
}

fn new(why: &Why, passed_over: &[PassedOver], now: Timestamp) -> String {
    match why {
        Why::AskedFor { copies: 1 } => "asked for".to_owned(),
        Why::AskedFor { copies } => format!("asked for, {copies} copies"),
        Why::Kept { by } => format!("kept: {by}"),
        Why::NeededBy { label, with: Some(with) } => format!("needed by {label}; made on the new {with}"),
        Why::NeededBy { label, with: None } => format!("needed by {label}; {}", not_there(passed_over, now)),
    }
}

/// Why nothing that exists will do: about this push if there is anything to say, else about the index.
fn not_there(passed_over: &[PassedOver], now: Timestamp) -> String {
    let on_push = passed_over.iter().find(|over| matches!(over.from, Origin::Push { .. }));
    let elsewhere = passed_over.iter().find(|over| over.task_id.is_some() && over.because != Unusable::Absent);
    match (on_push, elsewhere) {
        (Some(over), _) => format!("the one on this push {}", because(over, now)),
        (None, Some(over)) if matches!(over.from, Origin::Index { .. }) => {
            format!("the one in the index {}", because(over, now))
        }
        (None, Some(over)) => format!("the one made for it {}", because(over, now)),
        (None, None) => "not on this push yet".to_owned(),
    }
}

fn because(over: &PassedOver, now: Timestamp) -> String {
    let id = over.task_id.map_or_else(String::new, |id| format!(" ({})", short(id)));
    match &over.because {
        Unusable::Absent => format!("was not found{id}"),
        Unusable::Unsuccessful { state, at } => {
            let how = if *state == TaskState::Failed { "failed" } else { "ended in an exception" };
            format!("{how}{}{id}", at.map_or_else(String::new, |at| format!(" {}", ago(at, now))))
        }
        Unusable::Expires { at, needed_until } => {
            format!("is kept only until {}, and is needed until {}{id}", moment(*at, *needed_until), day(*needed_until))
        }
        Unusable::Waits { on } => format!("waits for {} that will never be there{id}", short(*on)),
        Unusable::Foreign => format!("is something else{id}"),
        Unusable::Strategy => format!("is refused by its optimization{id}"),
    }
}

fn reused(reuse: &Reuse, group: Option<TaskId>, now: Timestamp) -> String {
    let id = short(reuse.task_id);
    if reuse.rerun {
        return format!("failed on this push, and is run again ({id})");
    }
    let state = reuse.status.as_ref().map(|status| state(status, now));
    let kept = reuse.status.as_ref().map_or_else(String::new, |status| format!(", kept until {}", day(status.expires)));
    match (&reuse.from, state) {
        (Origin::Index { path }, Some(_)) => {
            let word = reuse.status.map_or("there", |status| status.state.as_str());
            format!("in the index as {}, {word} ({id})", short_path(path))
        }
        (Origin::Index { path }, None) => format!("in the index as {} ({id})", short_path(path)),
        (Origin::Push { source, .. }, state) => {
            let state = state.unwrap_or_else(|| "exists".to_owned());
            let by = match source {
                SourceKind::Decision => "",
                SourceKind::Action => ", from an earlier action",
                SourceKind::Cron => ", from a cron task",
            };
            // A decision task lists what the index gave it, too.
            let theirs = reuse.status.and_then(|status| status.group);
            let push = if theirs.is_some() && theirs != group { "an earlier push" } else { "this push" };
            format!("{state} on {push}{by}{kept} ({id})")
        }
        (Origin::Promised { .. }, state) => {
            format!("made for another request, {} ({id})", state.unwrap_or_else(|| "there".to_owned()))
        }
        (Origin::Strategy, state) => {
            format!("{} ({id})", state.unwrap_or_else(|| "found by its optimization".to_owned()))
        }
    }
}

fn state(status: &StatusFact, now: Timestamp) -> String {
    match (status.state, status.resolved) {
        (TaskState::Completed, Some(at)) => format!("completed {}", ago(at, now)),
        (TaskState::Unscheduled, _) => "waiting for its dependencies".to_owned(),
        (state, _) => state.as_str().to_owned(),
    }
}

fn warning(warning: &Warning) -> String {
    match warning {
        Warning::ForeignTask { label, task_id } => {
            format!("{task_id}, the id derived for {label}, is taken by something else; another is used")
        }
        Warning::DecisionNotDependable => {
            "new tasks don't wait for the decision task: it did not succeed, or is gone too soon".to_owned()
        }
        Warning::ActionNotDependable { label } => {
            format!("{label} doesn't wait for the action task: it did not succeed, or is gone too soon")
        }
        Warning::NotChecked => "what is reused could not be looked at once more".to_owned(),
        Warning::SoftCircle { labels } => {
            format!("soft dependencies lead round in a circle and are left out: {}", labels.join(", "))
        }
        Warning::UnknownStrategy { label, strategy } => {
            format!("{label} is kept: its optimization `{strategy}` is not understood")
        }
    }
}

/// An id that people can find again: its first eight characters.
#[must_use]
pub fn short(id: TaskId) -> String {
    format!("{}…", &id.as_str()[..8])
}

/// An index path with a hash at its end cut short.
fn short_path(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((rest, last)) if last.len() >= 16 && last.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{rest}.{}…", &last[..4])
        }
        Some(_) | None => path.to_owned(),
    }
}

fn day(at: Millis) -> String {
    format_ms(at.0).chars().take(10).collect()
}

/// The day, or the minute where the day alone would not tell it from `other`.
fn moment(at: Millis, other: Millis) -> String {
    if day(at) == day(other) { format_ms(at.0).chars().take(16).collect::<String>().replace('T', " ") } else { day(at) }
}

/// How long ago something was, in its largest whole unit.
#[must_use]
pub fn ago(at: Millis, now: Timestamp) -> String {
    let since = now.duration_since(at.0);
    if since < SignedDuration::from_mins(1) {
        return "just now".to_owned();
    }
    let (minutes, hours) = (since.as_mins(), since.as_hours());
    match (minutes, hours) {
        (..=89, _) => format!("{minutes} min ago"),
        (_, ..=47) => format!("{hours} h ago"),
        _ => format!("{} days ago", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_index_gave_the_decision_task_ran_on_an_earlier_push() {
        let (home, other) = (TaskId::from_bytes([1; 16]), TaskId::from_bytes([2; 16]));
        let at = Millis::from(Timestamp::UNIX_EPOCH);
        let words = |group| {
            let status = StatusFact { state: TaskState::Completed, expires: at, deadline: at, resolved: None, group };
            let from = Origin::Push { source: SourceKind::Decision, of: Some(home) };
            let reuse = Reuse { task_id: other, from, status: Some(status), rerun: false };
            reused(&reuse, Some(home), Timestamp::UNIX_EPOCH)
        };
        assert!(words(Some(other)).starts_with("completed on an earlier push, kept until"), "{}", words(Some(other)));
        assert!(words(Some(home)).starts_with("completed on this push, kept until"));
        assert!(words(None).starts_with("completed on this push, kept until"));
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |minutes: i64| Millis(now - SignedDuration::from_mins(minutes));
        let told: Vec<String> = [0, 14, 89, 120, 60 * 47, 60 * 72].map(|minutes| ago(at(minutes), now)).into();
        assert_eq!(told, ["just now", "14 min ago", "89 min ago", "2 h ago", "47 h ago", "3 days ago"]);
    }

    #[test]
    fn a_hash_at_the_end_of_a_path_is_cut_short() {
        assert_eq!(short_path("lander.cache.clang.hash.9f31aa12bb34cc56"), "lander.cache.clang.hash.9f31…");
        assert_eq!(short_path("lander.cache.clang.latest"), "lander.cache.clang.latest");
    }
}
