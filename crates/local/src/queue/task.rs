//! A task as the tables keep it.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, Transaction};
use serde_json::value::RawValue;
use taskgraft_core::api::queue::{Priority, TaskDefinition, TaskStatus};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{Life, Run, TaskState};
use taskgraft_core::time::Millis;

use taskgraft_store::StoreError;

/// A task without its definition.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// What other tables call it.
    pub(crate) row: i64,
    pub(crate) task_id: TaskId,
    pub(crate) task_group_id: TaskId,
    pub(crate) task_queue_id: String,
    pub(crate) scheduler_id: String,
    pub(crate) project_id: String,
    pub(crate) priority: Priority,
    pub(crate) expires: Timestamp,
    /// How many dependencies are not satisfied; -1 until they are tracked at all.
    pub(crate) waiting: i64,
    pub(crate) life: Life,
}

/// What [`Task::of`] reads, to be followed by `WHERE`; `t` is the task.
pub(super) const TASKS: &str = "SELECT t.id, t.task_id, g.group_id, t.task_queue_id, t.scheduler_id, t.project_id, \
     t.priority, t.expires, t.waiting, t.retries, t.retries_left, t.deadline, t.runs \
     FROM tasks t JOIN task_groups g ON g.id = t.group_row ";

/// Like [`TASKS`], with the definition as column 13.
pub(super) const TASKS_DEFINED: &str = "SELECT t.id, t.task_id, g.group_id, t.task_queue_id, t.scheduler_id, \
     t.project_id, t.priority, t.expires, t.waiting, t.retries, t.retries_left, t.deadline, \
     t.runs, d.body FROM tasks t JOIN task_groups g ON g.id = t.group_row JOIN definitions d ON d.id = t.id ";

impl Task {
    /// Reads a row that begins with the columns of [`TASKS`].
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let runs: Vec<Run> = parsed(12, serde_json::from_str(row.get_ref(12)?.as_str()?))?;
        Ok(Self {
            row: row.get(0)?,
            task_id: parsed(1, row.get_ref(1)?.as_str()?.parse())?,
            task_group_id: parsed(2, row.get_ref(2)?.as_str()?.parse())?,
            task_queue_id: row.get(3)?,
            scheduler_id: row.get(4)?,
            project_id: row.get(5)?,
            priority: priority_of(row.get(6)?),
            expires: moment(row, 7)?,
            waiting: row.get(8)?,
            life: Life { runs, retries: row.get(9)?, retries_left: row.get(10)?, deadline: moment(row, 11)? },
        })
    }

    pub(crate) fn find(tx: &Transaction<'_>, task_id: TaskId) -> Result<Option<Self>, StoreError> {
        let mut statement = tx.prepare_cached(&format!("{TASKS} WHERE t.task_id = ?"))?;
        Ok(statement.query_row([task_id.as_str()], Self::of).optional()?)
    }

    pub(super) fn by_row(tx: &Transaction<'_>, row: i64) -> Result<Option<Self>, StoreError> {
        let mut statement = tx.prepare_cached(&format!("{TASKS} WHERE t.id = ?"))?;
        Ok(statement.query_row([row], Self::of).optional()?)
    }

    /// The definition's text, as on the wire.
    pub(crate) fn body(&self, tx: &Transaction<'_>) -> Result<Box<RawValue>, StoreError> {
        let mut statement = tx.prepare_cached("SELECT body FROM definitions WHERE id = ?")?;
        Ok(statement.query_row([self.row], |row| raw(row, 0))?)
    }

    /// The definition, parsed.
    pub(crate) fn definition(&self, tx: &Transaction<'_>) -> Result<TaskDefinition, StoreError> {
        let body = self.body(tx)?;
        Ok(parsed(0, serde_json::from_str(body.get()))?)
    }

    pub(crate) fn state(&self) -> TaskState {
        self.life.state()
    }

    /// As on the wire.
    pub(crate) fn status(&self) -> TaskStatus {
        let (provisioner_id, worker_type) = split_queue_id(&self.task_queue_id);
        TaskStatus {
            task_id: self.task_id,
            provisioner_id: provisioner_id.to_owned(),
            worker_type: worker_type.to_owned(),
            task_queue_id: self.task_queue_id.clone(),
            scheduler_id: self.scheduler_id.clone(),
            project_id: self.project_id.clone(),
            task_group_id: self.task_group_id,
            priority: self.priority,
            deadline: Millis::from(self.life.deadline),
            expires: Millis::from(self.expires),
            retries_left: self.life.retries_left,
            state: self.state(),
            runs: self.life.runs.clone(),
        }
    }

    /// The run's number if the task has it.
    pub(super) fn run(&self, run: u16) -> Option<&Run> {
        self.life.runs.get(usize::from(run))
    }
}

/// `<provisionerId>/<workerType>` in its halves.
pub(super) fn split_queue_id(task_queue_id: &str) -> (&str, &str) {
    task_queue_id.split_once('/').unwrap_or((task_queue_id, ""))
}

/// A column that holds JSON.
pub(super) fn raw(row: &Row<'_>, column: usize) -> rusqlite::Result<Box<RawValue>> {
    parsed(column, RawValue::from_string(row.get(column)?))
}

/// A column that holds a moment.
pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    parsed(column, Timestamp::from_millisecond(row.get(column)?))
}

/// What a column should hold, or the database's error for a column that doesn't.
pub(super) fn parsed<T, E>(column: usize, value: Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// How the tables write a priority: 0 lowest to 6 highest.
pub(super) fn priority_code(priority: Priority) -> i64 {
    Priority::ALL.iter().zip(0..).find(|(known, _)| **known == priority).map_or(0, |(_, code)| code)
}

fn priority_of(code: u8) -> Priority {
    Priority::ALL.get(usize::from(code)).copied().unwrap_or_default()
}

/// How the tables write a state: 0 unscheduled to 5 exception; 3 and more are resolved.
pub(super) fn state_code(state: TaskState) -> i64 {
    match state {
        TaskState::Unscheduled => 0,
        TaskState::Pending => 1,
        TaskState::Running => 2,
        TaskState::Completed => 3,
        TaskState::Failed => 4,
        TaskState::Exception => 5,
    }
}
