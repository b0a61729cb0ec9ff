//! What actions of killed workers do, and how one sees that it was done once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState};
use taskgraft_core::time::Millis;

use super::{changed_action_task, runs, status};
use crate::pushes::{another, another_publishing, claim, members_of};
use crate::server::{Up, wait_for};

/// A job that needs another, which needs others.
const JOBS: [&str; 2] = ["lint-c", "test-unit-3"];
/// A job of which there is a task before anybody asks.
const THERE: &str = "lint-c";
/// A job that needs just one other.
const SMALL: &str = "test-python";
/// On so many earlier pushes.
const DEPTH: u8 = 1;

/// What the action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// It adds jobs that have no tasks.
    Add,
    /// It cancels all that is left of the push.
    CancelAll,
    /// It runs a failed task again.
    Rerun,
    /// It runs a failed task again, and makes copies of another job.
    RetriggerMultiple,
    /// It makes what failed anew.
    RetriggerFailed,
    /// It makes the jobs that were meant to run and didn't.
    RunMissing,
    /// It makes a job on earlier pushes.
    Backfill,
}

impl Deed {
    /// An action has more steps than these.
    pub(super) fn fewest_steps(self) -> usize {
        match self {
            Self::Add | Self::RetriggerMultiple | Self::RetriggerFailed | Self::RunMissing | Self::Backfill => 20,
            Self::CancelAll | Self::Rerun => 10,
        }
    }

    fn callback(self) -> &'static str {
        match self {
            Self::Add => "add-new-jobs",
            Self::CancelAll => "cancel-all",
            Self::Rerun => "rerun",
            Self::RetriggerMultiple => "retrigger-multiple",
            Self::RetriggerFailed => "retrigger-failed",
            Self::RunMissing => "run-missing-jobs",
            Self::Backfill => "backfill",
        }
    }

    fn input(self) -> Value {
        match self {
            Self::Add => json!({"tasks": JOBS}),
            Self::RetriggerMultiple => json!({"requests": [{"tasks": [THERE, SMALL], "times": 2}]}),
            Self::Backfill => json!({"depth": DEPTH}),
            Self::RetriggerFailed | Self::RunMissing => json!({}),
            Self::CancelAll | Self::Rerun => json!(null),
        }
    }

    /// Whether it is asked for a task rather than for the push.
    fn is_of_a_task(self) -> bool {
        matches!(self, Self::Rerun | Self::Backfill)
    }
}

/// A deed that is asked for, on a push of its own.
pub(super) struct Asked {
    deed: Deed,
    /// Its action task.
    pub(super) action: TaskId,
    decision: String,
    /// The task that was there before.
    there: Option<TaskId>,
    /// The decision tasks of earlier pushes.
    earlier: Vec<String>,
}

/// The decision task, and so the group, of push `n`, or of an earlier one.
fn decision(n: u8, back: u8) -> String {
    let mut bytes = [n; 16];
    (bytes[0], bytes[1]) = (7, back);
    TaskId::from_bytes(bytes).to_string()
}

/// Its revision.
fn revision(n: u8, back: u8) -> String {
    format!("{n:02x}{back:02x}").repeat(10)
}

impl Asked {
    /// Makes push `n`, what is there before, and the action task.
    pub(super) fn on_a_push(up: &Up, deed: Deed, n: u8) -> Self {
        let decision = decision(n, 0);
        let there = match deed {
            Deed::Add | Deed::RunMissing => None,
            Deed::CancelAll | Deed::Backfill => Some(open(up, &decision, n)),
            Deed::Rerun | Deed::RetriggerMultiple | Deed::RetriggerFailed => Some(failed(up, &decision, n)),
        };
        let mut earlier = Vec::new();
        match deed {
            Deed::Backfill => earlier = pushes_in_a_row(up, n),
            Deed::RunMissing => another_publishing(up, &decision, |files| {
                files.insert("target-tasks.json", json!([SMALL]).to_string().into());
            }),
            Deed::RetriggerMultiple => another_publishing(up, &decision, |files| {
                files.insert("label-to-taskid.json", json!({THERE: there}).to_string().into());
                let mut graph: Value = serde_json::from_slice(&files["full-task-graph.json"]).unwrap();
                graph[SMALL]["attributes"]["retrigger"] = json!(true);
                files.insert("full-task-graph.json", graph.to_string().into());
            }),
            Deed::Add | Deed::CancelAll | Deed::Rerun | Deed::RetriggerFailed => another(up, &decision),
        }
        let subject = json!(there.filter(|_| deed.is_of_a_task()));
        let action = changed_action_task(up, &decision, deed.callback(), &deed.input(), |task| {
            task["payload"]["env"]["ACTION_TASK_ID"] = json!(subject.to_string());
            task["extra"]["action"]["context"]["taskId"] = subject;
        });
        Self { deed, action, decision, there, earlier }
    }

    /// Checks that it was done, and once.
    pub(super) fn check(&self, up: &Up, killed: &str) {
        let here: &[(&str, usize)] = match self.deed {
            Deed::Add => &[(JOBS[0], 1), (JOBS[1], 1)],
            Deed::RunMissing => &[(SMALL, 1)],
            Deed::CancelAll | Deed::Rerun | Deed::Backfill => &[(THERE, 1)],
            Deed::RetriggerMultiple => &[(THERE, 1), (SMALL, 2)],
            Deed::RetriggerFailed => &[(THERE, 2)],
        };
        let makes_none_here = matches!(self.deed, Deed::CancelAll | Deed::Rerun | Deed::Backfill);
        self.check_push(up, &self.decision, here, makes_none_here, killed);
        for decision in &self.earlier {
            self.check_push(up, decision, &[(THERE, 1)], false, killed);
        }
        let Some(there) = self.there else { return };
        let failed = (RunState::Failed, Some(ReasonResolved::Failed));
        let pending = (RunState::Pending, None);
        let wanted = match self.deed {
            Deed::CancelAll => vec![(RunState::Exception, Some(ReasonResolved::Canceled))],
            Deed::Rerun | Deed::RetriggerMultiple => vec![failed, pending],
            Deed::RetriggerFailed => vec![failed],
            Deed::Add | Deed::RunMissing | Deed::Backfill => vec![pending],
        };
        assert_eq!(runs(&status(up, there)), wanted, "{killed}");
    }

    /// That a push has these jobs so many times, and what they need once, or nothing else.
    fn check_push(&self, up: &Up, decision: &str, wanted: &[(&str, usize)], nothing_else: bool, killed: &str) {
        let members = members_of(up, decision);
        let counts: BTreeMap<&str, usize> = members
            .iter()
            .filter(|(_, ids)| !ids.contains(&self.action))
            .map(|(label, ids)| (label.as_str(), ids.len()))
            .collect();
        assert!(wanted.iter().all(|(label, count)| counts.get(label) == Some(count)), "{killed}: {counts:?}");
        let others = counts.iter().filter(|(label, _)| wanted.iter().all(|(wanted, _)| wanted != *label));
        let others: Vec<_> = others.collect();
        assert!(others.iter().all(|(_, count)| **count == 1), "{killed}: {counts:?}");
        assert_eq!(others.is_empty(), nothing_else, "{killed}: {counts:?}");
    }
}

/// A task in the push's group that nobody works on. Each push has its own queue for it.
fn open(up: &Up, decision: &str, n: u8) -> TaskId {
    changed_action_task(up, decision, "any", &json!({}), |task| {
        task["taskQueueId"] = json!(format!("proj-lander/nobodys-{n}"));
        task["metadata"]["name"] = json!(THERE);
    })
}

/// The same, failed.
fn failed(up: &Up, decision: &str, n: u8) -> TaskId {
    let task = open(up, decision, n);
    wait_for(async {
        let own = claim(&up.client(), &format!("proj-lander/nobodys-{n}")).await;
        own.queue().report_failed(task, 0).await.unwrap();
    });
    task
}

/// Makes push `n` and those before it, each based on the one before; gives back the decision tasks of these.
fn pushes_in_a_row(up: &Up, n: u8) -> Vec<String> {
    for back in 0..=DEPTH {
        another_publishing(up, &decision(n, back), |files| {
            let parameters = String::from_utf8(files["parameters.yml"].clone()).unwrap();
            let told = parameters.lines().map(|line| match line.split_once(": ") {
                Some(("head_rev", _)) => format!("head_rev: '{}'\n", revision(n, back)),
                Some(("base_rev", _)) => format!("base_rev: '{}'\n", revision(n, back + 1)),
                _ => format!("{line}\n"),
            });
            files.insert("parameters.yml", told.collect::<String>().into_bytes());
        });
    }
    let earlier = (1..=DEPTH).map(|back| {
        let path = format!("lander.v2.lander.revision.{}.taskgraph.decision", revision(n, back));
        let decision = decision(n, back);
        let expires = Millis(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24));
        let request = InsertTaskRequest { task_id: decision.parse().unwrap(), rank: 0, data: json!({}), expires };
        wait_for(up.client().index().insert_task(&path, &request)).unwrap();
        decision
    });
    earlier.collect()
}
