//! "Better on purpose": each row that planning decides, as graft does it and as the reference does.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};
use taskgraft_core::frontier::{Call, Frontier, Limits};
use taskgraft_core::plan::{Plan, Policy, Refusal, Request, Reuse, Role, Unusable, Verdict};
use taskgraft_core::state::TaskState;
use taskgraft_core::time::format_ms;

use super::push::{Push, id, made, task, times};

fn pair() -> Push {
    Push::new(vec![task("test", &[("build", "build")]), task("build", &[])])
}

fn reused(plan: &Plan, label: &str) -> Option<Reuse> {
    match plan.verdict(label)? {
        Verdict::Reuse(reuse) => Some(reuse.clone()),
        Verdict::New { .. } | Verdict::Removed { .. } | Verdict::Refused { .. } => None,
    }
}

/// The definitions that a plan leads to if everything goes well, by label, in the order of their sending.
fn sent(push: &Push, plan: &Plan) -> Vec<(String, Value)> {
    let mut queue = push.queue.clone();
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let mut sent = Vec::new();
    while !frontier.is_done() {
        for step in frontier.next(queue.now, 1) {
            if let Call::Create { definition, .. } = &step.call {
                sent.push((definition["metadata"]["name"].as_str().unwrap().to_owned(), definition.clone()));
            }
            let answer = queue.call(&step.call);
            frontier.answer(step.place, &answer, queue.now).unwrap();
        }
    }
    sent
}

fn dependencies(sent: &[(String, Value)], label: &str) -> Vec<Value> {
    let (_, definition) = sent.iter().find(|(sent, _)| sent == label).unwrap();
    definition["dependencies"].as_array().unwrap().clone()
}

#[test]
fn times_builds_a_missing_dependency_once() {
    let push = pair();
    let request = times(push.request(&["test"]), 3);
    let (graft, reference) = (push.plan(&request, Policy::Graft), push.plan(&request, Policy::Reference));
    assert_eq!((made(&graft, "test"), made(&graft, "build")), (3, 1));
    assert_eq!((made(&reference, "test"), made(&reference, "build")), (3, 3));
}

#[test]
fn a_failed_dependency_is_not_reused() {
    for state in [TaskState::Failed, TaskState::Exception] {
        let push = pair().ran("build", id(10), state);
        let plan = push.graft(&["test"]);
        let Some(Verdict::New { passed_over, .. }) = plan.verdict("build") else { panic!("{plan:?}") };
        assert!(matches!(passed_over[0].because, Unusable::Unsuccessful { .. }));
        assert_eq!(reused(&push.reference(&["test"]), "build").map(|reuse| reuse.task_id), Some(id(10)));
    }
}

#[test]
fn a_failed_dependency_is_rerun_on_demand() {
    let push = pair().ran("build", id(10), TaskState::Failed);
    let request = Request { rerun_failed: true, ..push.request(&["test"]) };
    let reuse = reused(&push.plan(&request, Policy::Graft), "build").unwrap();
    assert_eq!((reuse.task_id, reuse.rerun), (id(10), true));
}

#[test]
fn a_dependency_that_is_gone_too_soon_is_not_reused() {
    let mut push = pair().ran("build", id(10), TaskState::Completed);
    let soon = format_ms(push.queue.now + SignedDuration::from_hours(3));
    push.queue.tasks.get_mut(&id(10)).unwrap().definition["expires"] = json!(soon);
    let plan = push.graft(&["test"]);
    let Some(Verdict::New { passed_over, .. }) = plan.verdict("build") else { panic!("{plan:?}") };
    assert!(matches!(passed_over[0].because, Unusable::Expires { .. }));
    assert_eq!(reused(&push.reference(&["test"]), "build").map(|reuse| reuse.task_id), Some(id(10)));
}

#[test]
fn a_dependency_that_waits_for_a_failed_one_is_not_reused() {
    let mut push = pair().ran("build", id(10), TaskState::Unscheduled);
    push.queue.plant(id(20), json!({}), TaskState::Failed);
    push.queue.tasks.get_mut(&id(10)).unwrap().definition["dependencies"] = json!([id(20)]);
    let plan = push.graft(&["test"]);
    let Some(Verdict::New { passed_over, .. }) = plan.verdict("build") else { panic!("{plan:?}") };
    assert_eq!(passed_over[0].because, Unusable::Waits { on: id(20) });
    assert!(reused(&push.reference(&["test"]), "build").is_some());
    // While the ancestor runs, it may well come to something.
    push.queue.tasks.get_mut(&id(20)).unwrap().state = TaskState::Running;
    assert!(reused(&push.graft(&["test"]), "build").is_some());
}

#[test]
fn the_newest_usable_task_wins() {
    let push = pair()
        .ran("build", id(10), TaskState::Completed)
        .action(id(2), "build", id(11), TaskState::Completed)
        .action(id(3), "build", id(12), TaskState::Failed);
    assert_eq!(reused(&push.graft(&["test"]), "build").unwrap().task_id, id(11));
    // The reference takes whichever list it read last, usable or not.
    assert_eq!(reused(&push.reference(&["test"]), "build").unwrap().task_id, id(12));
}

#[test]
fn what_an_unfinished_action_made_is_found_by_its_id() {
    let mut push = pair();
    // The first action made the build and died before it left any artifact.
    let first = push.by_action(&["test"], id(2));
    let plan = push.plan(&first, Policy::Graft);
    let mut frontier = Frontier::new(plan, Limits::default()).unwrap();
    for step in frontier.next(push.queue.now, 1) {
        push.queue.call(&step.call);
    }
    let second = push.by_action(&["test"], id(3));
    let plan = push.plan(&second, Policy::Graft);
    assert_eq!(reused(&plan, "build").unwrap().task_id, push.needed_id("build", 0));
    assert_eq!(made(&plan, "test"), 1);
    assert_eq!(made(&push.plan(&second, Policy::Reference), "build"), 1);
}

#[test]
fn two_concurrent_actions_share_what_both_need() {
    let mut push = pair();
    let (first, second) = (push.by_action(&["test"], id(2)), push.by_action(&["test"], id(3)));
    let ids = |policy: Policy| {
        let plans = [push.plan(&first, policy), push.plan(&second, policy)];
        plans.iter().flat_map(|plan| plan.tasks.iter().map(|task| task.task_id.unwrap())).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(ids(Policy::Graft), 3);
    assert_eq!(ids(Policy::Reference), 4);
}

#[test]
fn only_what_was_asked_for_waits_for_the_action_task() {
    let mut push = pair();
    let request = push.by_action(&["test"], id(9));
    let graft = sent(&push, &push.plan(&request, Policy::Graft));
    let build = json!(push.needed_id("build", 0));
    assert_eq!(dependencies(&graft, "test"), [json!(id(9)), build]);
    assert_eq!(dependencies(&graft, "build"), [json!(id(1))]);
    let reference = sent(&push, &push.plan(&request, Policy::Reference));
    assert_eq!(dependencies(&reference, "build"), [json!(id(9)), json!(id(1))]);
    // All of them have their parent all the same.
    assert!(graft.iter().chain(&reference).all(|(_, definition)| definition["extra"]["parent"] == json!(id(9))));
}

#[test]
fn a_decision_task_that_failed_or_is_gone_soon_is_not_waited_for() {
    let mut push = pair();
    push.queue.tasks.get_mut(&id(1)).unwrap().state = TaskState::Failed;
    assert!(dependencies(&sent(&push, &push.graft(&["build"])), "build").is_empty());
    assert_eq!(dependencies(&sent(&push, &push.reference(&["build"])), "build"), [json!(id(1))]);
}

#[test]
fn two_names_for_one_task_are_one_dependency() {
    let push = Push::new(vec![task("test", &[("a", "build"), ("b", "build")]), task("build", &[])]);
    let build = json!(push.needed_id("build", 0));
    assert_eq!(dependencies(&sent(&push, &push.graft(&["test"])), "test"), [build]);
    let reference = push.reference(&["test"]);
    let mut frontier = Frontier::new(reference, Limits::default()).unwrap();
    let mut queue = push.queue.clone();
    while !frontier.is_done() {
        for step in frontier.next(queue.now, 9) {
            let answer = queue.call(&step.call);
            frontier.answer(step.place, &answer, queue.now).unwrap();
        }
    }
    assert_eq!(frontier.report().result, taskgraft_core::report::Terminal::Refused);
}

#[test]
fn text_that_the_queue_cannot_keep_is_refused_with_its_place() {
    for bad in [r"a\u0000b", r"a\ud800"] {
        let mut build = task("build", &[]);
        let text = String::from_utf8(build.definition.to_vec()).unwrap();
        build.definition = text.replace(r#""description":"build""#, &format!(r#""description":"{bad}""#)).into();
        let push = Push::new(vec![task("test", &[("build", "build")]), build, task("lint", &[])]);
        let plan = push.graft(&["test", "lint"]);
        let Some(Verdict::Refused { why: Refusal::Definition { place, .. } }) = plan.verdict("build") else {
            panic!("{:?}", plan.verdict("build"))
        };
        assert_eq!(place, "/metadata/description");
        let Some(Verdict::Refused { why: Refusal::DependsOn { label } }) = plan.verdict("test") else {
            panic!("{:?}", plan.verdict("test"))
        };
        assert_eq!(label, "build");
        // What has nothing to do with it could still be had.
        assert_eq!((plan.tasks.len(), made(&plan, "lint")), (1, 1));
    }
}

#[test]
fn an_unknown_label_is_refused_with_its_neighbours() {
    let push = pair();
    let request = push.request(&["test", "tset"]);
    let (mut facts, _) = push.facts(&request, Policy::Graft);
    let labels: Vec<&str> = push.graph.iter().map(|(_, task)| &*task.label).collect();
    facts.nearest.insert("tset".to_owned(), taskgraft_core::plan::nearest("tset", labels, 3));
    let plan = taskgraft_core::plan::plan(&push.closure(&request), &request, &facts, Policy::Graft).unwrap();
    let expected = Verdict::Refused { why: Refusal::UnknownLabel { nearest: vec!["test".to_owned()] } };
    assert_eq!(plan.verdict("tset"), Some(&expected));
    assert_eq!(made(&plan, "test"), 1);
}

#[test]
fn the_same_facts_always_give_the_same_bytes() {
    let push = Push::new((0..40).map(|n| task(&format!("t{n}"), &[])).collect());
    let labels: Vec<String> = (0..40).rev().map(|n| format!("t{n}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let files = || taskgraft_core::plan::artifacts(&push.graft(&labels)).unwrap();
    assert_eq!(files(), files());
    let to_run: Vec<String> = serde_json::from_str(&files()["to-run.json"]).unwrap();
    assert!(to_run.is_sorted());
}

#[test]
fn duplicates_are_copies_of_what_was_asked_for_only() {
    let mut tasks = vec![task("test", &[("build", "build")]), task("build", &[])];
    for task in &mut tasks {
        task.attributes.insert("task_duplicates".to_owned(), json!(2));
    }
    let push = Push::new(tasks);
    let (graft, reference) = (push.graft(&["test"]), push.reference(&["test"]));
    assert_eq!((made(&graft, "test"), made(&graft, "build")), (2, 1));
    assert_eq!((made(&reference, "test"), made(&reference, "build")), (2, 2));
    let both = push.graft(&["test", "build"]);
    let of = |n: u32, label: &str| {
        both.tasks.iter().position(|task| task.label == label && task.role == Role::Copy { n }).unwrap()
    };
    for n in 0..2 {
        assert_eq!(both.tasks[of(n, "test")].new_dependencies().collect::<Vec<_>>(), [of(n, "build")]);
    }
}

#[test]
fn what_only_reused_tasks_need_is_left_alone() {
    let push = Push::new(vec![
        task("test", &[("build", "build")]),
        task("build", &[("toolchain", "toolchain")]),
        task("toolchain", &[]),
    ])
    .ran("build", id(10), TaskState::Completed);
    let graft = push.graft(&["test"]);
    assert_eq!((made(&graft, "build"), made(&graft, "toolchain")), (0, 0));
    // The reference makes the toolchain, and so the build, again.
    let reference = push.reference(&["test"]);
    assert_eq!((made(&reference, "build"), made(&reference, "toolchain")), (1, 1));
}

#[test]
fn an_unknown_dependency_is_refused() {
    let mut broken = task("test", &[]);
    broken.dependencies.insert("build".to_owned(), "gone".into());
    let push = Push::new(vec![broken]);
    let request = push.request(&["test"]);
    let error = push.try_plan(&request, Policy::Graft).unwrap_err().to_string();
    assert_eq!(error, "task `test` depends on `gone` as `build`, and this push has no such task");
    assert!(push.try_plan(&request, Policy::Reference).is_ok());
}
