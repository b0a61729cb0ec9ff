//! Two action tasks that carry one requester's key: one request, done once, whichever of them lives.

use taskgraft_core::frontier::{Frontier, Limits, Outcome};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, Policy, Request};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::state::TaskState;

use super::create::drive;
use super::push::{Push, id, task};
use super::queue::dependencies;

fn push() -> Push {
    Push::new(vec![
        task("test", &[("build", "build")]),
        task("build", &[("clang", "clang")]),
        task("clang", &[]),
        task("lint", &[]),
    ])
}

/// The request as the given action task has it.
fn plan(push: &mut Push, action: TaskId) -> Plan {
    let request = push.by_action(&["test", "lint"], action);
    let request = Request { id: "R-key".parse().unwrap(), ..request };
    push.plan(&request, Policy::Graft)
}

fn carry_out(push: &mut Push, plan: Plan) -> Report {
    drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue)
}

#[test]
fn two_action_tasks_with_one_key_do_the_work_once() {
    let mut push = push();
    let (first, second) = (plan(&mut push, id(30)), plan(&mut push, id(31)));
    assert_eq!(carry_out(&mut push, first).result, Terminal::Done);
    let report = carry_out(&mut push, second);
    assert_eq!(report.result, Terminal::Done);
    assert!(report.tasks.iter().all(|task| matches!(task.outcome, Outcome::Adopted { .. })), "{report:#?}");
    assert_eq!(push.queue.log.len(), 4);
}

#[test]
fn both_at_once_in_any_order_do_it_once() {
    for seed in 0..200 {
        let mut push = push();
        push.queue.dice.0 = seed;
        let plans = [plan(&mut push, id(30)), plan(&mut push, id(31))];
        let mut both = plans.map(|plan| Frontier::new(plan, Limits::default()).unwrap());
        let mut calls = Vec::new();
        while !both.iter().all(Frontier::is_done) || !calls.is_empty() {
            for (who, frontier) in both.iter_mut().enumerate() {
                calls.extend(frontier.next(push.queue.now, 2).into_iter().map(|step| (who, step)));
            }
            if calls.is_empty() {
                continue;
            }
            let at = push.queue.dice.roll(calls.len() as u64) as usize;
            let (who, step) = calls.swap_remove(at);
            let answer = push.queue.call(&step.call);
            both[who].answer(step.place, &answer, push.queue.now).unwrap();
        }
        assert_eq!(push.queue.log.len(), 4, "seed {seed}");
        assert!(both.iter().all(|frontier| frontier.report().result == Terminal::Done), "seed {seed}");
    }
}

#[test]
fn copies_that_wait_for_an_action_task_that_failed_are_made_anew() {
    let mut push = push();
    let (first, second) = (plan(&mut push, id(30)), plan(&mut push, id(31)));
    carry_out(&mut push, first);
    push.queue.resolve(id(30), TaskState::Failed);
    let report = carry_out(&mut push, second);
    assert_eq!(report.result, Terminal::Done);
    for task in &report.tasks {
        let made = &push.queue.tasks[&task.task_id].definition;
        let is_copy = ["test", "lint"].contains(&task.label.as_str());
        assert_eq!(dependencies(made).contains(&id(31)), is_copy, "{}", task.label);
        assert!(!dependencies(made).contains(&id(30)), "{} waits for what failed", task.label);
    }
    assert_eq!(push.queue.log.len(), 4 + 2, "what they need is shared all the same");
    push.queue.resolve(id(31), TaskState::Completed);
    push.queue.run_to_the_end();
    let done = |id: &TaskId| push.queue.tasks[id].state == TaskState::Completed;
    assert!(report.tasks.iter().all(|task| done(&task.task_id)));
}

#[test]
fn a_half_made_copy_of_the_other_is_put_back() {
    let mut push = push();
    let (first, second) = (plan(&mut push, id(30)), plan(&mut push, id(31)));
    // The queue dies in the middle of each.
    push.queue.faults.half = 1;
    let mut frontier = Frontier::new(first, Limits::default()).unwrap();
    for step in frontier.next(push.queue.now, 50) {
        push.queue.call(&step.call);
    }
    push.queue.faults.half = 0;
    carry_out(&mut push, second);
    assert!(push.queue.tasks.values().all(|task| task.tracked));
}
