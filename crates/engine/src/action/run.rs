//! Carrying a request out: its plan is stored, then done, and what came of it is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::FusedFuture;
use serde::{Deserialize, Serialize};
use taskgraft_client::Client;
use taskgraft_core::api::queue::TaskDefinition;
use taskgraft_core::frontier::{Frontier, Halt, Limits};
use taskgraft_core::ids::RequestId;
use taskgraft_core::plan::{Care, Plan, Policy, Request};
use taskgraft_core::report::{Report, TendOutcome, Terminal};
use taskgraft_core::time::Millis;

use super::error::ActionError;
use super::tend::tend;
use crate::authority;
use crate::cache::Cache;
use crate::creator::{Progress, create};
use crate::fetch::Artifacts;
use crate::own_run::OwnRun;
use crate::planner::{Lookups, plan};
use crate::plans::Plans;
use crate::preflight;
use crate::push::Push;
use crate::recheck::{existing, is_open, recheck};
use crate::run_plan;

/// Where a request's plan outlives this process.
#[derive(Debug, Clone)]
pub enum Keep {
    /// As an artifact of the run that this process works for.
    Run(OwnRun),
    /// In the user's state directory.
    Plans(Plans),
}

/// A request to carry out.
#[derive(Debug, Clone)]
pub struct Action {
    /// What is asked for.
    pub request: Request,
    /// By which rules.
    pub policy: Policy,
    /// Where the plan is kept.
    pub keep: Keep,
    /// Where task-graph.json, label-to-taskid.json, to-run.json, plan.json and report.json are written.
    pub out: PathBuf,
    /// The most tasks that it may create.
    pub max_new: usize,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// Whether the asker got what was asked for.
    pub result: Terminal,
    /// What became of each request that the action came to: first that on the push it was asked for.
    pub requests: Vec<Report>,
}

/// What carrying requests out takes.
#[derive(Debug, Clone)]
pub struct Means {
    /// Who creates.
    pub client: Client,
    /// Where downloads go.
    pub cache: Cache,
}

/// The action task that this process works for.
#[derive(Debug)]
pub(super) struct OwnTask {
    pub(super) run: OwnRun,
    pub(super) task: TaskDefinition,
}

impl Keep {
    /// The run that this process works for.
    pub(super) fn own(&self) -> Option<OwnRun> {
        match self {
            Self::Run(own) => Some(*own),
            Self::Plans(_) => None,
        }
    }

    /// The action task that this process works for, looked up.
    pub(super) async fn own_task(&self, client: &Client) -> Result<Option<OwnTask>, ActionError> {
        let Some(run) = self.own() else { return Ok(None) };
        Ok(Some(OwnTask { run, task: client.queue().task(run.task).await? }))
    }

    /// The plan of an earlier try of the same request.
    pub(super) async fn taken_up(&self, means: &Means, id: &RequestId) -> Result<Option<Plan>, ActionError> {
        Ok(match self {
            Self::Run(own) => run_plan::earlier(&means.client, &means.cache, *own).await?,
            Self::Plans(plans) => plans.begun(id)?,
        })
    }

    /// Stores the plan where a later try finds it. `expires`: until when the run's artifacts may live.
    async fn store(&self, means: &Means, plan: &Plan, expires: Option<Millis>) -> Result<(), ActionError> {
        match self {
            Self::Run(own) => {
                // An ended run stores nothing; that it has ended is told when it would create.
                if let Some(expires) = expires
                    && own.check(&means.client).await?.is_none()
                {
                    run_plan::store(&means.client, &means.cache, *own, plan, expires).await?;
                }
            }
            Self::Plans(plans) => drop(plans.save(plan)?),
        }
        Ok(())
    }

    fn note(&self, report: &Report) -> Result<(), ActionError> {
        if let Self::Plans(plans) = self {
            plans.note(report)?;
        }
        Ok(())
    }
}

impl Means {
    pub(super) fn artifacts(&self) -> Artifacts {
        Artifacts::Queue(self.client.clone(), self.cache.clone())
    }

    pub(super) fn lookups(&self) -> Lookups {
        Lookups::Online(self.client.clone(), self.artifacts())
    }
}

impl OwnTask {
    pub(super) fn expires(&self) -> Millis {
        self.task.expires.unwrap_or(self.task.deadline)
    }
}

/// Plans the action's request on `push`, or takes up the plan that an earlier try left, and creates its tasks.
///
/// `log` gets what people read: verdicts first, then what was created, then one line that says whether the asker got
/// what they asked for.
///
/// # Errors
/// If there is no plan, it may not or can't be carried out, or it can't be kept first.
pub async fn run(
    means: &Means,
    push: &Push,
    action: &Action,
    stop: impl Future<Output = ()>,
    mut log: impl FnMut(&str),
) -> Result<Report, ActionError> {
    let own = action.keep.own_task(&means.client).await?;
    if let (Some(own), Some(group)) = (&own, push.group) {
        authority::check_action(own.run.task, &own.task, group, &push.parameters)?;
    }
    let carry = Carry { means, keep: &action.keep, out: &action.out, expires: own.as_ref().map(OwnTask::expires) };
    let (plan, earlier) = match action.keep.taken_up(means, &action.request.id).await? {
        Some(plan) if plan.request != action.request => return Err(ActionError::OtherRequest(plan.request.id)),
        Some(plan) => {
            say_earlier(&plan, &means.client, &mut log);
            still_right(means, push, &plan).await?;
            (plan, true)
        }
        None => (fresh(means, push, action, &mut log).await?, false),
    };
    let mut stop = std::pin::pin!(stop.fuse());
    let mut report = carry.out(plan, earlier, &mut stop, &mut log).await?;
    Ok(report.requests.swap_remove(0))
}

/// A new plan, all of which can be had and may be created.
async fn fresh(means: &Means, push: &Push, action: &Action, log: &mut impl FnMut(&str)) -> Result<Plan, ActionError> {
    bound(action.request.asked(), action.max_new)?;
    let planned = plan(&means.lookups(), push, &action.request, action.policy).await?;
    for notice in &planned.notices {
        log(&format!("warning: {notice}"));
    }
    admit(means, &planned.plan, action.max_new).await?;
    Ok(planned.plan)
}

/// Refuses more new tasks than one request may create.
///
/// # Errors
/// [`ActionError::TooMany`].
pub(super) fn bound(asked: u64, most: usize) -> Result<(), ActionError> {
    if asked > most as u64 { Err(ActionError::TooMany { asked, most }) } else { Ok(()) }
}

/// Checks that all of the plan can be had and may be created.
///
/// # Errors
/// Labels that can't be had, too many tasks, or missing scopes.
pub(super) async fn admit(means: &Means, plan: &Plan, max_new: usize) -> Result<(), ActionError> {
    let parts = || std::iter::once(plan).chain(&plan.elsewhere);
    let now = means.client.clock().now();
    let refused = parts().filter(|part| !part.request.partial).flat_map(|part| part.words(now).refused);
    let refused: Vec<_> = refused.map(|line| (line.label, line.why)).collect();
    if !refused.is_empty() {
        return Err(ActionError::Refused(refused));
    }
    bound(parts().map(|part| part.tasks.len() as u64).sum(), max_new)?;
    if plan.policy == Policy::Graft && parts().any(|part| !part.tasks.is_empty()) {
        let missing = preflight::check(&means.client, plan).await?;
        if !missing.is_empty() {
            return Err(ActionError::Forbidden(missing));
        }
    }
    Ok(())
}

/// Fails if what is still to be created of an earlier try's plan would be planned otherwise now.
///
/// # Errors
/// [`ActionError::Moved`], or what looking it up failed of.
pub(super) async fn still_right(means: &Means, push: &Push, plan: &Plan) -> Result<(), ActionError> {
    let existing = existing(&means.client, plan).await?;
    if !is_open(plan, &existing) {
        return Ok(());
    }
    let (moved, now) = recheck(&means.lookups(), push, plan, &existing).await?;
    if moved.is_empty() {
        return Ok(());
    }
    Err(ActionError::Moved { plan: Box::new(plan.clone()), existing, moved, now })
}

/// How a plan is carried out.
pub(super) struct Carry<'a> {
    pub(super) means: &'a Means,
    pub(super) keep: &'a Keep,
    pub(super) out: &'a Path,
    /// Until when the run's artifacts may live.
    pub(super) expires: Option<Millis>,
}

impl Carry<'_> {
    /// Stores the plan, does what it says, and tells what came of it. `earlier`: an earlier try may have begun, and what
    /// it left was told.
    ///
    /// # Errors
    /// If the plan can't be carried out, or can't be kept first.
    pub(super) async fn out(
        &self,
        plan: Plan,
        earlier: bool,
        stop: &mut (impl FusedFuture<Output = ()> + Unpin),
        log: &mut impl FnMut(&str),
    ) -> Result<ActionReport, ActionError> {
        let client = &self.means.client;
        if !earlier {
            say_plan(&plan, client, log);
        }
        self.write("plan.json", &plan.to_json())?;
        let begin = if earlier { Frontier::resume } else { Frontier::new };
        let parts = plan.clone().parts().into_iter().map(|part| begin(part, Limits::default()));
        let mut frontiers = parts.collect::<Result<Vec<_>, _>>()?;
        self.write_all(&frontiers)?;
        self.keep.store(self.means, &plan, self.expires).await?;
        if let Some(frontier) = frontiers.first() {
            self.keep.note(&frontier.report())?;
        }
        let own = self.keep.own();
        let (tended, halt) = tend(client, &plan.tend, earlier, own, stop, log).await?;
        let mut stopped = halt == Some(Halt::Interrupted);
        for frontier in &mut frontiers {
            let labels: Vec<String> = frontier.plan().tasks.iter().map(|task| task.label.clone()).collect();
            let already = stopped;
            let stopping = async {
                if !already {
                    (&mut *stop).await;
                }
            };
            let driven = create(client, frontier.clone(), own, stopping, |progress| {
                stopped |= progress == Progress::Halted(Halt::Interrupted);
                say_progress(&progress, &labels, log);
            });
            *frontier = driven.await?;
        }
        self.write_all(&frontiers)?;
        let mut requests: Vec<Report> = frontiers.iter().map(Frontier::report).collect();
        if let Some(first) = requests.first_mut() {
            first.tended = tended;
            first.result = first.result.with_tended(&first.tended);
        }
        let result = requests.iter().map(|report| report.result).find(|result| *result != Terminal::Done);
        let report = ActionReport { result: result.unwrap_or(Terminal::Done), requests };
        self.write("report.json", &serde_json::to_string_pretty(&report).unwrap_or_default())?;
        if let Some(first) = report.requests.first() {
            self.keep.note(&Report { result: report.result, ..first.clone() })?;
        }
        log(&closing_of(&report));
        Ok(report)
    }

    /// The artifacts of the push that was asked under the reference's names, those of others with their groups' ids.
    fn write_all(&self, frontiers: &[Frontier]) -> Result<(), ActionError> {
        for (at, frontier) in frontiers.iter().enumerate() {
            for (name, text) in frontier.artifacts()? {
                let name = match name.strip_suffix(".json") {
                    Some(stem) if at > 0 => format!("{stem}-{}.json", frontier.group()),
                    Some(_) | None => name,
                };
                self.write(&name, &text)?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ActionError> {
        let path = self.out.join(name);
        let written = fs::create_dir_all(self.out).and_then(|()| fs::write(&path, text));
        written.map_err(|error| ActionError::Write { path, error })
    }
}

fn say_progress(progress: &Progress, labels: &[String], log: &mut impl FnMut(&str)) {
    match progress {
        Progress::Task { at, task_id, created: true } => {
            log(&format!("created  {}  {task_id}", labels.get(*at).map_or("", String::as_str)));
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

fn say_plan(plan: &Plan, client: &Client, log: &mut impl FnMut(&str)) {
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
            log(&format!("{verdict:8} {}  {}", tend.label.as_deref().unwrap_or_default(), tend.task_id));
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

fn closing_of(report: &ActionReport) -> String {
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
