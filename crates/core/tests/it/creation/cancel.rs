//! Requests that are stopped half way.

use serde_json::json;
use taskgraft_core::frontier::{Answer, Call, Frontier, Halt, Limits};
use taskgraft_core::ids::derive;
use taskgraft_core::plan::Policy;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::TaskState;

use super::create::{chain, drive};
use super::push::id;

#[test]
fn cancelling_stops_creation_and_cancels_what_is_its_own() {
    let mut push = chain();
    let request = push.by_action(&["lint", "test"], id(9));
    let plan = push.plan(&request, Policy::Graft);
    let mut frontier = Frontier::new(plan, Limits::default()).unwrap();
    // `clang` and `lint` are under way; only `clang` is answered.
    let steps = frontier.next(push.queue.now, 2);
    assert_eq!(steps.len(), 2);
    let answers: Vec<Answer> = steps.iter().map(|step| push.queue.call(&step.call)).collect();
    frontier.answer(steps[0].place, &answers[0], push.queue.now).unwrap();
    frontier.halt(Halt::Cancelled);
    assert_eq!(frontier.next(push.queue.now, 9), []);
    frontier.answer(steps[1].place, &answers[1], push.queue.now).unwrap();
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!(report.result, Terminal::Cancelled);
    assert_eq!(push.queue.log.len(), 2);
    let lint = push.queue.tasks[&derive::copy(&request.id, "lint", 0, 0)].state;
    assert_eq!((lint, push.queue.tasks[&push.needed_id("clang", 0)].state), (TaskState::Exception, TaskState::Pending));
}

#[test]
fn cancelling_before_anybody_looked_cancels_what_an_earlier_try_made() {
    let mut push = chain();
    let plan = push.graft(&["lint"]);
    drive(&mut Frontier::new(plan.clone(), Limits::default()).unwrap(), &mut push.queue);
    let mut frontier = Frontier::resume(plan.clone(), Limits::default()).unwrap();
    frontier.halt(Halt::Cancelled);
    assert_eq!(drive(&mut frontier, &mut push.queue).result, Terminal::Cancelled);
    assert_eq!(push.queue.tasks[&plan.tasks[0].task_id.unwrap()].state, TaskState::Exception);
}

#[test]
fn cancelling_leaves_what_squats_on_an_id_alone() {
    for ids in [1, derive::MAX_K + 1] {
        let mut push = chain();
        let plan = push.graft(&["lint"]);
        let taken = |k| derive::copy(&plan.request.id, "lint", 0, k);
        (0..ids).for_each(|k| push.queue.plant(taken(k), json!({"taskGroupId": id(66)}), TaskState::Pending));
        let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
        // Until somebody else's task has been read under the last id that is taken.
        for _ in 0..2 * ids - 1 {
            let step = frontier.next(push.queue.now, 1).remove(0);
            let answer = push.queue.call(&step.call);
            frontier.answer(step.place, &answer, push.queue.now).unwrap();
        }
        let step = frontier.next(push.queue.now, 1).remove(0);
        assert!(matches!(step.call, Call::ReadTask { .. }));
        let answer = push.queue.call(&step.call);
        let (before, after) = if ids == 1 { (true, false) } else { (false, true) };
        before.then(|| frontier.halt(Halt::Cancelled));
        frontier.answer(step.place, &answer, push.queue.now).unwrap();
        after.then(|| frontier.halt(Halt::Cancelled));
        let report = drive(&mut frontier, &mut push.queue);
        assert_eq!(report.result, Terminal::Cancelled);
        assert!(!report.tasks[0].cancelled);
        assert!((0..ids).all(|k| push.queue.tasks[&taken(k)].state == TaskState::Pending), "{ids}");
    }
}

#[test]
fn cancelling_leaves_the_index_task_of_what_is_shared() {
    let (mut push, plan) = super::plans::with_index_task();
    let mut frontier = Frontier::new(plan, Limits::default()).unwrap();
    for _ in 0..3 {
        let step = frontier.next(push.queue.now, 1).remove(0);
        let answer = push.queue.call(&step.call);
        frontier.answer(step.place, &answer, push.queue.now).unwrap();
    }
    frontier.halt(Halt::Cancelled);
    let report = drive(&mut frontier, &mut push.queue);
    let cancelled: Vec<&str> =
        report.tasks.iter().filter(|task| task.cancelled).map(|task| task.label.as_str()).collect();
    assert_eq!(cancelled, ["test"]);
    assert_eq!(push.queue.tasks[&report.tasks[1].task_id].state, TaskState::Unscheduled);
}

#[test]
fn what_nobody_has_read_is_read_before_it_is_cancelled() {
    let mut push = chain();
    let plan = push.graft(&["lint", "clang"]);
    // An earlier try made one of the two; somebody else's task has the id of the other.
    let mut earlier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let at = |label: &str| plan.tasks.iter().position(|task| task.label == label).unwrap();
    let id_of = |label: &str| plan.tasks[at(label)].task_id.unwrap();
    let steps = earlier.next(push.queue.now, 9);
    let clang = |call: &Call| matches!(call, Call::Create { task_id, .. } if *task_id == id_of("clang"));
    push.queue.call(&steps.iter().find(|step| clang(&step.call)).unwrap().call);
    push.queue.plant(id_of("lint"), json!({"taskGroupId": id(66)}), TaskState::Pending);
    let mut frontier = Frontier::resume(plan.clone(), Limits::default()).unwrap();
    frontier.halt(Halt::Cancelled);
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!(report.result, Terminal::Cancelled);
    assert_eq!(push.queue.tasks[&id_of("clang")].state, TaskState::Exception);
    assert_eq!(push.queue.tasks[&id_of("lint")].state, TaskState::Pending, "it is somebody else's");
    assert!(report.tasks[at("clang")].cancelled && !report.tasks[at("lint")].cancelled);
}

#[test]
fn a_task_that_could_not_be_cancelled_is_reported() {
    let mut push = chain();
    let plan = push.graft(&["lint"]);
    let mut frontier = Frontier::new(plan, Limits::default()).unwrap();
    let step = frontier.next(push.queue.now, 1).remove(0);
    let answer = push.queue.call(&step.call);
    frontier.answer(step.place, &answer, push.queue.now).unwrap();
    frontier.halt(Halt::Cancelled);
    push.queue.faults.refused = 1;
    let report = drive(&mut frontier, &mut push.queue);
    assert!(!report.tasks[0].cancelled);
    assert_eq!(report.tasks[0].uncancelled.as_deref(), Some("503"));
    assert_eq!(report.result, Terminal::Cancelled);
}

#[test]
fn what_ended_before_it_was_cancelled_was_not_cancelled() {
    let mut push = chain();
    let mut frontier = Frontier::new(push.graft(&["lint", "test"]), Limits::default()).unwrap();
    let steps = frontier.next(push.queue.now, 9);
    for step in &steps {
        let answer = push.queue.call(&step.call);
        frontier.answer(step.place, &answer, push.queue.now).unwrap();
    }
    frontier.halt(Halt::Cancelled);
    let lint = frontier.report().tasks.iter().position(|task| task.label == "lint").unwrap();
    push.queue.resolve(frontier.task_id(lint).unwrap(), TaskState::Completed);
    let report = drive(&mut frontier, &mut push.queue);
    assert!(!report.tasks[lint].cancelled && report.tasks[lint].uncancelled.is_none(), "{report:?}");
}

#[test]
fn an_action_task_that_ends_by_its_deadline_takes_its_copies_with_it() {
    let mut push = chain();
    let mut frontier = Frontier::new(push.graft(&["lint"]), Limits::default()).unwrap();
    let step = frontier.next(push.queue.now, 1).remove(0);
    let answer = push.queue.call(&step.call);
    frontier.answer(step.place, &answer, push.queue.now).unwrap();
    frontier.halt(Halt::Expired);
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!(report.result, Terminal::Expired);
    assert!(report.tasks[0].cancelled);
    assert_eq!(push.queue.tasks[&report.tasks[0].task_id].state, TaskState::Exception);
}
