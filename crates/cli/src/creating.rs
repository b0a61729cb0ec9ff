//! Carrying a plan out, saying what happens, and how it ended.

use std::time::Instant;

use serde::Serialize;
use taskgraft_client::Client;
use taskgraft_core::frontier::{Frontier, Mended, Outcome, Refused};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::PlanHash;
use taskgraft_core::printable::in_a_line;
use taskgraft_core::report::{ExitClass, Report, TaskReport, Terminal};
use taskgraft_engine::{Plans, action, trigger};

use crate::exit::{Failure, Kind};
use crate::follow::{self, Ended};
use crate::output::{self, Out, span};
use crate::progress::Progress;
use crate::signals::Stop;

/// What happens once the tasks exist, and how it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    /// Follow the new jobs to their end.
    pub(crate) wait: bool,
    /// Print JSON.
    pub(crate) json: bool,
}

/// All of it, as data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    plan: PlanHash,
    report: &'a Report,
    /// How the jobs ended, where they were followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Vec<Ended>>,
}

/// Creates what `frontier` has to create, stores what became of it, and follows the jobs if that was asked for.
pub(crate) async fn carry_out(
    client: &Client,
    plans: &Plans,
    frontier: Frontier,
    after: After,
    out: &Out,
) -> Result<(), Failure> {
    let hash = frontier.plan().hash();
    let mut stop = Stop::listen()?;
    let (report, took) = {
        let labels: Vec<String> = frontier.plan().tasks.iter().map(|task| task.label.clone()).collect();
        let started = Instant::now();
        let watch = |progress| match progress {
            taskgraft_engine::Progress::Task { at, task_id, created: true } => {
                out.note(&format!("  created  {}  {task_id}", in_a_line(labels.get(at).map_or("", String::as_str))));
            }
            taskgraft_engine::Progress::Task { .. } => {}
            taskgraft_engine::Progress::Halted(_) => out.note("stopping: waiting for what is on its way"),
        };
        let frontier = taskgraft_engine::create(client, frontier, None, stop.asked(), watch).await?;
        (frontier.report(), started.elapsed())
    };
    plans.note(&report)?;
    for mend in &report.mended {
        out.note(&format!("  {} ({}) {}", in_a_line(&mend.label), mend.task_id, mended(&mend.mended)));
    }
    let mut verdict = judge(&report);
    let mut ended = None;
    let followed = trigger::made(&report);
    // Who said --partial waits for what there is.
    if matches!(report.result, Terminal::Done | Terminal::Partial) {
        if !after.json {
            out.say(&summary(&report, &format!(" in {}", span(took))))?;
        }
        if after.wait {
            let progress = Progress::new(out, followed.len());
            let ends = tokio::select! {
                ends = follow::follow(client, &followed, &progress) => ends?,
                () = stop.asked() => return Err(left_alone(report.group)),
            };
            drop(progress);
            verdict = follow::judge(&followed, &ends).and(verdict);
            ended = Some(ends);
        }
    }
    if after.json {
        let ended = ended.map(|ends| Ended::of(&followed, &ends));
        out.json(&Told { plan: hash, report: &report, ended })?;
    } else if after.wait && verdict.is_ok() {
        out.say(&format!("followed to green: {0} of {0}", followed.len()))?;
    }
    verdict
}

/// How many tasks a request made, and how many it found.
pub(crate) fn summary(report: &Report, took: &str) -> String {
    let created = report.tasks.iter().filter(|task| matches!(task.outcome, Outcome::Created { .. })).count();
    let there = report.tasks.iter().filter(|task| task.outcome.exists()).count() - created;
    let there = if there > 0 { format!(", {there} were there already") } else { String::new() };
    let tasks = if created == 1 { "task" } else { "tasks" };
    format!("{created} {tasks} created{took}{there}: request {}", report.request)
}

/// Somebody has stopped waiting for the jobs.
pub(crate) fn left_alone(group: TaskId) -> Failure {
    Failure::new(Kind::NotGreen, "no longer following the jobs: they go on without")
        .note("look at them", format!("taskgraft group {group} --follow"))
}

/// What is to be said if the asker did not get what was asked for.
pub(crate) fn judge(report: &Report) -> Result<(), Failure> {
    let finish = format!("taskgraft resume {}   (creates what is missing, nothing twice)", report.request);
    judge_outcome(report).map_err(|failure| match report.result.is_resumable() {
        true => failure.note("finish", finish),
        false => failure,
    })
}

/// The same without the way to finish it.
pub(crate) fn judge_outcome(report: &Report) -> Result<(), Failure> {
    let kind = match report.result.exit_class() {
        ExitClass::Success => return Ok(()),
        ExitClass::Refused => Kind::Mistake,
        ExitClass::Forbidden => Kind::NoRights,
        ExitClass::Unfinished => Kind::HalfWay,
    };
    let (there, missing): (Vec<&TaskReport>, Vec<_>) = report.tasks.iter().partition(|task| task.outcome.exists());
    Err(Failure::new(kind, message(report))
        .notes("created", output::repeated(there.iter().map(|task| task.label.as_str())))
        .notes("missing", output::repeated(missing.iter().map(|task| task.label.as_str())))
        .notes("refused", report.refused.iter().map(|refused| format!("{}: {}", refused.label, refused.why))))
}

fn message(report: &Report) -> String {
    let said = report.tasks.iter().find_map(|task| match &task.outcome {
        Outcome::Missing { message } => Some(format!("the queue stopped answering: {message}")),
        Outcome::Rejected { status, code, message } => Some(format!("the queue refused: {status} {code}: {message}")),
        Outcome::Refused { why } => Some(format!("{} can't be created: {}", task.label, refused(why))),
        Outcome::Created { .. } | Outcome::Adopted { .. } | Outcome::Blocked { .. } | Outcome::Stopped => None,
    });
    match report.result {
        Terminal::Unfinished | Terminal::Forbidden | Terminal::Refused => {
            said.unwrap_or_else(|| action::closing(report))
        }
        Terminal::Done
        | Terminal::Partial
        | Terminal::Interrupted
        | Terminal::Superseded
        | Terminal::Cancelled
        | Terminal::Expired
        | Terminal::Stuck => action::closing(report),
    }
}

/// Why a task can't be created, as a fragment.
fn refused(why: &Refused) -> String {
    match why {
        Refused::Sealed => "its group takes no new tasks".to_owned(),
        Refused::OtherScheduler { theirs, ours } => {
            format!("its group belongs to scheduler `{theirs}`, and the plan is for `{ours}`")
        }
        Refused::IdTaken => "something else has its id".to_owned(),
        Refused::NoFreeId => "something else has each id that it could have".to_owned(),
        Refused::Conflict => "the queue says that it conflicts with something, and there is nothing".to_owned(),
        Refused::Definition { problem } => format!("its definition: {problem}"),
    }
}

/// What was done about a task that others answer for.
fn mended(mended: &Mended) -> String {
    match mended {
        Mended::PutBack => "waits for its dependencies; sent once more in case it was left half created".to_owned(),
        Mended::Scheduled => "was left unscheduled: scheduled".to_owned(),
        Mended::Rerun => "had failed: run again".to_owned(),
        Mended::Waits => "waits for its dependencies".to_owned(),
        Mended::Lost { problem } => format!("is lost: {problem}"),
    }
}
