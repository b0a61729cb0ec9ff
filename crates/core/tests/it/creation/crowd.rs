//! Eight requests at once, with crashes at any step: the tasks are those of one request each, and none is there twice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;
use taskgraft_core::frontier::{Frontier, Limits, Mended, Step};
use taskgraft_core::ids::{TaskId, derive};
use taskgraft_core::plan::{Plan, Policy, Request, Verdict};
use taskgraft_core::report::Terminal;
use taskgraft_core::state::TaskState;

use super::plans::graph_of;
use super::push::{Push, id, times};
use super::queue::{Dice, Faults, dependencies};

/// Somebody who wants something, and dies now and then. What outlives that is the stored plan.
struct Requester {
    request: Request,
    stored: Option<String>,
    frontier: Option<Frontier>,
    calls: Vec<Step>,
    crashes: u32,
    done: bool,
    /// Something that it found half made could not be helped then.
    left_waiting: bool,
}

impl Requester {
    fn act(&mut self, push: &mut Push, dice: &mut Dice) {
        if self.crashes > 0 && dice.once_in(12) {
            self.crash(push, dice);
            return;
        }
        let Some(stored) = &self.stored else {
            self.stored = Some(push.plan(&self.request, Policy::Graft).to_json());
            return;
        };
        let limits = Limits { sends: 50, reads: 50 };
        let frontier = self.frontier.get_or_insert_with(|| {
            let plan = Plan::read(stored.as_bytes()).unwrap();
            let make = if dice.once_in(3) { Frontier::new } else { Frontier::resume };
            make(plan, limits).unwrap()
        });
        let now = push.queue.now;
        self.calls.extend(frontier.next(now, 4_usize.saturating_sub(self.calls.len())));
        if !self.calls.is_empty() {
            let at = dice.roll(self.calls.len() as u64) as usize;
            let step = self.calls.swap_remove(at);
            let answer = push.queue.call(&step.call);
            frontier.answer(step.place, &answer, now).unwrap();
        }
        if frontier.is_done() {
            let report = frontier.report();
            assert!(matches!(report.result, Terminal::Done | Terminal::Stuck), "{report:#?}");
            self.left_waiting = report.mended.iter().any(|mend| mend.mended == Mended::Waits);
            self.done = true;
        }
    }

    /// Dies: of the calls under way some still reach the queue, and no answer is heard.
    fn crash(&mut self, push: &mut Push, dice: &mut Dice) {
        self.crashes -= 1;
        for step in self.calls.drain(..) {
            if dice.once_in(2) {
                push.queue.call(&step.call);
            }
        }
        self.frontier = None;
    }
}

struct Story {
    push: Push,
    requesters: Vec<Requester>,
    squatted: Option<TaskId>,
}

/// Lets everybody act in random order, with tasks running and failing meanwhile, until all are done.
fn live(story: &mut Story, dice: &mut Dice, failing: Option<&str>) {
    for _ in 0..200_000 {
        let open: Vec<usize> = (0..story.requesters.len()).filter(|at| !story.requesters[*at].done).collect();
        if open.is_empty() {
            return;
        }
        let at = open[dice.roll(open.len() as u64) as usize];
        story.requesters[at].act(&mut story.push, dice);
        story.push.queue.now += SignedDuration::from_millis(300);
        if dice.once_in(400) {
            story.push.queue.now += SignedDuration::from_mins(9);
        }
        if dice.once_in(6) {
            run_one(&mut story.push, dice, failing);
        }
    }
    panic!("nobody comes to an end");
}

fn run_one(push: &mut Push, dice: &mut Dice, failing: Option<&str>) {
    let pending: Vec<TaskId> =
        push.queue.tasks.iter().filter(|(_, task)| task.state == TaskState::Pending).map(|(id, _)| *id).collect();
    if pending.is_empty() {
        return;
    }
    let id = pending[dice.roll(pending.len() as u64) as usize];
    let label = push.queue.tasks[&id].definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    // Fails the first time that it runs.
    let first =
        failing == Some(label.as_str()) && push.needed_id(&label, 0) == id && push.queue.tasks[&id].resolved.is_none();
    let state = if first { TaskState::Failed } else { TaskState::Completed };
    push.queue.resolve(id, state);
}

fn story(edges: &[Vec<usize>], asked: &[Vec<usize>], copies: u32, squat: Option<usize>, seed: u64) -> Story {
    let mut push = graph_of(edges);
    push.queue.dice = Dice(seed ^ 0x5eed);
    let label = |at: &usize| format!("t{}", at % edges.len());
    let requesters: Vec<Requester> = asked
        .iter()
        .enumerate()
        .map(|(at, asked)| {
            let labels: Vec<String> = asked.iter().map(label).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let request = push.by_action(&labels, id(200 + at as u8));
            Requester {
                request: times(request, copies),
                stored: None,
                frontier: None,
                calls: Vec::new(),
                crashes: 4,
                done: false,
                left_waiting: false,
            }
        })
        .collect();
    let squatted = squat.map(|at| push.needed_id(&label(&at), 0));
    if let Some(squatted) = squatted {
        push.queue.plant(squatted, json!({"taskGroupId": id(66), "schedulerId": "evil"}), TaskState::Completed);
    }
    push.queue.faults = Faults { refused: 9, lost: 9, half: 11 };
    Story { push, requesters, squatted }
}

/// The tasks of the queue by what they are: a request's copy, or a needed label.
fn check(story: &Story) -> Result<(), TestCaseError> {
    let queue = &story.push.queue;
    let distinct: BTreeSet<&TaskId> = queue.log.iter().collect();
    prop_assert_eq!(distinct.len(), queue.log.len());
    let mut expected = BTreeSet::new();
    for requester in &story.requesters {
        let plan = Plan::read(requester.stored.as_deref().unwrap().as_bytes()).unwrap();
        for label in &requester.request.labels {
            for n in 0..requester.request.rounds()[0].times {
                expected.insert(derive::copy(&requester.request.id, label, n, 0));
            }
        }
        // What is its own besides copies stands between two labels that it asked for.
        for task in plan.tasks.iter().filter(|task| task.role == taskgraft_core::plan::Role::Bridge) {
            expected.insert(task.task_id.unwrap());
        }
        for entry in &plan.verdicts {
            let refused = matches!(entry.verdict, Verdict::Refused { .. });
            prop_assert!(!refused);
        }
    }
    let copies: BTreeSet<TaskId> = queue.log.iter().filter(|id| expected.contains(id)).copied().collect();
    prop_assert_eq!(copies, expected.clone());
    // All else is a needed task, under the first of its ids that was usable when somebody looked.
    let mut needed: BTreeMap<String, Vec<TaskId>> = BTreeMap::new();
    for id in queue.log.iter().filter(|id| !expected.contains(id)) {
        let label = queue.tasks[id].definition["metadata"]["name"].as_str().unwrap().to_owned();
        needed.entry(label).or_default().push(*id);
    }
    for (label, ids) in &needed {
        for (k, id) in ids.iter().enumerate() {
            let shift = u8::from(story.squatted == Some(story.push.needed_id(label, 0)));
            prop_assert_eq!(*id, story.push.needed_id(label, k as u8 + shift), "{} made out of turn", label);
        }
    }
    let actions: BTreeSet<TaskId> =
        story.requesters.iter().filter_map(|requester| requester.request.action_task).collect();
    for id in queue.log.iter() {
        let waits = dependencies(&queue.tasks[id].definition).iter().any(|on| actions.contains(on));
        let bridge_or_copy = expected.contains(id);
        prop_assert!(bridge_or_copy || !waits, "{} waits for an action task", id);
    }
    Ok(())
}

/// Once all action tasks are done, everything that somebody asked for runs to its end. What was found half made when it
/// was too late to put it back, and too early to schedule it, needs its request to be taken up once more.
fn check_end(story: &mut Story) -> Result<(), TestCaseError> {
    for requester in &story.requesters {
        story.push.queue.resolve(requester.request.action_task.unwrap(), TaskState::Completed);
    }
    story.push.queue.run_to_the_end();
    for requester in story.requesters.iter().filter(|requester| requester.left_waiting) {
        let plan = Plan::read(requester.stored.as_deref().unwrap().as_bytes()).unwrap();
        super::create::drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut story.push.queue);
        story.push.queue.run_to_the_end();
    }
    for id in &story.push.queue.log {
        let task = &story.push.queue.tasks[id];
        prop_assert_eq!(task.state, TaskState::Completed, "{} {:?}", id, task.definition["metadata"]["name"]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn eight_at_once_make_what_one_each_would(
        edges in proptest::collection::vec(proptest::collection::vec(0_usize..20, 0..3), 2..10),
        asked in proptest::collection::vec(proptest::collection::vec(0_usize..10, 1..3), 8),
        copies in 1_u32..3,
        squat in proptest::option::of(0_usize..10),
        seed: u64,
    ) {
        let mut story = story(&edges, &asked, copies, squat, seed);
        live(&mut story, &mut Dice(seed), None);
        check(&story)?;
        story.push.queue.faults = Faults::default();
        check_end(&mut story)?;
    }

    #[test]
    fn a_dependency_that_fails_is_made_again_by_those_who_come_later(
        edges in proptest::collection::vec(proptest::collection::vec(0_usize..20, 0..3), 2..10),
        asked in proptest::collection::vec(proptest::collection::vec(0_usize..10, 1..2), 8),
        failing in 0_usize..10,
        seed: u64,
    ) {
        let mut story = story(&edges, &asked, 1, None, seed);
        let failing = format!("t{}", failing % edges.len());
        live(&mut story, &mut Dice(seed), Some(failing.as_str()));
        check_failed(&story, &failing)?;
    }
}

/// Only what failed, and what hangs on it, is there a second time.
fn check_failed(story: &Story, failing: &str) -> Result<(), TestCaseError> {
    let graph = &story.push.graph;
    for (ix, task) in graph.iter() {
        let hangs = graph.closure(&[ix]).by_label(failing).is_some();
        let made =
            (0..16).filter(|k| story.push.queue.tasks.contains_key(&story.push.needed_id(&task.label, *k))).count();
        prop_assert!(made <= if hangs { 2 } else { 1 }, "{} was made {} times", task.label, made);
    }
    Ok(())
}
