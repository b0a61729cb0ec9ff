//! A queue in memory, faithful to what creation meets: idempotent PUT, 409s, dependencies tracked after insertion.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::frontier::{Answer, Call};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Answers, GroupFact, StatusFact, Wants};
use taskgraft_core::state::TaskState;
use taskgraft_core::time::{Millis, format_ms, parse};

/// Numbers that look random and are not.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }

    /// Once in `n` times; never for 0.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        n > 0 && self.roll(n) == 0
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SimTask {
    pub(crate) definition: Value,
    pub(crate) state: TaskState,
    /// Its dependencies were tracked after it was inserted.
    pub(crate) tracked: bool,
    pub(crate) resolved: Option<Timestamp>,
}

/// How often things go wrong: once in so many calls; 0 is never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// 500 before anything happens.
    pub(crate) refused: u64,
    /// The answer is lost after everything happened.
    pub(crate) lost: u64,
    /// The queue dies between inserting a task and tracking its dependencies.
    pub(crate) half: u64,
}

#[derive(Clone)]
pub(crate) struct SimQueue {
    pub(crate) now: Timestamp,
    pub(crate) tasks: BTreeMap<TaskId, SimTask>,
    pub(crate) groups: BTreeMap<TaskId, GroupFact>,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    /// Ids in the order of their insertion.
    pub(crate) log: Vec<TaskId>,
}

fn text<'a>(definition: &'a Value, field: &str) -> &'a str {
    definition.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn moment(definition: &Value, field: &str) -> Timestamp {
    parse(text(definition, field)).unwrap()
}

pub(crate) fn dependencies(definition: &Value) -> Vec<TaskId> {
    let list = definition.get("dependencies").and_then(Value::as_array);
    list.into_iter().flatten().map(|id| id.as_str().unwrap().parse().unwrap()).collect()
}

fn rejected(message: &str) -> Answer {
    Answer::Rejected { status: 400, code: "InputError".to_owned(), message: message.to_owned() }
}

fn conflict() -> Answer {
    Answer::Conflict { message: "RequestConflict".to_owned() }
}

impl SimQueue {
    pub(crate) fn new(now: Timestamp, seed: u64) -> Self {
        Self {
            now,
            tasks: BTreeMap::new(),
            groups: BTreeMap::new(),
            faults: Faults::default(),
            dice: Dice(seed),
            log: Vec::new(),
        }
    }

    /// Puts a task there without any checks.
    pub(crate) fn plant(&mut self, id: TaskId, mut definition: Value, state: TaskState) {
        let defaults = json!({
            "created": format_ms(self.now), "deadline": format_ms(self.now + SignedDuration::from_hours(24)),
            "expires": format_ms(self.now + SignedDuration::from_hours(24 * 365)), "dependencies": [], "payload": {},
        });
        for (key, value) in defaults.as_object().unwrap() {
            definition.as_object_mut().unwrap().entry(key.clone()).or_insert(value.clone());
        }
        fill(&mut definition, id);
        let resolved = state.is_resolved().then_some(self.now);
        self.tasks.insert(id, SimTask { definition, state, tracked: true, resolved });
    }

    /// Makes a call, with whatever goes wrong on the way.
    pub(crate) fn call(&mut self, call: &Call) -> Answer {
        if self.dice.once_in(self.faults.refused) {
            return Answer::Transient { message: "503".to_owned() };
        }
        let answer = self.answer(call);
        if self.dice.once_in(self.faults.lost) {
            return Answer::Transient { message: "connection reset".to_owned() };
        }
        answer
    }

    fn answer(&mut self, call: &Call) -> Answer {
        match call {
            Call::Create { task_id, definition } | Call::PutBack { task_id, definition } => {
                self.create(*task_id, definition.clone())
            }
            Call::ReadTask { task_id } => match (self.tasks.get(task_id), self.status(*task_id)) {
                (Some(task), Some(status)) => Answer::Task { definition: task.definition.clone(), status },
                _ => Answer::Absent,
            },
            Call::ReadGroup { group } => match self.groups.get(group) {
                Some(group) => Answer::Group { scheduler_id: group.scheduler_id.clone(), sealed: group.sealed },
                None => Answer::Absent,
            },
            Call::ReadStatuses { task_ids } => {
                assert!(task_ids.iter().collect::<BTreeSet<_>>().len() == task_ids.len(), "each id once");
                Answer::Statuses { found: task_ids.iter().filter_map(|id| Some((*id, self.status(*id)?))).collect() }
            }
            Call::Schedule { task_id } => self.change(*task_id, |task| {
                if task.state == TaskState::Unscheduled {
                    task.state = TaskState::Pending;
                }
            }),
            Call::Rerun { task_id } => self.change(*task_id, |task| {
                if task.state.is_resolved() {
                    task.state = TaskState::Pending;
                }
            }),
            Call::Cancel { task_id } => self.change(*task_id, |task| {
                if !task.state.is_resolved() {
                    task.state = TaskState::Exception;
                }
            }),
        }
    }

    fn change(&mut self, id: TaskId, change: impl FnOnce(&mut SimTask)) -> Answer {
        match self.tasks.get_mut(&id) {
            Some(task) => {
                change(task);
                Answer::Status { state: task.state }
            }
            None => Answer::Absent,
        }
    }

    pub(crate) fn status(&self, id: TaskId) -> Option<StatusFact> {
        let task = self.tasks.get(&id)?;
        Some(StatusFact {
            state: task.state,
            expires: moment(&task.definition, "expires").into(),
            deadline: moment(&task.definition, "deadline").into(),
            resolved: task.resolved.map(Millis::from),
            group: task.definition["taskGroupId"].as_str().and_then(|id| id.parse().ok()),
        })
    }

    fn create(&mut self, id: TaskId, mut definition: Value) -> Answer {
        assert!(id.is_v4(), "{id} is no slugid");
        fill(&mut definition, id);
        if self.now.duration_since(moment(&definition, "created")).abs() > SignedDuration::from_mins(15) {
            return rejected("created is too far from now");
        }
        if moment(&definition, "deadline") < self.now
            || moment(&definition, "expires") < moment(&definition, "deadline")
        {
            return rejected("deadline or expires");
        }
        let group: TaskId = text(&definition, "taskGroupId").parse().unwrap();
        let scheduler_id = text(&definition, "schedulerId").to_owned();
        let known = self.groups.entry(group).or_insert(GroupFact { scheduler_id: scheduler_id.clone(), sealed: None });
        if known.scheduler_id != scheduler_id || known.sealed.is_some() {
            return conflict();
        }
        if let Some(task) = self.tasks.get(&id) {
            if task.definition != definition {
                return conflict();
            }
        } else {
            let task = SimTask { definition, state: TaskState::Unscheduled, tracked: false, resolved: None };
            self.tasks.insert(id, task);
            self.log.push(id);
            if self.dice.once_in(self.faults.half) {
                return Answer::Transient { message: "500".to_owned() };
            }
        }
        self.track(id)
    }

    fn track(&mut self, id: TaskId) -> Answer {
        let definition = self.tasks[&id].definition.clone();
        let on = dependencies(&definition);
        let distinct: BTreeSet<&TaskId> = on.iter().collect();
        let deadline = moment(&definition, "deadline");
        let fits = |on: &TaskId| self.status(*on).is_some_and(|status| status.expires.0 >= deadline);
        if distinct.len() != on.len() || !on.iter().all(fits) {
            self.tasks.remove(&id);
            self.log.retain(|logged| *logged != id);
            return rejected("dependencies");
        }
        let satisfied = on.iter().all(|on| self.tasks[on].state == TaskState::Completed);
        let task = self.tasks.get_mut(&id).unwrap();
        task.tracked = true;
        if satisfied && task.state == TaskState::Unscheduled {
            task.state = TaskState::Pending;
        }
        Answer::Status { state: task.state }
    }

    /// Resolves a task and releases what was tracked to wait for it.
    pub(crate) fn resolve(&mut self, id: TaskId, state: TaskState) {
        let now = self.now;
        let task = self.tasks.get_mut(&id).unwrap();
        task.state = state;
        task.resolved = Some(now);
        let ready: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.tracked
                    && task.state == TaskState::Unscheduled
                    && dependencies(&task.definition)
                        .iter()
                        .all(|on| self.tasks.get(on).is_some_and(|on| on.state == TaskState::Completed))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            self.tasks.get_mut(&id).unwrap().state = TaskState::Pending;
        }
    }

    /// Runs everything that can run, successfully.
    pub(crate) fn run_to_the_end(&mut self) {
        while let Some(id) = self
            .tasks
            .iter()
            .find(|(_, task)| matches!(task.state, TaskState::Pending | TaskState::Running))
            .map(|(id, _)| *id)
        {
            self.resolve(id, TaskState::Completed);
        }
    }

    /// The answers to what a plan wants to know.
    pub(crate) fn answers(&self, wants: &Wants, index: &BTreeMap<String, TaskId>) -> Answers {
        Answers {
            index: wants.index.iter().filter_map(|path| Some((path.clone(), *index.get(path)?))).collect(),
            statuses: wants.statuses.iter().filter_map(|id| Some((*id, self.status(*id)?))).collect(),
            tasks: wants.tasks.iter().filter_map(|id| Some((*id, self.tasks.get(id)?.definition.clone()))).collect(),
        }
    }
}

/// The queue's defaults, as far as they matter here.
fn fill(definition: &mut Value, id: TaskId) {
    let defaults = json!({
        "schedulerId": "-", "projectId": "none", "taskGroupId": id, "priority": "lowest", "retries": 5, "routes": [],
        "scopes": [], "tags": {}, "extra": {}, "requires": "all-completed", "dependencies": [],
        "taskQueueId": format!("{}/{}", text(definition, "provisionerId"), text(definition, "workerType")),
    });
    let fields = definition.as_object_mut().unwrap();
    for (key, value) in defaults.as_object().unwrap() {
        fields.entry(key.clone()).or_insert(value.clone());
    }
}
