//! How tasks and runs change: one total, pure function, [`step`], through which every change goes.
//!
//! A task's state is nothing but its runs: `unscheduled` without any, else the state of the last one. Which events
//! change what, and which are refused, follows the queue service of Taskcluster (its database functions
//! `schedule_task`, `rerun_task`, `cancel_task`, `claim_task`, `reclaim_task`, `resolve_task`, `check_task_claim`).

use jiff::Timestamp;

use crate::time::Millis;

mod run;

pub use run::{ExceptionReason, ReasonCreated, ReasonResolved, Run, RunState, TaskState};

/// A task never has more runs than this.
pub const MAX_RUNS: usize = 50;

/// The part of a task that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// All attempts, oldest first; only the last may be pending or running.
    pub runs: Vec<Run>,
    /// How many retries a fresh start has.
    pub retries: u8,
    /// How many of them are left.
    pub retries_left: u8,
    /// After this moment nothing starts any more.
    pub deadline: Timestamp,
}

impl Life {
    /// The life of a task just defined.
    #[must_use]
    pub fn new(retries: u8, deadline: Timestamp) -> Self {
        Self { runs: Vec::new(), retries, retries_left: retries, deadline }
    }

    /// The state of the last run, or `unscheduled`.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.runs.last().map_or(TaskState::Unscheduled, |run| run.state.into())
    }
}

/// How a worker ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Completed,
    /// It ran and failed.
    Failed,
    /// It could not be run.
    Exception(ExceptionReason),
}

impl Outcome {
    fn state(self) -> RunState {
        match self {
            Self::Completed => RunState::Completed,
            Self::Failed => RunState::Failed,
            Self::Exception(_) => RunState::Exception,
        }
    }

    fn reason(self) -> ReasonResolved {
        match self {
            Self::Completed => ReasonResolved::Completed,
            Self::Failed => ReasonResolved::Failed,
            Self::Exception(reason) => reason.into(),
        }
    }

    /// Why a run would follow this one, if retries are left.
    fn retry(self) -> Option<ReasonCreated> {
        match self {
            Self::Exception(ExceptionReason::WorkerShutdown) => Some(ReasonCreated::Retry),
            Self::Exception(ExceptionReason::IntermittentTask) => Some(ReasonCreated::TaskRetry),
            Self::Completed
            | Self::Failed
            | Self::Exception(
                ExceptionReason::MalformedPayload
                | ExceptionReason::ResourceUnavailable
                | ExceptionReason::InternalError,
            ) => None,
        }
    }
}

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its dependencies are satisfied, or somebody wants it to start regardless.
    Schedule,
    /// Somebody wants it to run (again).
    Rerun,
    /// Somebody wants it to end.
    Cancel,
    /// Its deadline has passed.
    DeadlinePassed,
    /// A worker takes a run.
    Claim {
        /// Which run.
        run: u16,
        /// Who.
        worker_group: String,
        /// Who.
        worker_id: String,
        /// Until when.
        until: Timestamp,
    },
    /// A worker keeps a run.
    Reclaim {
        /// Which run.
        run: u16,
        /// Until when.
        until: Timestamp,
    },
    /// A worker ends a run.
    Resolve {
        /// Which run.
        run: u16,
        /// How.
        outcome: Outcome,
    },
    /// A worker was not heard of until its claim ended.
    ClaimExpired {
        /// Which run.
        run: u16,
    },
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the task is already where the event leads.
    Same,
    /// The task's life from now on.
    Changed(Life),
}

/// Why an event cannot happen to a task; the task stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing starts, is kept or is cancelled after the deadline.
    #[error("the deadline has passed")]
    DeadlinePassed,
    /// The event that says so came too early.
    #[error("the deadline or the claim has not passed yet")]
    TooEarly,
    /// There is no such run.
    #[error("there is no such run")]
    NoSuchRun,
    /// The run is not pending, or no longer the last: somebody else was first.
    #[error("the run cannot be claimed")]
    NotClaimable,
    /// The run is not running, or no longer the last.
    #[error("the run is resolved or not running")]
    NotRunning,
    /// A task never has more than [`MAX_RUNS`] runs.
    #[error("the maximum number of runs is reached")]
    TooManyRuns,
}

/// What `event` at the moment `now` makes of a task.
///
/// # Errors
/// The event cannot happen to this task now.
pub fn step(life: &Life, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let past = life.deadline < now;
    match event {
        Event::Schedule if past => Err(Refusal::DeadlinePassed),
        Event::Schedule if life.runs.is_empty() => Ok(Step::Changed(started(life, ReasonCreated::Scheduled, now))),
        Event::Schedule => Ok(Step::Same),
        Event::Rerun if past => Err(Refusal::DeadlinePassed),
        Event::Rerun => rerun(life, now),
        Event::Cancel if past => Err(Refusal::DeadlinePassed),
        Event::Cancel => Ok(ended(life, ReasonResolved::Canceled, now)),
        Event::DeadlinePassed if life.deadline > now => Err(Refusal::TooEarly),
        Event::DeadlinePassed => Ok(ended(life, ReasonResolved::DeadlineExceeded, now)),
        Event::Claim { .. } | Event::Reclaim { .. } if life.deadline <= now => Err(Refusal::DeadlinePassed),
        Event::Claim { run, worker_group, worker_id, until } => {
            claim(life, *run, (worker_group, worker_id), *until, now)
        }
        Event::Reclaim { run, until } => reclaim(life, *run, *until),
        Event::Resolve { run, outcome } => resolve(life, *run, *outcome, now),
        Event::ClaimExpired { run } => claim_expired(life, *run, now),
    }
}

fn rerun(life: &Life, now: Timestamp) -> Result<Step, Refusal> {
    match life.state() {
        TaskState::Pending | TaskState::Running => return Ok(Step::Same),
        TaskState::Unscheduled | TaskState::Completed | TaskState::Failed | TaskState::Exception => {}
    }
    if life.runs.len() >= MAX_RUNS {
        return Err(Refusal::TooManyRuns);
    }
    let mut next = started(life, ReasonCreated::Rerun, now);
    // Retries must not lead beyond the maximum either.
    let room = u8::try_from(MAX_RUNS - next.runs.len()).unwrap_or(u8::MAX);
    next.retries_left = life.retries.min(room);
    Ok(Step::Changed(next))
}

fn claim(life: &Life, run: u16, (group, id): (&str, &str), until: Timestamp, now: Timestamp) -> Result<Step, Refusal> {
    let (mut next, at) = last(life, run, Refusal::NotClaimable)?;
    let claimed = &mut next.runs[at];
    let its_own = claimed.worker_group.as_deref() == Some(group) && claimed.worker_id.as_deref() == Some(id);
    match claimed.state {
        RunState::Pending => {}
        // The answer to its claim may have been lost.
        RunState::Running if its_own => return Ok(Step::Same),
        RunState::Running | RunState::Completed | RunState::Failed | RunState::Exception => {
            return Err(Refusal::NotClaimable);
        }
    }
    claimed.state = RunState::Running;
    claimed.worker_group = Some(group.to_owned());
    claimed.worker_id = Some(id.to_owned());
    claimed.taken_until = Some(Millis::from(until));
    claimed.started = Some(Millis::from(now));
    Ok(Step::Changed(next))
}

fn reclaim(life: &Life, run: u16, until: Timestamp) -> Result<Step, Refusal> {
    let (mut next, at) = running(life, run)?;
    let kept = &mut next.runs[at];
    // A claim is never shortened.
    let longer = kept.taken_until.max(Some(Millis::from(until)));
    if longer == kept.taken_until {
        return Ok(Step::Same);
    }
    kept.taken_until = longer;
    Ok(Step::Changed(next))
}

fn resolve(life: &Life, run: u16, outcome: Outcome, now: Timestamp) -> Result<Step, Refusal> {
    if repeats(life, run, outcome) {
        return Ok(Step::Same);
    }
    let (mut next, at) = running(life, run)?;
    close(&mut next.runs[at], outcome.state(), outcome.reason(), now);
    Ok(Step::Changed(match outcome.retry() {
        Some(reason) => retried(next, reason, now),
        None => next,
    }))
}

/// Whether the run has already ended just so: then saying it again is no mistake. An exception may by then have been
/// followed by the one run that retries it.
fn repeats(life: &Life, run: u16, outcome: Outcome) -> bool {
    let Some(known) = life.runs.get(usize::from(run)) else { return false };
    let after = life.runs.len() - usize::from(run) - 1;
    let as_said = known.state == outcome.state() && known.reason_resolved == Some(outcome.reason());
    let latest = match outcome {
        Outcome::Completed | Outcome::Failed => after == 0,
        Outcome::Exception(_) => after <= 1,
    };
    as_said && latest
}

fn claim_expired(life: &Life, run: u16, now: Timestamp) -> Result<Step, Refusal> {
    let (mut next, at) = running(life, run)?;
    if life.deadline < now {
        // What is due then is `Event::DeadlinePassed`.
        return Err(Refusal::DeadlinePassed);
    }
    if next.runs[at].taken_until > Some(Millis::from(now)) {
        return Err(Refusal::TooEarly);
    }
    close(&mut next.runs[at], RunState::Exception, ReasonResolved::ClaimExpired, now);
    Ok(Step::Changed(retried(next, ReasonCreated::Retry, now)))
}

/// A copy of `life` and the index of `run` in it, which must be the last.
fn last(life: &Life, run: u16, otherwise: Refusal) -> Result<(Life, usize), Refusal> {
    let at = usize::from(run);
    if at >= life.runs.len() {
        return Err(Refusal::NoSuchRun);
    }
    if at + 1 != life.runs.len() {
        return Err(otherwise);
    }
    Ok((life.clone(), at))
}

fn running(life: &Life, run: u16) -> Result<(Life, usize), Refusal> {
    let (next, at) = last(life, run, Refusal::NotRunning)?;
    if next.runs[at].state == RunState::Running { Ok((next, at)) } else { Err(Refusal::NotRunning) }
}

/// `life` with a new pending run.
fn started(life: &Life, reason: ReasonCreated, now: Timestamp) -> Life {
    let mut next = life.clone();
    next.runs.push(fresh(next.runs.len(), reason, now));
    next
}

/// `life` with another try, if one is left.
fn retried(mut life: Life, reason: ReasonCreated, now: Timestamp) -> Life {
    if life.retries_left > 0 && life.runs.len() < MAX_RUNS {
        life.retries_left -= 1;
        life.runs.push(fresh(life.runs.len(), reason, now));
    }
    life
}

/// What is left of an unresolved task that shall run no further. Without any run one is made to carry the reason.
fn ended(life: &Life, reason: ReasonResolved, now: Timestamp) -> Step {
    if life.state().is_resolved() {
        return Step::Same;
    }
    let mut next = life.clone();
    if next.runs.is_empty() {
        next.runs.push(fresh(0, ReasonCreated::Exception, now));
    }
    if let Some(run) = next.runs.last_mut() {
        close(run, RunState::Exception, reason, now);
    }
    Step::Changed(next)
}

fn fresh(index: usize, reason: ReasonCreated, now: Timestamp) -> Run {
    Run {
        // Bounded by `MAX_RUNS`.
        run_id: u16::try_from(index).unwrap_or(u16::MAX),
        state: RunState::Pending,
        reason_created: reason,
        reason_resolved: None,
        worker_group: None,
        worker_id: None,
        taken_until: None,
        scheduled: Millis::from(now),
        started: None,
        resolved: None,
    }
}

fn close(run: &mut Run, state: RunState, reason: ReasonResolved, now: Timestamp) {
    run.state = state;
    run.reason_resolved = Some(reason);
    run.resolved = Some(Millis::from(now));
}

#[cfg(test)]
mod tests;
