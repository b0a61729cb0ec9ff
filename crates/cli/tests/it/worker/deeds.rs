//! What actions of killed workers do, and how one sees that it was done once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskgraft_core::action::by_callback;
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState};
use taskgraft_core::time::Millis;

use super::{changed_action_task, runs, status};
use crate::pushes::{another_publishing, claim, members_of};
use crate::server::{Up, wait_for};

/// A job that needs others. It may not be retriggered.
const JOB: &str = "lint-c";
/// A job that needs just one other, and may be retriggered.
const SMALL: &str = "test-python";

const FAILED: Run = (RunState::Failed, Some(ReasonResolved::Failed));
const CANCELED: Run = (RunState::Exception, Some(ReasonResolved::Canceled));
const PENDING: Run = (RunState::Pending, None);

/// How a run ended.
type Run = (RunState, Option<ReasonResolved>);

/// A task that is there before anybody asks.
#[derive(Debug)]
struct There {
    label: &'static str,
    /// Whether its run has failed; else it is pending.
    failed: bool,
    /// How its runs have ended when the action has.
    after: &'static [Run],
}

/// What an action does to a push.
#[derive(Debug)]
pub(super) struct Deed {
    /// What action tasks call the action by.
    pub(super) callback: &'static str,
    /// The action's input.
    input: &'static str,
    there: Option<There>,
    /// Whether it is asked for the task that is there rather than for the push.
    of_the_task: bool,
    /// How many tasks of which jobs the push has then.
    jobs: &'static [(&'static str, usize)],
    /// Whether it has one task each of what they need, too.
    and_needed: bool,
    /// How many tasks of [`JOB`] the push before this one has then.
    before: usize,
    /// At so many steps at least is it tried to kill a worker that goes on itself.
    steps: usize,
    /// The same where another one goes on.
    steps_for_another: usize,
}

impl Deed {
    const fn new(callback: &'static str, input: &'static str, jobs: &'static [(&'static str, usize)]) -> Self {
        Self {
            callback,
            input,
            there: None,
            of_the_task: false,
            jobs,
            and_needed: true,
            before: 0,
            steps: 0,
            steps_for_another: 0,
        }
    }

    /// The fewest steps at which a worker was killed, where `itself` it goes on or else another one.
    pub(super) fn fewest_steps(&self, itself: bool) -> usize {
        if itself { self.steps } else { self.steps_for_another }
    }

    /// In so many steps at least. Who goes on itself also looks up what others told, whose number may vary by some.
    const fn steps(self, steps: usize, steps_for_another: usize) -> Self {
        Self { steps, steps_for_another, ..self }
    }

    /// Whether what all actions do alike is tried with this one.
    pub(super) fn is_tried_throughout(&self) -> bool {
        self.callback == "add-new-jobs"
    }

    const fn where_pending(self, label: &'static str, after: &'static [Run]) -> Self {
        Self { there: Some(There { label, failed: false, after }), ..self }
    }

    const fn where_failed(self, label: &'static str, after: &'static [Run]) -> Self {
        Self { there: Some(There { label, failed: true, after }), ..self }
    }

    const fn of_the_task(self) -> Self {
        Self { of_the_task: true, ..self }
    }

    const fn and_nothing_else(self) -> Self {
        Self { and_needed: false, ..self }
    }

    const fn and_before(self, count: usize) -> Self {
        Self { before: count, ..self }
    }
}

/// One for each action that there is.
pub(super) static DEEDS: &[Deed] = &[
    Deed::new("add-new-jobs", r#"{"tasks": ["lint-c", "test-unit-3"]}"#, &[(JOB, 1), ("test-unit-3", 1)]).steps(34, 40),
    Deed::new("add-matching-jobs", r#"{"label": "test-p*", "times": 2}"#, &[(SMALL, 2)]).steps(40, 4),
    Deed::new("run-missing-jobs", "{}", &[(SMALL, 1)]).steps(32, 3),
    Deed::new("rebuild-cached-tasks", "null", CACHED).and_nothing_else().steps(32, 7),
    Deed::new("retrigger", r#"{"times": 2}"#, &[(SMALL, 3)]).where_failed(SMALL, &[FAILED]).of_the_task().steps(40, 4),
    Deed::new("retrigger-disabled", r#"{"force": true}"#, &[(JOB, 2)])
        .where_failed(JOB, &[FAILED])
        .of_the_task()
        .steps(32, 4),
    Deed::new("retrigger-decision", "null", &[(JOB, 2)])
        .where_failed(JOB, &[FAILED])
        .of_the_task()
        .and_nothing_else()
        .steps(20, 2),
    // One of them is run again, as it may not be retriggered.
    Deed::new(
        "retrigger-multiple",
        r#"{"requests": [{"tasks": ["lint-c", "test-python"], "times": 2}]}"#,
        &[(JOB, 1), (SMALL, 2)],
    )
    .where_failed(JOB, &[FAILED, PENDING])
    .steps(43, 5),
    Deed::new("retrigger-failed", "{}", &[(JOB, 2)]).where_failed(JOB, &[FAILED]).steps(32, 4),
    Deed::new("backfill", r#"{"depth": 1}"#, &[(JOB, 1)])
        .where_pending(JOB, &[PENDING])
        .of_the_task()
        .and_nothing_else()
        .and_before(1)
        .steps(50, 4),
    Deed::new("rerun", "null", &[(JOB, 1)])
        .where_failed(JOB, &[FAILED, PENDING])
        .of_the_task()
        .and_nothing_else()
        .steps(30, 2),
    Deed::new("cancel", "null", &[(JOB, 1)])
        .where_pending(JOB, &[CANCELED])
        .of_the_task()
        .and_nothing_else()
        .steps(22, 2),
    Deed::new("cancel-all", "null", &[(JOB, 1)]).where_pending(JOB, &[CANCELED]).and_nothing_else().steps(22, 2),
];

/// The jobs whose tasks are cached.
const CACHED: &[(&str, usize)] = &[
    ("fetch-terrain-craters", 1),
    ("fetch-terrain-flats", 1),
    ("fetch-terrain-highlands", 1),
    ("toolchain-asan-runtime", 1),
    ("toolchain-cc", 1),
    ("toolchain-lint", 1),
];

/// A deed that is asked for, on a push of its own.
pub(super) struct Asked {
    deed: &'static Deed,
    /// Its action task.
    pub(super) action: TaskId,
    decision: TaskId,
    /// The task that was there before.
    there: Option<TaskId>,
    /// The decision task of the push before, where it matters.
    before: Option<TaskId>,
}

impl Asked {
    /// Makes a push, what is there before, and the action task.
    pub(super) fn on_a_push(up: &Up, deed: &'static Deed) -> Self {
        let decision = TaskId::from_bytes(rand::random());
        let there = deed.there.as_ref().map(|there| made(up, decision, there));
        let [revision, base] = [(); 2].map(|()| format!("{:040x}", rand::random::<u128>()));
        publish(
            up,
            decision,
            (&revision, &base),
            json!(deed.there.as_ref().map(|of| (of.label, there)).into_iter().collect::<BTreeMap<_, _>>()),
        );
        let before = (deed.before > 0).then(|| push_before(up, &base));
        let subject = json!(there.filter(|_| deed.of_the_task));
        let input = serde_json::from_str(deed.input).unwrap();
        let permission = by_callback(deed.callback).unwrap().permission;
        let action = changed_action_task(up, decision.as_str(), deed.callback, &input, |task| {
            task["scopes"][0] = json!(format!("assume:repo:github.com/example/lander:action:{permission}"));
            task["payload"]["env"]["ACTION_TASK_ID"] = json!(subject.to_string());
            task["extra"]["action"]["context"]["taskId"] = subject;
        });
        Self { deed, action, decision, there, before }
    }

    /// Checks that it was done, and once.
    pub(super) fn check(&self, up: &Up, killed: &str) {
        self.check_push(up, self.decision, self.deed.jobs, self.deed.and_needed, killed);
        if let Some(before) = self.before {
            self.check_push(up, before, &[(JOB, self.deed.before)], true, killed);
        }
        if let (Some(there), Some(task)) = (&self.deed.there, self.there) {
            assert_eq!(runs(&status(up, task)), there.after, "{killed}");
        }
    }

    /// That a push has these jobs so many times and, maybe, what they need once; and nothing else.
    fn check_push(&self, up: &Up, decision: TaskId, jobs: &[(&str, usize)], and_needed: bool, killed: &str) {
        let members = members_of(up, decision.as_str());
        let mut counts: BTreeMap<&str, usize> = members
            .iter()
            .filter(|(_, ids)| !ids.contains(&self.action))
            .map(|(label, ids)| (label.as_str(), ids.len()))
            .collect();
        for (label, wanted) in jobs {
            assert_eq!(counts.remove(label), Some(*wanted), "{killed}: {label}");
        }
        assert!(counts.values().all(|count| *count == 1), "{killed}: {counts:?}");
        assert_eq!(!counts.is_empty(), and_needed, "{killed}: {counts:?}");
    }
}

/// Makes a task in the push's group, on a queue of its own.
fn made(up: &Up, decision: TaskId, there: &There) -> TaskId {
    let queue = format!("{decision}/nobodys");
    let task = changed_action_task(up, decision.as_str(), "any", &json!({}), |task| {
        task["taskQueueId"] = json!(queue);
        task["metadata"]["name"] = json!(there.label);
        task["scopes"] = json!([]);
    });
    if there.failed {
        wait_for(async {
            let own = claim(&up.client(), &queue).await;
            own.queue().report_failed(task, 0).await.unwrap();
        });
    }
    task
}

/// Makes a push of this revision, which is based on the other, with the tasks that its decision task has made.
fn publish(up: &Up, decision: TaskId, (revision, base): (&str, &str), labels: Value) {
    another_publishing(up, decision.as_str(), |files| {
        // No job runs.
        files.remove("lander-source.tar.gz");
        let parameters = String::from_utf8(files["parameters.yml"].clone()).unwrap();
        let told = parameters.lines().map(|line| match line.split_once(": ") {
            Some(("head_rev", _)) => format!("head_rev: '{revision}'\n"),
            Some(("base_rev", _)) => format!("base_rev: '{base}'\n"),
            _ => format!("{line}\n"),
        });
        files.insert("parameters.yml", told.collect::<String>().into_bytes());
        let mut graph: Value = serde_json::from_slice(&files["full-task-graph.json"]).unwrap();
        graph[SMALL]["attributes"]["retrigger"] = json!(true);
        files.insert("full-task-graph.json", graph.to_string().into());
        files.insert("label-to-taskid.json", labels.to_string().into());
        files.insert("target-tasks.json", json!([SMALL]).to_string().into());
    });
}

/// Makes a push of this revision, which the index knows.
fn push_before(up: &Up, revision: &str) -> TaskId {
    let decision = TaskId::from_bytes(rand::random());
    publish(up, decision, (revision, &"0".repeat(40)), json!({}));
    let path = format!("lander.v2.lander.revision.{revision}.taskgraph.decision");
    let expires = Millis(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24));
    let request = InsertTaskRequest { task_id: decision, rank: 0, data: json!({}), expires };
    wait_for(up.client().index().insert_task(&path, &request)).unwrap();
    decision
}
