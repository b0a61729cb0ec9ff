//! What an action's log says: verdicts first, then what was done, then one line that says whether the asker got what they
//! asked for.

use std::collections::BTreeMap;

use taskgraft_client::Client;
use taskgraft_core::frontier::Halt;
use taskgraft_core::plan::{Care, Plan};
use taskgraft_core::printable::in_a_line;
use taskgraft_core::report::{Report, TendOutcome, Terminal};

use super::run::ActionReport;
use crate::creator::Progress;

pub(super) fn say_progress(progress: &Progress, labels: &[String], log: &mut impl FnMut(&str)) {
    match progress {
        Progress::Task { at, task_id, created: true } => {
            log(&format!("created  {}  {task_id}", in_a_line(labels.get(*at).map_or("", String::as_str))));
        }
        Progress::Task { .. } => {}
        Progress::Halted(Halt::Cancelled) => log("the request was cancelled: stopping"),
        Progress::Halted(Halt::Expired) => log("this task has ended, by its deadline perhaps: stopping"),
        Progress::Halted(Halt::Superseded) => log("a later run of this task has taken over: stopping"),
        Progress::Halted(Halt::Interrupted) => log("interrupted: stopping"),
    }
}

/// Tells of a plan that an earlier try left.
pub(super) fn say_earlier(plan: &Plan, client: &Client, log: &mut impl FnMut(&str)) {
    say_plan(plan, client, log);
    log(&format!("an earlier try of request {} left this plan: finishing it", plan.request.id));
}

pub(super) fn say_plan(plan: &Plan, client: &Client, log: &mut impl FnMut(&str)) {
    for part in std::iter::once(plan).chain(&plan.elsewhere) {
        let words = part.words(client.clock().now());
        if let Some(group) = part.request.group.filter(|group| Some(*group) != plan.request.group) {
            log(&format!("on the push of {group}:"));
        }
        let lists =
            [("new", &words.new), ("reused", &words.reused), ("removed", &words.removed), ("refused", &words.refused)];
        for (verdict, lines) in lists {
            for line in lines {
                log(&format!("{verdict:8} {}  {}", line.label, line.why));
            }
        }
        for tend in &part.tend {
            let verdict = match tend.care {
                Care::Rerun => "rerun",
                Care::Cancel => "cancel",
            };
            log(&format!("{verdict:8} {}  {}", in_a_line(tend.label.as_deref().unwrap_or_default()), tend.task_id));
        }
        for warning in &words.warnings {
            log(&format!("warning: {warning}"));
        }
        if !part.verdicts.is_empty() {
            log(&words.summary);
        }
    }
}

/// Whether the asker got what they asked for, in a line.
#[must_use]
pub fn closing(report: &Report) -> String {
    closing_of(&ActionReport { result: report.result, requests: vec![report.clone()] })
}

pub(super) fn closing_of(report: &ActionReport) -> String {
    let tasks = || report.requests.iter().flat_map(|request| &request.tasks);
    let refused: usize = report.requests.iter().map(|request| request.refused.len()).sum();
    let what = match report.result {
        Terminal::Done => "done: everything asked for exists".to_owned(),
        Terminal::Partial => format!("partly done: {refused} of the labels can't be had"),
        Terminal::Unfinished => "not finished: the queue stopped answering".to_owned(),
        Terminal::Interrupted => "not finished: interrupted".to_owned(),
        Terminal::Superseded => "left to a later run of this task".to_owned(),
        Terminal::Cancelled => format!("cancelled{}", uncancelled(report)),
        Terminal::Expired => format!("failed: this task ended before that{}", uncancelled(report)),
        Terminal::Forbidden => "failed: scopes are missing".to_owned(),
        Terminal::Refused => "failed: the queue refused some tasks".to_owned(),
        Terminal::Stuck => "created, but something that it depends on is lost".to_owned(),
    };
    let request = report.requests.first().map_or("none", |request| request.request.as_str());
    let mut counted = Vec::new();
    let tended = report.requests.iter().flat_map(|request| &request.tended);
    let mut cared: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for tend in tended {
        let words = match tend.care {
            Care::Rerun => "run again",
            Care::Cancel => "cancelled",
        };
        let (done, all) = cared.entry(words).or_default();
        *all += 1;
        *done += usize::from(matches!(tend.outcome, TendOutcome::Done | TendOutcome::NotDue));
    }
    if tasks().count() > 0 || cared.is_empty() {
        let there = tasks().filter(|task| task.outcome.exists()).count();
        counted.push(format!("{there} of {} tasks exist", tasks().count()));
    }
    counted.extend(cared.iter().map(|(words, (done, all))| format!("{done} of {all} {words}")));
    let what = match (report.result, tasks().count()) {
        (Terminal::Done, 0) if cared.is_empty() => "done: nothing was to be done".to_owned(),
        (Terminal::Done, 0) => "done".to_owned(),
        _ => what,
    };
    format!("{what} ({}, request {request})", counted.join(", "))
}

/// What was to be cancelled and was not.
fn uncancelled(report: &ActionReport) -> String {
    let tasks = report.requests.iter().flat_map(|request| &request.tasks);
    let labels: Vec<&str> = tasks.filter(|task| task.uncancelled.is_some()).map(|task| task.label.as_str()).collect();
    if labels.is_empty() { String::new() } else { format!(", but these could not be: {}", labels.join(", ")) }
}
