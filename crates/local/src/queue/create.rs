//! `createTask`: idempotent, and whole or not at all.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Deserialize as _;
use serde_json::Value;
use taskgraft_core::api::queue::{Requires, TaskDefinition, TaskStatusResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::state::{Event, Life, Step, TaskState, step};

use super::change::{Changes, change};
use super::definition::{check_scopes, fill_in_queue_id, fill_in_times, needed_scopes};
use super::task::{Task, parsed, priority_code, state_code};
use super::{groups, task_id};
use crate::Ctx;
use crate::http::{ApiError, Call, Reply};
use taskgraft_store::StoreError;

/// A task to be inserted: all that can be judged without looking at what there is has been.
pub(crate) struct NewTask {
    task_id: TaskId,
    definition: TaskDefinition,
    expires: Timestamp,
    /// The definition as it is stored and compared.
    body: String,
    /// Whether to stop, as a crash would, before the dependencies are tracked.
    breaks: bool,
}

/// What became of it.
enum Created {
    Whole(Task),
    /// The task is there, its dependencies are not: what a crash of a real queue can leave behind.
    Half,
}

pub(super) async fn create_task(ctx: &Arc<Ctx>, call: &mut Call) -> Result<Reply, ApiError> {
    let task_id = task_id(call)?;
    let mut body = std::mem::take(call.body_mut());
    let prepared = NewTask::prepare(ctx, task_id, &mut body, |needed| call.authorize(needed));
    // Errors show the body as it has become.
    *call.body_mut() = body;
    let mut new = prepared?;
    new.breaks = !new.definition.dependencies.is_empty() && ctx.queue.breaks_next_create();
    match change(ctx, move |changes| changes.create(&new)).await? {
        Created::Whole(task) => Reply::json(&TaskStatusResponse { status: task.status() }),
        Created::Half => Err(ApiError::internal("asked to break between a task and its dependencies")),
    }
}

/// Creates a task together with what `also` writes: both, or neither.
pub(crate) async fn create_with(
    ctx: &Arc<Ctx>,
    new: NewTask,
    also: impl FnOnce(&Transaction<'_>) -> Result<(), ApiError> + Send + 'static,
) -> Result<(), ApiError> {
    change(ctx, move |changes| {
        changes.create(&new)?;
        also(changes.tx)
    })
    .await
}

impl NewTask {
    /// Judges a body that its schema has let through, fills in what it lacks, and asks `authorize` for the scopes that
    /// creating the task needs.
    pub(crate) fn prepare(
        ctx: &Ctx,
        task_id: TaskId,
        body: &mut Value,
        authorize: impl FnOnce(ScopeExpression) -> Result<(), ApiError>,
    ) -> Result<Self, ApiError> {
        if let Value::Object(body) = body {
            fill_in_queue_id(body)?;
        }
        authorize(needed_scopes(body))?;
        if let Value::Object(body) = body {
            fill_in_times(body, task_id, ctx.now())?;
        }
        let definition = TaskDefinition::deserialize(&*body);
        let definition = definition.map_err(|error| ApiError::input(format!("Failed to read the payload: {error}")))?;
        check_scopes(&definition)?;
        Ok(Self {
            task_id,
            expires: definition.expires.unwrap_or(definition.deadline).0,
            body: serde_json::to_string(&definition).map_err(ApiError::internal)?,
            breaks: false,
            definition,
        })
    }
}

/// What a new task's dependencies come to.
struct Dependencies {
    /// Row ids, and whether each is satisfied already.
    rows: Vec<(i64, bool)>,
    /// Whether the task depends on itself, which only scheduling it by hand resolves.
    itself: bool,
}

impl Dependencies {
    fn waiting(&self) -> usize {
        self.rows.iter().filter(|(_, satisfied)| !satisfied).count() + usize::from(self.itself)
    }
}

impl Changes<'_> {
    fn create(&mut self, new: &NewTask) -> Result<Created, ApiError> {
        let group = groups::join(self, &new.definition, new.expires)?;
        match Task::find(self.tx, new.task_id)? {
            Some(known) => self.again(new, known).map(Created::Whole),
            None => self.insert(new, group),
        }
    }

    /// The task exists: the same definition is no mistake, and finishes what a break left half done.
    fn again(&mut self, new: &NewTask, mut known: Task) -> Result<Task, ApiError> {
        let stored = known.body(self.tx)?;
        if stored.get() != new.body && known.definition(self.tx)? != new.definition {
            return Err(ApiError::conflict(format!(
                "taskId `{}` already used by another task.\nThis could be the result of faulty idempotency!",
                new.task_id
            )));
        }
        if known.waiting < 0 {
            let dependencies = self.dependencies(new)?;
            self.track(&mut known, &dependencies)?;
            self.inserted(&known)?;
            if known.waiting == 0 {
                self.apply(&mut known, &Event::Schedule).map_err(|error| error.or(ApiError::internal))?;
            }
        }
        Ok(known)
    }

    fn insert(&mut self, new: &NewTask, group: i64) -> Result<Created, ApiError> {
        let unborn = Life::new(new.definition.retries, new.definition.deadline.0);
        if new.breaks {
            self.insert_rows(new, group, unborn, -1)?;
            return Ok(Created::Half);
        }
        let dependencies = self.dependencies(new)?;
        let ready = dependencies.waiting() == 0;
        let life = match ready.then(|| step(&unborn, &Event::Schedule, self.now)).transpose() {
            Ok(Some(Step::Changed(life))) => life,
            Ok(Some(Step::Same) | None) => unborn,
            Err(refusal) => return Err(ApiError::internal(refusal)),
        };
        let mut task = self.insert_rows(new, group, life, 0)?;
        self.track(&mut task, &dependencies)?;
        self.inserted(&task)?;
        Ok(Created::Whole(task))
    }

    fn insert_rows(&self, new: &NewTask, group: i64, life: Life, waiting: i64) -> Result<Task, StoreError> {
        let definition = &new.definition;
        self.tx
            .prepare_cached(
                "INSERT INTO tasks (task_id, group_row, task_queue_id, scheduler_id, project_id, priority, \
                 requires_resolved, retries, retries_left, deadline, expires, state, since, waiting, runs) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                new.task_id.as_str(),
                group,
                definition.task_queue_id,
                definition.scheduler_id,
                definition.project_id,
                priority_code(definition.priority),
                definition.requires == Requires::AllResolved,
                definition.retries,
                definition.deadline.epoch(),
                new.expires.as_millisecond(),
                state_code(life.state()),
                self.now.as_millisecond(),
                waiting,
                parsed(0, serde_json::to_string(&life.runs))?,
            ])?;
        let row = self.tx.last_insert_rowid();
        self.tx
            .prepare_cached("INSERT INTO definitions (id, body) VALUES (?1, ?2)")?
            .execute(params![row, new.body])?;
        Ok(Task {
            row,
            task_id: new.task_id,
            task_group_id: definition.task_group_id,
            task_queue_id: definition.task_queue_id.clone(),
            scheduler_id: definition.scheduler_id.clone(),
            project_id: definition.project_id.clone(),
            priority: definition.priority,
            expires: new.expires,
            waiting,
            life,
        })
    }

    /// Looks up what the task depends on; all of it must exist, and outlive the task's deadline.
    fn dependencies(&self, new: &NewTask) -> Result<Dependencies, ApiError> {
        let definition = &new.definition;
        let mut found = Dependencies { rows: Vec::with_capacity(definition.dependencies.len()), itself: false };
        let (mut missing, mut expiring) = (Vec::new(), Vec::new());
        for id in &definition.dependencies {
            if *id == new.task_id {
                found.itself = true;
                continue;
            }
            match self.dependency(*id)? {
                None => missing.push(*id),
                Some((_, _, expires)) if expires < definition.deadline.epoch() => expiring.push(*id),
                Some((row, state, _)) => {
                    let resolved = state >= state_code(TaskState::Completed);
                    let completed = state == state_code(TaskState::Completed);
                    let enough = if definition.requires == Requires::AllResolved { resolved } else { completed };
                    found.rows.push((row, enough));
                }
            }
        }
        match (missing.as_slice(), expiring.as_slice()) {
            ([], []) => Ok(found),
            (missing, expiring) => Err(ApiError::input(unusable(missing, expiring))),
        }
    }

    /// Row id, state and expiry of a task.
    fn dependency(&self, id: TaskId) -> Result<Option<(i64, i64, i64)>, StoreError> {
        let mut statement = self.tx.prepare_cached("SELECT id, state, expires FROM tasks WHERE task_id = ?")?;
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(statement.query_row([id.as_str()], columns).optional()?)
    }

    fn track(&self, task: &mut Task, dependencies: &Dependencies) -> Result<(), StoreError> {
        let mut insert = self
            .tx
            .prepare_cached("INSERT INTO dependencies (dependency, dependent, satisfied) VALUES (?1, ?2, ?3)")?;
        for (dependency, satisfied) in &dependencies.rows {
            insert.execute(params![dependency, task.row, satisfied])?;
        }
        if dependencies.itself {
            insert.execute(params![task.row, task.row, false])?;
        }
        let waiting = i64::try_from(dependencies.waiting()).unwrap_or(i64::MAX);
        if waiting != task.waiting {
            self.tx
                .prepare_cached("UPDATE tasks SET waiting = ?2 WHERE id = ?1")?
                .execute(params![task.row, waiting])?;
            task.waiting = waiting;
        }
        Ok(())
    }
}

fn unusable(missing: &[TaskId], expiring: &[TaskId]) -> String {
    let mut text = String::new();
    if !missing.is_empty() {
        text += "`task.dependencies` references non-existing tasks: \n";
        text += &missing.iter().map(|id| format!(" * {id}\n")).collect::<String>();
        text += "All taskIds in `task.dependencies` **must** exist\nbefore the task is created.\n";
    }
    if !expiring.is_empty() {
        text += "`task.dependencies` references tasks that expires\nbefore `task.deadline` this is not allowed, \
                 see tasks: \n";
        text += &expiring.iter().map(|id| format!(" * {id},\n")).collect::<String>();
        text += "All taskIds in `task.dependencies` **must** have\n`task.expires` greater than the `deadline` for \
                 this task.\n";
    }
    text
}
