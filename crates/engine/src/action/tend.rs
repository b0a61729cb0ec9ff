//! Running tasks again, and cancelling them.

use std::collections::HashMap;

use futures_util::future::{FusedFuture, pending};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use taskgraft_client::{Client, Error};
use taskgraft_core::action::deed::{Cancel, Deeds, Refusal};
use taskgraft_core::api::queue::TaskDefinitionAndStatus;
use taskgraft_core::frontier::Halt;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Care, Policy, Tend, Tended};
use taskgraft_core::report::{TendOutcome, TendReport};
use taskgraft_core::scopes::ScopeExpression;

use super::error::ActionError;
use crate::own_run::{OwnRun, impatient};
use crate::preflight::{lacking, to_tend};

/// The most calls in flight, as the reference's.
const CONCURRENCY: usize = 50;
/// The most tasks on a page of a group's list.
const PAGE: u16 = 1000;
/// The most ids in one call.
const BATCH: usize = 1000;

/// A task that is to be tended, as it is now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    #[serde(flatten)]
    status: Tended,
    #[serde(default)]
    task_group_id: Option<TaskId>,
    #[serde(default)]
    scheduler_id: String,
    #[serde(default)]
    project_id: String,
}

impl Seen {
    /// What tending the task needs.
    fn scopes(&self, verb: &str, task: TaskId, group: TaskId) -> ScopeExpression {
        to_tend(verb, task, self.task_group_id.unwrap_or(group), &self.scheduler_id, &self.project_id)
    }
}

/// What is to be tended, with what needs no tending told in words.
#[derive(Debug, Default)]
pub(super) struct Tending {
    pub(super) tend: Vec<Tend>,
    pub(super) notes: Vec<String>,
    /// What each needs, told with its label or id.
    pub(super) needs: Vec<(String, ScopeExpression)>,
}

impl Tending {
    /// Checks that all of it may be done.
    ///
    /// # Errors
    /// [`ActionError::Untendable`].
    pub(super) async fn admit(&self, client: &Client) -> Result<(), ActionError> {
        if self.needs.is_empty() {
            return Ok(());
        }
        let missing = lacking(&client.auth().current_scopes().await?, &self.needs);
        if missing.is_empty() { Ok(()) } else { Err(ActionError::Untendable(missing)) }
    }
}

/// Looks at the tasks that the deeds are about. `own` is the action task, which cancelling the group leaves alone.
///
/// # Errors
/// If a task isn't there or is another group's, or the queue doesn't answer.
pub(super) async fn look(
    client: &Client,
    policy: Policy,
    deeds: &Deeds,
    group: TaskId,
    own: Option<TaskId>,
) -> Result<Tending, ActionError> {
    let mut tending = Tending::default();
    let reruns: Vec<TaskId> = deeds.rerun.iter().map(|rerun| rerun.task).collect();
    let seen = seen(client, policy, &reruns).await?;
    for rerun in &deeds.rerun {
        let label = rerun.label.clone();
        let Some(seen) = seen.get(&rerun.task) else {
            return Err(Refusal::Foreign { task: rerun.task, label }.into());
        };
        if seen.status.is_rerunnable() {
            let (task_id, runs) = (rerun.task, seen.status.count());
            tending.needs.push((label.clone(), seen.scopes("rerun", task_id, group)));
            tending.tend.push(Tend { care: Care::Rerun, task_id, label: Some(label), runs });
        } else {
            tending.notes.push(format!("no need to run {label} again: it is {}", seen.status.state.as_str()));
        }
    }
    match deeds.cancel {
        Cancel::None => {}
        Cancel::Task(task_id) => cancel_one(client, policy, task_id, group, &mut tending).await?,
        Cancel::Group => cancel_group(client, group, own, &mut tending).await?,
    }
    Ok(tending)
}

async fn cancel_one(
    client: &Client,
    policy: Policy,
    task_id: TaskId,
    group: TaskId,
    tending: &mut Tending,
) -> Result<(), ActionError> {
    let cancel = |runs| Tend { care: Care::Cancel, task_id, label: None, runs };
    if policy == Policy::Reference {
        // It asks nothing before.
        tending.tend.push(cancel(0));
        return Ok(());
    }
    let mut seen = seen(client, policy, &[task_id]).await?;
    let Some(seen) = seen.remove(&task_id).filter(|seen| seen.task_group_id == Some(group)) else {
        return Err(Refusal::Elsewhere(task_id).into());
    };
    if seen.status.state.is_resolved() {
        tending.notes.push(format!("no need to cancel {task_id}: it is {}", seen.status.state.as_str()));
    } else {
        tending.needs.push((task_id.to_string(), seen.scopes("cancel", task_id, group)));
        tending.tend.push(cancel(seen.status.count()));
    }
    Ok(())
}

async fn cancel_group(
    client: &Client,
    group: TaskId,
    own: Option<TaskId>,
    tending: &mut Tending,
) -> Result<(), ActionError> {
    let mut pages = std::pin::pin!(client.queue().list_task_group(group, PAGE));
    while let Some(page) = pages.try_next().await.map_err(ActionError::Subjects)? {
        let open = page.tasks.into_iter().filter(|task| !task.status.state.is_resolved());
        for TaskDefinitionAndStatus { task, status } in open.filter(|task| Some(task.status.task_id) != own) {
            let (task_id, label) = (status.task_id, task.metadata.name);
            let needs = to_tend("cancel", task_id, group, &status.scheduler_id, &status.project_id);
            tending.needs.push((label.clone(), needs));
            let runs = u16::try_from(status.runs.len()).unwrap_or(u16::MAX);
            tending.tend.push(Tend { care: Care::Cancel, task_id, label: Some(label), runs });
        }
    }
    if tending.tend.is_empty() {
        tending.notes.push("all tasks of the group have ended".to_owned());
    }
    Ok(())
}

/// The tasks that are there. The reference asks for each by itself.
async fn seen(client: &Client, policy: Policy, ids: &[TaskId]) -> Result<HashMap<TaskId, Seen>, ActionError> {
    let mut found = HashMap::new();
    match policy {
        Policy::Graft => {
            for batch in ids.chunks(BATCH) {
                found.extend(client.queue().statuses::<Seen>(batch).await.map_err(ActionError::Subjects)?);
            }
        }
        Policy::Reference => {
            for id in ids {
                match client.queue().status_as::<Seen>(*id).await {
                    Ok(seen) => drop(found.insert(*id, seen)),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(ActionError::Subjects(error)),
                }
            }
        }
    }
    Ok(found)
}

/// Does what a plan says is to be done to tasks that exist; tells whether it was stopped on the way. Where an earlier
/// try may have begun, only what is still due is done.
///
/// # Errors
/// If the queue doesn't say whose turn it is, or what an earlier try did: then nothing was done.
pub(super) async fn tend(
    client: &Client,
    tend: &[Tend],
    earlier: bool,
    own: Option<OwnRun>,
    mut stop: &mut (impl FusedFuture<Output = ()> + Unpin),
    log: &mut impl FnMut(&str),
) -> Result<(Vec<TendReport>, Option<Halt>), ActionError> {
    let mut reports: Vec<Option<TendOutcome>> = vec![None; tend.len()];
    if tend.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut halt = match own {
        Some(own) => own.check(client).await?,
        None => None,
    };
    if earlier {
        let ids: Vec<TaskId> = tend.iter().map(|tend| tend.task_id).collect();
        let seen = seen(client, Policy::Graft, &ids).await?;
        for (tend, report) in tend.iter().zip(&mut reports) {
            let due = seen.get(&tend.task_id).is_none_or(|seen| tend.is_due(&seen.status));
            *report = (!due).then_some(TendOutcome::NotDue);
        }
    }
    let looking = impatient(client);
    let ended = async {
        match own {
            Some(own) => own.ended(&looking, |_| ()).await,
            None => pending().await,
        }
    };
    let mut ended = std::pin::pin!(ended.fuse());
    let mut due = (0..tend.len()).filter(|at| reports[*at].is_none()).collect::<Vec<_>>().into_iter();
    let mut calls = FuturesUnordered::new();
    loop {
        while halt.is_none()
            && calls.len() < CONCURRENCY
            && let Some(at) = due.next()
        {
            calls.push(call(client, at, &tend[at]));
        }
        if calls.is_empty() {
            break;
        }
        futures_util::select! {
            answered = calls.next() => if let Some((at, outcome)) = answered {
                if let Some(line) = line(&tend[at], &outcome) {
                    log(&line);
                }
                reports[at] = Some(outcome);
            },
            why = ended => halt = halt.or(Some(why?)),
            () = stop => halt = halt.or(Some(Halt::Interrupted)),
        }
    }
    let reports = tend.iter().zip(reports).map(|(tend, outcome)| TendReport {
        care: tend.care,
        task_id: tend.task_id,
        label: tend.label.clone(),
        outcome: outcome.unwrap_or(TendOutcome::Stopped),
    });
    Ok((reports.collect(), halt))
}

async fn call(client: &Client, at: usize, tend: &Tend) -> (usize, TendOutcome) {
    let answer = match tend.care {
        Care::Rerun => client.queue().rerun_task(tend.task_id).await,
        Care::Cancel => client.queue().cancel_task(tend.task_id).await,
    };
    let outcome = match answer {
        Ok(_) => TendOutcome::Done,
        Err(Error::Conflict { .. }) if tend.care == Care::Cancel => TendOutcome::PastDeadline,
        Err(Error::Conflict { message, .. }) => {
            TendOutcome::Rejected { status: 409, code: "RequestConflict".into(), message }
        }
        Err(Error::Rejected { status, code, message, .. }) => TendOutcome::Rejected { status, code, message },
        Err(error) => TendOutcome::Unanswered { message: error.to_string() },
    };
    (at, outcome)
}

/// What people read of it.
fn line(tend: &Tend, outcome: &TendOutcome) -> Option<String> {
    let what = match &tend.label {
        Some(label) => format!("{label}  {}", tend.task_id),
        None => tend.task_id.to_string(),
    };
    let (done, verb) = match tend.care {
        Care::Rerun => ("rerun", "run again"),
        Care::Cancel => ("cancelled", "cancelled"),
    };
    match outcome {
        TendOutcome::Done => Some(format!("{done}  {what}")),
        TendOutcome::NotDue => None,
        TendOutcome::PastDeadline => Some(format!("{what} is past its deadline and isn't running: not {verb}")),
        TendOutcome::Rejected { message, .. } | TendOutcome::Unanswered { message } => {
            Some(format!("{what} was not {verb}: {}", message.lines().next().unwrap_or_default()))
        }
        TendOutcome::Stopped => None,
    }
}
