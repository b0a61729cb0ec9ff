//! Creation, one trouble at a time.

use jiff::SignedDuration;
use serde_json::json;
use taskgraft_core::frontier::{Answer, Call, Frontier, Halt, Limits, Mended, Outcome, Place, Refused, Uncreatable};
use taskgraft_core::ids::derive;
use taskgraft_core::plan::{Dependency, Policy, Request, Target, Warning};
use taskgraft_core::report::{Report, Terminal};
use taskgraft_core::state::TaskState;

use super::push::{Push, id, task};
use super::queue::SimQueue;

pub(crate) fn chain() -> Push {
    Push::new(vec![
        task("test", &[("build", "build")]),
        task("build", &[("clang", "clang")]),
        task("clang", &[]),
        task("lint", &[]),
    ])
}

/// Drives a frontier to its end, all calls of a round in order.
pub(crate) fn drive(frontier: &mut Frontier, queue: &mut SimQueue) -> Report {
    let mut rounds = 0;
    while !frontier.is_done() {
        rounds += 1;
        assert!(rounds < 1000, "it never ends");
        for step in frontier.next(queue.now, 50) {
            let answer = queue.call(&step.call);
            frontier.answer(step.place, &answer, queue.now).unwrap();
        }
    }
    frontier.report()
}

fn outcome<'a>(report: &'a Report, label: &str) -> &'a Outcome {
    &report.tasks.iter().find(|task| task.label == label).unwrap().outcome
}

fn states(queue: &SimQueue, report: &Report) -> Vec<(String, TaskState)> {
    report.tasks.iter().filter_map(|task| Some((task.label.clone(), queue.tasks.get(&task.task_id)?.state))).collect()
}

#[test]
fn dependencies_come_first_and_everything_runs() {
    let mut push = chain();
    let mut frontier = Frontier::new(push.graft(&["test", "lint"]), Limits::default()).unwrap();
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
    assert_eq!(push.queue.log.len(), 4);
    push.queue.run_to_the_end();
    assert!(states(&push.queue, &report).iter().all(|(_, state)| *state == TaskState::Completed));
}

#[test]
fn creating_it_all_again_adopts_it_all() {
    let mut push = chain();
    let plan = push.graft(&["test"]);
    drive(&mut Frontier::new(plan.clone(), Limits::default()).unwrap(), &mut push.queue);
    push.queue.now += SignedDuration::from_mins(1);
    for again in [Frontier::new, Frontier::resume] {
        let mut again = again(plan.clone(), Limits::default()).unwrap();
        let report = drive(&mut again, &mut push.queue);
        assert_eq!(report.result, Terminal::Done);
        assert!(report.tasks.iter().all(|task| matches!(task.outcome, Outcome::Adopted { .. })), "{report:?}");
        assert_eq!(push.queue.log.len(), 3);
    }
}

#[test]
fn a_squatted_id_is_passed_over_and_dependents_follow() {
    let mut push = chain();
    let plan = push.graft(&["test"]);
    let squatted = push.needed_id("clang", 0);
    push.queue.plant(squatted, json!({"taskGroupId": id(66), "payload": {"evil": true}}), TaskState::Completed);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
    assert_eq!(report.warnings, [Warning::ForeignTask { label: "clang".to_owned(), task_id: squatted }]);
    let (clang, build) = (push.needed_id("clang", 1), push.needed_id("build", 0));
    let build = &push.queue.tasks[&build].definition;
    assert_eq!(build["dependencies"], json!([clang]));
    assert_eq!(build["payload"]["env"]["clang"], json!(clang));
    // Planned now, the squatted id is passed over from the start.
    assert_eq!(
        push.graft(&["build"]).verdict("clang").map(|verdict| format!("{verdict:?}").contains("k: 1")),
        Some(true)
    );
}

#[test]
fn who_has_a_proxy_and_who_has_none_share_what_takes_private_artifacts() {
    let mut build = task("build", &[("clang", "clang")]);
    let mut definition = build.body().unwrap();
    definition["payload"]["fetch"] = json!({"artifact-reference": "<clang/private/clang.tar>"});
    build.definition = definition.to_string().into();
    let push = Push::new(vec![task("test", &[("build", "build")]), build, task("clang", &[])]);
    for proxies in
        [[None, Some("http://taskcluster")], [Some("http://taskcluster"), None], [None, Some("http://proxy:80")]]
    {
        let mut push = push.clone();
        for (proxy, request) in proxies.iter().zip(["R1", "R2"]) {
            let request = Request { id: request.parse().unwrap(), ..push.request(&["test"]) };
            let (mut facts, _) = push.facts(&request, Policy::Graft);
            facts.urls.proxy = proxy.map(str::to_owned);
            // As if both had planned at the same time.
            facts.statuses.clear();
            let plan = taskgraft_core::plan::plan(&push.closure(&request), &request, &facts, Policy::Graft).unwrap();
            let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
            assert_eq!((report.result, &report.warnings), (Terminal::Done, &vec![]), "{proxies:?}");
        }
        assert_eq!(push.queue.log.len(), 4, "two tests, one build, one clang: {proxies:?}");
        // And who plans later finds it.
        let request = Request { id: "R3".parse().unwrap(), ..push.request(&["test"]) };
        let (mut facts, _) = push.facts(&request, Policy::Graft);
        for proxy in proxies {
            facts.urls.proxy = proxy.map(str::to_owned);
            let plan = taskgraft_core::plan::plan(&push.closure(&request), &request, &facts, Policy::Graft).unwrap();
            assert_eq!(plan.tasks.len(), 1, "{proxy:?}");
        }
    }
}

#[test]
fn all_ids_taken_is_refused() {
    let mut push = chain();
    let plan = push.graft(&["clang"]);
    let request = plan.request.id.clone();
    for k in 0..=derive::MAX_K {
        push.queue.plant(derive::copy(&request, "clang", 0, k), json!({"taskGroupId": id(66)}), TaskState::Completed);
    }
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(*outcome(&report, "clang"), Outcome::Refused { why: Refused::NoFreeId });
    assert_eq!(report.result, Terminal::Refused);
}

#[test]
fn a_needed_task_that_failed_meanwhile_is_made_anew() {
    let mut push = chain();
    let plan = push.graft(&["test"]);
    drive(&mut Frontier::new(push.graft(&["build"]), Limits::default()).unwrap(), &mut push.queue);
    let clang = push.needed_id("clang", 0);
    push.queue.resolve(clang, TaskState::Failed);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
    assert_eq!(report.tasks[0].task_id, push.needed_id("clang", 1));
}

#[test]
fn a_needed_task_that_hangs_on_a_failed_one_is_made_anew() {
    let mut push = chain();
    // Another request made both, and what its build waits for failed.
    let other = Request { id: "R2".parse().unwrap(), ..push.request(&["test"]) };
    let (plan, other) = (push.graft(&["test"]), push.plan(&other, Policy::Graft));
    drive(&mut Frontier::new(other, Limits::default()).unwrap(), &mut push.queue);
    push.queue.resolve(push.needed_id("clang", 0), TaskState::Failed);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
    assert_eq!(report.tasks[1].task_id, push.needed_id("build", 1));
    push.queue.run_to_the_end();
    assert!(states(&push.queue, &report).iter().all(|(_, state)| *state == TaskState::Completed));
}

#[test]
fn a_sealed_group_and_another_scheduler_are_refused() {
    for sealed in [true, false] {
        let mut push = chain();
        let plan = push.graft(&["test", "lint"]);
        let group = push.queue.groups.get_mut(&id(1)).unwrap();
        if sealed {
            group.sealed = Some(push.queue.now.into());
        } else {
            group.scheduler_id = "other".to_owned();
        }
        let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
        assert_eq!(report.result, Terminal::Refused);
        let expected = if sealed {
            Refused::Sealed
        } else {
            Refused::OtherScheduler { theirs: "other".to_owned(), ours: "lander-level-3".to_owned() }
        };
        for label in ["clang", "lint"] {
            assert_eq!(*outcome(&report, label), Outcome::Refused { why: expected.clone() });
        }
        assert_eq!(*outcome(&report, "test"), Outcome::Blocked { by: "clang".to_owned() });
        assert!(push.queue.log.is_empty());
        // Planned now, it is said before anything is tried.
        let request = push.request(&["test"]);
        let (facts, _) = push.facts(&request, Policy::Graft);
        assert!(taskgraft_core::plan::plan(&push.closure(&request), &request, &facts, Policy::Graft).is_err());
    }
}

#[test]
fn a_group_sealed_half_way_keeps_what_it_has() {
    let mut push = chain();
    let plan = push.graft(&["test"]);
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let step = frontier.next(push.queue.now, 1).remove(0);
    push.queue.call(&step.call);
    push.queue.groups.get_mut(&id(1)).unwrap().sealed = Some(push.queue.now.into());
    let report = drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut push.queue);
    assert!(matches!(outcome(&report, "clang"), Outcome::Adopted { .. }));
    assert_eq!(*outcome(&report, "build"), Outcome::Refused { why: Refused::Sealed });
}

#[test]
fn the_same_bytes_are_sent_again_until_they_are_ten_minutes_old() {
    let push = chain();
    let mut frontier = Frontier::new(push.graft(&["lint"]), Limits { sends: 9, reads: 9 }).unwrap();
    let mut now = push.queue.now;
    let mut send = |frontier: &mut Frontier, wait: i64, answer: &Answer| {
        let step = frontier.next(now, 1).remove(0);
        now += SignedDuration::from_mins(wait);
        frontier.answer(step.place, answer, now).unwrap();
        step.call
    };
    let transient = Answer::Transient { message: "503".to_owned() };
    let first = send(&mut frontier, 4, &transient);
    assert_eq!(send(&mut frontier, 4, &transient), first);
    assert_eq!(send(&mut frontier, 4, &transient), first);
    // 12 minutes: stamped anew, and a refusal of what has grown too old is not the end.
    let second =
        send(&mut frontier, 11, &Answer::Rejected { status: 400, code: "InputError".into(), message: "old".into() });
    assert_ne!(second, first);
    let third = send(&mut frontier, 0, &Answer::Status { state: TaskState::Pending });
    assert_ne!(third, second);
    assert_eq!(frontier.report().result, Terminal::Done);
}

#[test]
fn a_queue_that_stops_answering_leaves_it_to_be_resumed() {
    let mut push = chain();
    let plan = push.graft(&["test", "lint"]);
    push.queue.faults.refused = 1;
    let report = drive(&mut Frontier::new(plan.clone(), Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Unfinished);
    assert!(matches!(outcome(&report, "clang"), Outcome::Missing { .. }));
    assert_eq!(*outcome(&report, "test"), Outcome::Blocked { by: "clang".to_owned() });
    push.queue.faults.refused = 0;
    let report = drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
}

#[test]
fn want_of_scopes_has_a_class_of_its_own() {
    let push = chain();
    let mut frontier = Frontier::new(push.graft(&["lint"]), Limits::default()).unwrap();
    let step = frontier.next(push.queue.now, 1).remove(0);
    let answer = Answer::Rejected { status: 403, code: "InsufficientScopes".to_owned(), message: String::new() };
    frontier.answer(step.place, &answer, push.queue.now).unwrap();
    assert_eq!(frontier.report().result, Terminal::Forbidden);
}

#[test]
fn a_half_made_task_is_put_back() {
    for minutes in [1, 20] {
        let mut push = chain();
        let plan = push.graft(&["clang", "lint"]);
        push.queue.faults.half = 1;
        drive(&mut Frontier::new(plan.clone(), Limits::default()).unwrap(), &mut push.queue);
        push.queue.faults.half = 0;
        assert!(push.queue.log.iter().all(|id| push.queue.tasks[id].state == TaskState::Unscheduled));
        push.queue.now += SignedDuration::from_mins(minutes);
        let report = drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut push.queue);
        assert_eq!(report.result, Terminal::Done, "{report:?}");
        let expected = if minutes < 15 { Mended::PutBack } else { Mended::Scheduled };
        assert!(report.mended.iter().all(|mend| mend.mended == expected) && report.mended.len() == 2, "{report:?}");
        assert!(states(&push.queue, &report).iter().all(|(_, state)| *state == TaskState::Pending));
    }
}

#[test]
fn a_half_made_task_whose_dependencies_still_run_is_put_back_while_that_is_possible() {
    let mut push = chain();
    let plan = push.graft(&["test"]);
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    for half in [0, 1] {
        push.queue.faults.half = half;
        let step = frontier.next(push.queue.now, 1).remove(0);
        let answer = push.queue.call(&step.call);
        frontier.answer(step.place, &answer, push.queue.now).unwrap();
    }
    push.queue.faults.half = 0;
    let build = push.needed_id("build", 0);
    assert!(!push.queue.tasks[&build].tracked);
    let report = drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
    assert!(push.queue.tasks[&build].tracked);
    push.queue.run_to_the_end();
    assert!(states(&push.queue, &report).iter().all(|(_, state)| *state == TaskState::Completed));
}

#[test]
fn what_another_request_left_half_made_is_put_back() {
    let mut push = chain();
    let first = push.by_action(&["build"], id(8));
    let mut frontier = Frontier::new(push.plan(&first, Policy::Graft), Limits::default()).unwrap();
    push.queue.faults.half = 1;
    for step in frontier.next(push.queue.now, 9) {
        push.queue.call(&step.call);
    }
    push.queue.faults.half = 0;
    let second = push.by_action(&["build"], id(9));
    let plan = push.plan(&second, Policy::Graft);
    assert_eq!(plan.tasks.len(), 1);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.mended.len(), 1);
    assert_eq!(push.queue.tasks[&push.needed_id("clang", 0)].state, TaskState::Pending);
}

#[test]
fn a_reused_dependency_lost_meanwhile_is_rerun_or_reported() {
    for helped in [true, false] {
        let mut push = chain().ran("build", id(10), TaskState::Completed);
        push.queue.plant(id(20), json!({}), TaskState::Completed);
        push.queue.tasks.get_mut(&id(10)).unwrap().definition["dependencies"] = json!([id(20)]);
        let plan = push.graft(&["test"]);
        push.queue.tasks.get_mut(&id(10)).unwrap().state = TaskState::Failed;
        if !helped {
            push.queue.tasks.get_mut(&id(20)).unwrap().state = TaskState::Failed;
        }
        let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
        assert_eq!(report.mended.len(), 1);
        assert_eq!(report.mended[0].label, "build");
        if helped {
            assert_eq!((report.result, &report.mended[0].mended), (Terminal::Done, &Mended::Rerun));
            assert_eq!(push.queue.tasks[&id(10)].state, TaskState::Pending);
        } else {
            assert_eq!(report.result, Terminal::Stuck);
            assert!(matches!(report.mended[0].mended, Mended::Lost { .. }));
        }
    }
}

#[test]
fn an_adopted_task_that_fails_before_the_last_look_is_rerun() {
    let mut push = Push::new(vec![task("test", &[("build", "build")]), task("build", &[])]);
    let plan = push.graft(&["test"]);
    push.queue.faults.half = 1;
    drive(&mut Frontier::new(push.graft(&["build"]), Limits::default()).unwrap(), &mut push.queue);
    let mut first = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let step = first.next(push.queue.now, 1).remove(0);
    push.queue.call(&step.call);
    push.queue.faults.half = 0;
    let mut frontier = Frontier::resume(plan, Limits::default()).unwrap();
    while !frontier.is_done() {
        for step in frontier.next(push.queue.now, 1) {
            if matches!(step.call, Call::ReadStatuses { .. }) && step.place == Place::Check {
                push.queue.resolve(push.needed_id("build", 0), TaskState::Failed);
            }
            let answer = push.queue.call(&step.call);
            frontier.answer(step.place, &answer, push.queue.now).unwrap();
        }
    }
    let mended: Vec<Mended> = frontier.report().mended.into_iter().map(|mend| mend.mended).collect();
    assert_eq!(mended, [Mended::PutBack, Mended::Rerun]);
}

#[test]
fn a_reused_task_that_will_never_be_scheduled_is_reported() {
    let mut push = chain().ran("build", id(10), TaskState::Unscheduled);
    push.queue.plant(id(20), json!({}), TaskState::Pending);
    push.queue.tasks.get_mut(&id(10)).unwrap().definition["dependencies"] = json!([id(20)]);
    let plan = push.graft(&["test"]);
    assert_eq!(plan.tasks.len(), 1);
    push.queue.resolve(id(20), TaskState::Failed);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Stuck);
    assert!(matches!(report.mended[0].mended, Mended::Lost { .. }), "{report:?}");
}

#[test]
fn what_waits_for_a_failed_task_that_is_run_again_is_not_lost() {
    let mut push = chain().ran("build", id(10), TaskState::Unscheduled);
    for (task, on) in [(10, 20), (20, 30)] {
        push.queue.plant(id(task), json!({"dependencies": [id(on)]}), TaskState::Unscheduled);
    }
    push.queue.plant(id(30), json!({}), TaskState::Pending);
    let mut plan = push.graft(&["test", "lint"]);
    // Both the middle and the end of the chain are relied on, and looked at together.
    for (name, on) in [("middle", 20), ("end", 30)] {
        let on = Target::Existing(id(on));
        plan.tasks[0].dependencies.push(Dependency { name: name.to_owned(), on });
    }
    push.queue.resolve(id(30), TaskState::Failed);
    let report = drive(&mut Frontier::new(plan, Limits::default()).unwrap(), &mut push.queue);
    let mended: Vec<_> = report.mended.iter().map(|mend| (mend.task_id, mend.mended.clone())).collect();
    assert_eq!(mended, [(id(10), Mended::Waits), (id(20), Mended::Waits), (id(30), Mended::Rerun)]);
    assert_eq!(report.result, Terminal::Done);
}

#[test]
fn a_request_whose_last_look_is_not_answered_is_not_done() {
    let mut push = chain().ran("build", id(10), TaskState::Completed);
    let plan = push.graft(&["test"]);
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let step = frontier.next(push.queue.now, 1).remove(0);
    let answer = push.queue.call(&step.call);
    frontier.answer(step.place, &answer, push.queue.now).unwrap();
    push.queue.faults.refused = 1;
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!((report.result, report.warnings), (Terminal::Unfinished, vec![Warning::NotChecked]));
    push.queue.faults.refused = 0;
    let report = drive(&mut Frontier::resume(plan, Limits::default()).unwrap(), &mut push.queue);
    assert_eq!(report.result, Terminal::Done);
}

#[test]
fn a_superseded_run_creates_nothing_more_and_cancels_nothing() {
    let mut push = chain();
    let mut frontier = Frontier::new(push.graft(&["lint", "test"]), Limits::default()).unwrap();
    let steps = frontier.next(push.queue.now, 1);
    frontier.halt(Halt::Superseded);
    let answer = push.queue.call(&steps[0].call);
    frontier.answer(steps[0].place, &answer, push.queue.now).unwrap();
    let report = drive(&mut frontier, &mut push.queue);
    assert_eq!(report.result, Terminal::Superseded);
    assert_eq!(push.queue.tasks.values().filter(|task| task.state == TaskState::Exception).count(), 0);
    assert_eq!(push.queue.log.len(), 1);
}

#[test]
fn answers_that_nothing_asked_for_change_nothing() {
    let push = chain();
    let mut frontier = Frontier::new(push.graft(&["test"]), Limits::default()).unwrap();
    let done = Answer::Status { state: TaskState::Pending };
    for place in
        [Place::Survey, Place::Task(0), Place::Task(99), Place::Group, Place::Check, Place::Mend(0), Place::Cancel(7)]
    {
        assert!(frontier.answer(place, &done, push.queue.now).is_err(), "{place:?}");
    }
    let step = frontier.next(push.queue.now, 1).remove(0);
    let group = Answer::Group { scheduler_id: String::new(), sealed: None };
    for wrong in [Answer::Absent, group, Answer::Statuses { found: Default::default() }] {
        assert!(frontier.answer(step.place, &wrong, push.queue.now).is_err());
    }
    assert!(frontier.answer(step.place, &done, push.queue.now).is_ok());
    assert!(frontier.answer(step.place, &done, push.queue.now).is_err());
}

#[test]
fn a_plan_without_a_group_creates_nothing() {
    let push = chain();
    let request = Request { group: None, decision: None, ..push.request(&["test"]) };
    let plan = push.plan(&request, Policy::Graft);
    assert!(plan.tasks.iter().all(|task| task.task_id.is_none()));
    assert_eq!(Frontier::new(plan, Limits::default()).unwrap_err(), Uncreatable::NoGroup);
}

#[test]
fn the_reference_makes_no_request_but_its_creates() {
    let mut push = chain().ran("build", id(10), TaskState::Completed);
    let mut frontier = Frontier::new(push.reference(&["test"]), Limits::default()).unwrap();
    while !frontier.is_done() {
        for step in frontier.next(push.queue.now, 9) {
            assert!(matches!(step.call, Call::Create { .. }));
            let answer = push.queue.call(&step.call);
            frontier.answer(step.place, &answer, push.queue.now).unwrap();
        }
    }
    assert_eq!(frontier.report().result, Terminal::Done);
}
