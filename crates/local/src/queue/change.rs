//! The only place that writes a task's state: it asks [`step`] what an event makes of the task, writes that, and does
//! what follows from it in the same transaction, so that no crash can come between: a resolved task's dependents
//! become pending, a completed task is indexed.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Event, Life, Refusal, Step, TaskState, step};

use super::events::{Happened, TaskChange, What};
use super::groups;
use super::messages::{self, Message, Subject};
use super::outbox;
use super::task::{Task, parsed, state_code};
use crate::Ctx;
use crate::http::ApiError;
use crate::index;
use taskgraft_store::StoreError;

/// A transaction in which tasks change, and what has happened in it so far.
pub(super) struct Changes<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) now: Timestamp,
    happened: Vec<Happened>,
    /// What the exchanges say of it; none where nobody hears them.
    messages: Option<Vec<Arc<Message>>>,
}

/// Why a change was not made.
#[derive(Debug)]
pub(super) enum ChangeError {
    /// The event cannot happen to the task.
    Refused(Refusal),
    /// The store could not.
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for ChangeError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl ChangeError {
    /// The error to answer with, given what a refusal means to the caller.
    pub(super) fn or(self, refused: impl FnOnce(Refusal) -> ApiError) -> ApiError {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::Store(error) => error.into(),
        }
    }
}

/// Runs `work` in a transaction, and tells what happened once it is on disk.
pub(super) async fn change<T, F>(ctx: &Arc<Ctx>, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&mut Changes<'_>) -> Result<T, ApiError> + Send + 'static,
{
    let (now, bus, kept) = (ctx.now(), ctx.queue.bus.clone(), ctx.queue.publishes);
    let wanted = kept || bus.has_messages();
    let work = move |tx: &Transaction<'_>| {
        let mut changes = Changes { tx, now, happened: Vec::new(), messages: wanted.then(Vec::new) };
        let value = work(&mut changes)?;
        let messages = changes.messages.unwrap_or_default();
        if kept {
            outbox::keep(tx, &messages).map_err(ApiError::from)?;
        }
        Ok((value, (changes.happened, messages)))
    };
    let written = Arc::clone(&ctx.queue.written);
    let tell = move |(happened, messages)| {
        bus.publish(happened, messages);
        written.notify_one();
    };
    ctx.store.write_then(work, tell).await
}

impl Changes<'_> {
    /// Lets `event` happen to `task`; says whether it changed anything.
    pub(super) fn apply(&mut self, task: &mut Task, event: &Event) -> Result<bool, ChangeError> {
        match step(&task.life, event, self.now).map_err(ChangeError::Refused)? {
            Step::Same => Ok(false),
            Step::Changed(next) => {
                self.write(task, &next)?;
                let before = std::mem::replace(&mut task.life, next);
                self.follow(task, &before)?;
                Ok(true)
            }
        }
    }

    /// Says that a task has been inserted, `task.life` being its first.
    pub(super) fn inserted(&mut self, task: &Task) -> Result<(), StoreError> {
        self.tell(task, What::Defined);
        self.say(task, |subject| Some(subject.defined()))?;
        let unborn = Life { runs: Vec::new(), ..task.life.clone() };
        self.tell_runs(task, &unborn)
    }

    /// Has the exchanges say something of a task, if anybody hears it.
    pub(super) fn say(
        &mut self,
        task: &Task,
        message: impl FnOnce(&Subject<'_>) -> Option<Message>,
    ) -> Result<(), StoreError> {
        if let Some(messages) = &mut self.messages {
            let subject = Subject::new(task, task.definition(self.tx)?);
            messages.extend(message(&subject).map(Arc::new));
        }
        Ok(())
    }

    /// Has the exchanges say something of a group, if anybody hears it.
    pub(super) fn say_of_group(&mut self, message: impl FnOnce() -> Message) {
        if let Some(messages) = &mut self.messages {
            messages.push(Arc::new(message()));
        }
    }

    fn write(&self, task: &Task, next: &Life) -> Result<(), StoreError> {
        let runs = parsed(0, serde_json::to_string(&next.runs))?;
        let taken_until = match next.state() {
            TaskState::Running => next.runs.last().and_then(|run| run.taken_until),
            TaskState::Unscheduled
            | TaskState::Pending
            | TaskState::Completed
            | TaskState::Failed
            | TaskState::Exception => None,
        };
        let enters = next.state() != task.state() || next.runs.len() != task.life.runs.len();
        self.tx
            .prepare_cached(
                "UPDATE tasks SET state = ?2, taken_until = ?3, retries_left = ?4, runs = ?5, \
                 since = CASE WHEN ?6 THEN ?7 ELSE since END WHERE id = ?1",
            )?
            .execute(params![
                task.row,
                state_code(next.state()),
                taken_until.map(|moment| moment.epoch()),
                next.retries_left,
                runs,
                enters,
                self.now.as_millisecond(),
            ])?;
        Ok(())
    }

    /// What follows from a change: `task` is already as it is now.
    fn follow(&mut self, task: &Task, before: &Life) -> Result<(), StoreError> {
        self.tell_runs(task, before)?;
        if task.state().is_resolved() {
            if task.state() == TaskState::Completed {
                index::ops::insert_on_completion(self.tx, task.task_id, &task.definition(self.tx)?, self.now)?;
            }
            self.release_dependents(task)?;
            if let Some(group) = groups::resolved(self.tx, task.task_group_id)? {
                self.happened.push(Happened::GroupResolved(group.task_group_id));
                self.say_of_group(|| messages::group_resolved(&group));
            }
        }
        Ok(())
    }

    /// Counts a resolved task off its dependents' waiting, and schedules those that wait for nothing more.
    fn release_dependents(&mut self, task: &Task) -> Result<(), StoreError> {
        let dependents: Vec<i64> = self
            .tx
            .prepare_cached(
                "SELECT d.dependent FROM dependencies d JOIN tasks t ON t.id = d.dependent \
                 WHERE d.dependency = ?1 AND NOT d.satisfied AND (?2 OR t.requires_resolved)",
            )?
            .query_map(params![task.row, task.state() == TaskState::Completed], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for dependent in dependents {
            self.tx
                .prepare_cached("UPDATE dependencies SET satisfied = 1 WHERE dependency = ?1 AND dependent = ?2")?
                .execute([task.row, dependent])?;
            let waiting: i64 = self
                .tx
                .prepare_cached("UPDATE tasks SET waiting = waiting - 1 WHERE id = ?1 RETURNING waiting")?
                .query_row([dependent], |row| row.get(0))?;
            if waiting == 0 {
                self.schedule_if_possible(dependent)?;
            }
        }
        Ok(())
    }

    fn schedule_if_possible(&mut self, row: i64) -> Result<(), StoreError> {
        let Some(mut task) = Task::by_row(self.tx, row)? else { return Ok(()) };
        match self.apply(&mut task, &Event::Schedule) {
            // Past its deadline a task is left to the job that resolves it.
            Ok(_) | Err(ChangeError::Refused(_)) => Ok(()),
            Err(ChangeError::Store(error)) => Err(error),
        }
    }

    /// Tells of every run that entered another state.
    fn tell_runs(&mut self, task: &Task, before: &Life) -> Result<(), StoreError> {
        for (at, run) in task.life.runs.iter().enumerate() {
            if before.runs.get(at).map(|old| old.state) != Some(run.state) {
                self.tell(task, What::Run(run.run_id, run.state));
                self.say(task, |subject| Some(subject.run(run)))?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, task: &Task, what: What) {
        self.happened.push(Happened::Task(TaskChange {
            task_id: task.task_id,
            task_group_id: task.task_group_id,
            task_queue_id: task.task_queue_id.clone(),
            state: task.state(),
            what,
        }));
    }

    /// The task, or the error that says there is none.
    pub(super) fn task(&self, task_id: TaskId) -> Result<Task, ApiError> {
        Task::find(self.tx, task_id)?
            .ok_or_else(|| ApiError::not_found(format!("Task `{task_id}` not found. Are you sure it was created?")))
    }
}
