//! What plans look like, and what they keep.

use std::collections::BTreeSet;

use proptest::prelude::*;
use taskgraft_core::action::reserved::Reserved;
use taskgraft_core::frontier::Frontier;
use taskgraft_core::plan::{Plan, Policy, Verdict, moved};
use taskgraft_core::state::TaskState;

use super::push::{Push, id, indexed, made, now, task, times};

fn landing() -> Push {
    Push::new(vec![
        task("test-1", &[("build", "build"), ("runtime", "runtime")]),
        task("build", &[("clang", "clang")]),
        task("runtime", &[("fetch", "fetch")]),
        indexed(task("clang", &[("fetch", "fetch")]), &["lander.cache.clang.hash.9f31aa12bb34cc56"]),
        task("fetch", &[]),
    ])
}

#[test]
fn a_plan_says_why_in_words() {
    let push = landing()
        .ran("runtime", id(10), TaskState::Failed)
        .found("lander.cache.clang.hash.9f31aa12bb34cc56", id(11), TaskState::Completed)
        .ran("fetch", id(12), TaskState::Completed);
    let plan = push.graft(&["test-1"]);
    insta::assert_debug_snapshot!("words", plan.words(now()));
}

#[test]
fn a_case_is_named_by_one_field_everywhere() {
    let push = landing().ran("runtime", id(10), TaskState::Failed).found(
        "lander.cache.clang.hash.9f31aa12bb34cc56",
        id(11),
        TaskState::Completed,
    );
    let plan: serde_json::Value = serde_json::from_str(&push.graft(&["test-1"]).to_json()).unwrap();
    let verdict = |label: &str| {
        let mut all = plan["verdicts"].as_array().unwrap().iter();
        all.find(|entry| entry["label"] == label).unwrap().clone()
    };
    assert_eq!(verdict("test-1")["why"], serde_json::json!({"case": "asked-for", "copies": 1}));
    let over = &verdict("runtime")["passed_over"][0];
    assert_eq!(over["from"], serde_json::json!({"case": "push", "source": "decision", "of": id(1)}));
    assert_eq!(over["because"]["case"], "unsuccessful");
    assert_eq!(verdict("clang")["from"]["case"], "index");
}

#[test]
fn a_plan_reads_back_and_keeps_its_hash() {
    let mut push = landing();
    let request = times(push.by_action(&["test-1"], id(9)), 3);
    for policy in [Policy::Graft, Policy::Reference] {
        let plan = push.plan(&request, policy);
        let ordered = taskgraft_core::json::to_string_sorted(&serde_json::to_value(&plan).unwrap());
        assert_eq!(plan.to_json(), ordered);
        let read = Plan::read(plan.to_json().as_bytes()).unwrap();
        assert_eq!(read, plan);
        assert_eq!(read.hash(), plan.hash());
        assert_eq!(read.hash().to_string().parse(), Ok(plan.hash()));
    }
}

#[test]
fn what_was_made_of_a_task_for_one_request_is_not_taken_for_another() {
    let mut push = landing();
    let (preview, action) = (push.request(&["test-1"]), push.by_action(&["test-1"], id(9)));
    let parents = |request: &_, policy| {
        let tasks = push.plan(request, policy).tasks;
        let parents: BTreeSet<_> = tasks.iter().map(|task| task.template["extra"]["parent"].to_string()).collect();
        parents.into_iter().collect::<Vec<_>>()
    };
    // All of one graph, each twice.
    for _ in 0..2 {
        assert_eq!(parents(&preview, Policy::Graft), [format!("\"{}\"", id(1))]);
        assert_eq!(parents(&action, Policy::Graft), [format!("\"{}\"", id(9))]);
        assert_eq!(parents(&preview, Policy::Reference), ["\"\""]);
    }
}

#[test]
fn the_hash_is_of_what_is_created_and_not_of_when() {
    let push = landing();
    let plan = push.graft(&["test-1"]);
    let mut later = push.clone();
    later.queue.now = push.queue.now + jiff::SignedDuration::from_mins(5);
    assert_eq!(later.graft(&["test-1"]).hash(), plan.hash());
    let mut other = plan.clone();
    std::sync::Arc::make_mut(&mut other.tasks[0].template)["payload"]["x"] = 1.into();
    assert_ne!(other.hash(), plan.hash());
}

#[test]
fn a_plan_that_nobody_would_write_is_refused() {
    let plan = landing().graft(&["test-1"]);
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(&plan).unwrap();
        change(&mut value);
        Plan::read(value.to_string().as_bytes()).unwrap_err().to_string()
    };
    let own = serde_json::json!(id(77));
    let cases = [
        refused(&|plan| plan["version"] = 99.into()),
        refused(&|plan| plan["tasks"][0]["task_id"] = own.clone()),
        refused(&|plan| plan["tasks"][0]["k"] = 200.into()),
        refused(&|plan| plan["tasks"][0]["label"] = "other".into()),
        refused(&|plan| plan["tasks"][1]["dependencies"][0]["on"] = serde_json::json!({"new": 4})),
        refused(&|plan| plan["tasks"][0]["template"] = "text".into()),
        refused(&|plan| plan["tasks"][0]["template"]["payload"] = "a\0b".into()),
        refused(&|plan| plan["root_url"] = "file:///etc".into()),
        refused(&|plan| drop(plan.as_object_mut().unwrap().remove("tasks"))),
        refused(&|plan| plan["policy"] = "reference".into()),
    ];
    insta::assert_debug_snapshot!("refused_plans", cases);
    assert!(Plan::read(b"{").is_err());
    assert!(Plan::read(br#"{"version": 1, "policy": "\ud800"}"#).is_err());
}

#[test]
fn whoever_carries_a_plan_out_its_outline_is_the_same_until_the_facts_move() {
    let mut push = landing();
    let shown = push.graft(&["test-1"]).outline();
    let request = push.by_action(&["test-1"], id(9));
    assert_eq!(push.plan(&request, Policy::Graft).outline(), shown);
    assert_eq!(shown.hash(), push.graft(&["test-1"]).outline().hash());
    let carried = Reserved::keyed("k").unwrap().shown(shown.clone());

    // Somebody else makes what both need, under the id that both derive; what that needs is then needed no more.
    let build = push.needed_id("build", 0);
    let theirs = push.graft(&["build"]).outline();
    assert_ne!(theirs, shown);
    let mut shared = push.clone();
    shared.add_ran("build", build, TaskState::Running);
    let now = shared.plan(&request, Policy::Graft).outline();
    assert_ne!(now.hash(), shown.hash());
    assert_eq!(carried.agrees(&now), Ok(()));

    // More copies, another build, or what was to be made and is in the index now: those are moves.
    let copies = push.plan(&times(request.clone(), 3), Policy::Graft).outline();
    let mut other = push.clone();
    other.add_ran("build", id(40), TaskState::Completed);
    let indexed = push.clone().found("lander.cache.clang.hash.9f31aa12bb34cc56", id(41), TaskState::Completed);
    for (now, label) in [
        (copies, "test-1"),
        (other.plan(&request, Policy::Graft).outline(), "build"),
        (indexed.plan(&request, Policy::Graft).outline(), "clang"),
    ] {
        let moved = carried.agrees(&now).unwrap_err();
        assert_eq!(moved.iter().map(|each| each.label.as_str()).collect::<Vec<_>>(), [label]);
    }
}

#[test]
fn planning_again_after_some_of_it_exists_is_no_move() {
    let mut push = landing();
    let was = push.graft(&["test-1"]);
    // Another request has made one of the needed tasks meanwhile, and this one its own copy.
    let mut made = std::collections::BTreeSet::new();
    let fetch = was.tasks.iter().position(|task| task.label == "fetch").unwrap();
    let mut frontier = taskgraft_core::frontier::Frontier::new(was.clone(), Default::default()).unwrap();
    for step in frontier.next(push.queue.now, 1) {
        made.insert(was.tasks[fetch].task_id.unwrap());
        push.queue.call(&step.call);
    }
    assert_eq!(push.queue.log, [was.tasks[fetch].task_id.unwrap()]);
    let again = push.graft(&["test-1"]);
    assert!(matches!(again.verdict("fetch"), Some(Verdict::Reuse(_))));
    assert_eq!(moved(&was, &again, &made), []);
    // But it failing is one.
    push.queue.resolve(was.tasks[fetch].task_id.unwrap(), TaskState::Failed);
    let again = push.graft(&["test-1"]);
    let labels: Vec<String> = moved(&was, &again, &made).into_iter().map(|moved| moved.label).collect();
    assert_eq!(labels, ["fetch"]);
}

#[test]
fn another_id_for_what_is_needed_is_no_move() {
    for calls in [0, 3] {
        let mut push = landing();
        let plan = push.graft(&["test-1"]);
        let first = push.needed_id("fetch", 0);
        push.queue.plant(first, serde_json::json!({"taskGroupId": id(66)}), TaskState::Completed);
        // Either it dies at once, or when it was sent, the squatter was read, and it was sent under the next id.
        let mut frontier = Frontier::new(plan.clone(), Default::default()).unwrap();
        for _ in 0..calls {
            let step = frontier.next(push.queue.now, 1).remove(0);
            let answer = push.queue.call(&step.call);
            frontier.answer(step.place, &answer, push.queue.now).unwrap();
        }
        let now = push.graft(&["test-1"]);
        assert_ne!(plan.hash(), now.hash());
        assert_eq!(moved(&plan, &now, &BTreeSet::from([first])), [], "after {calls} calls");
        let report = super::create::drive(&mut Frontier::resume(plan, Default::default()).unwrap(), &mut push.queue);
        assert_eq!(report.result, taskgraft_core::report::Terminal::Done);
        let fetch = report.tasks.iter().find(|task| task.label == "fetch").unwrap();
        assert_eq!(fetch.task_id, push.needed_id("fetch", 1));
    }
}

#[test]
fn an_intermediate_between_two_labels_asked_for_is_made_once_on_the_new_one() {
    let push =
        Push::new(vec![task("test", &[("sign", "sign")]), task("sign", &[("build", "build")]), task("build", &[])])
            .ran("sign", id(10), TaskState::Completed)
            .ran("build", id(11), TaskState::Completed);
    let plan = push.plan(&times(push.request(&["test", "build"]), 3), Policy::Graft);
    assert_eq!((made(&plan, "test"), made(&plan, "sign"), made(&plan, "build")), (3, 1, 3));
    assert_eq!(made(&push.graft(&["test"]), "sign"), 0);
}

#[test]
fn index_paths_statuses_and_definitions_are_asked_for_in_few_rounds() {
    let push = landing().found("lander.cache.clang.hash.9f31aa12bb34cc56", id(11), TaskState::Completed);
    let (_, rounds) = push.facts(&push.request(&["test-1"]), Policy::Graft);
    assert!(rounds <= 3, "{rounds}");
    let (facts, rounds) = push.facts(&push.request(&["test-1"]), Policy::Reference);
    assert_eq!(rounds, 2);
    // The reference asks for no other status than those of what the index has.
    assert_eq!(facts.statuses.keys().collect::<Vec<_>>(), [&id(11)]);
    assert!(facts.tasks.is_empty());
}

fn softly(mut task: taskgraft_core::graph::Task, on: &[&str]) -> taskgraft_core::graph::Task {
    task.soft_dependencies = on.iter().map(|label| (*label).into()).collect();
    task
}

#[test]
fn soft_dependencies_count_between_what_is_made() {
    let push = Push::new(vec![
        softly(task("a", &[]), &["b", "elsewhere"]),
        softly(task("b", &[("c", "c")]), &["a"]),
        softly(task("c", &[]), &["b"]),
        softly(task("d", &[]), &["a"]),
    ]);
    for policy in [Policy::Graft, Policy::Reference] {
        let plan = push.plan(&push.request(&["d", "a"]), policy);
        let of = |label: &str| plan.tasks.iter().position(|task| task.label == label).unwrap();
        assert_eq!(plan.tasks[of("d")].new_dependencies().collect::<Vec<_>>(), [of("a")]);
        assert_eq!(plan.warnings, []);
        // In a circle they are left out, and the hard ones stay.
        let plan = push.plan(&push.request(&["b", "a", "c"]), policy);
        assert_eq!(plan.tasks.len(), 3);
        assert!(matches!(plan.warnings[..], [taskgraft_core::plan::Warning::SoftCircle { .. }]), "{:?}", plan.warnings);
        let b = plan.tasks.iter().position(|task| task.label == "b").unwrap();
        assert!(plan.tasks[b].dependencies.iter().any(|dependency| dependency.name == "c"));
    }
}

#[test]
fn what_is_shared_never_depends_on_a_copy_even_softly() {
    let push = Push::new(vec![
        task("test", &[("build", "build")]),
        softly(task("build", &[]), &["lint"]),
        softly(task("lint", &[]), &[]),
    ]);
    let (graft, reference) = (push.graft(&["test", "lint"]), push.reference(&["test", "lint"]));
    let count = |plan: &Plan| plan.tasks.iter().find(|task| task.label == "build").unwrap().dependencies.len();
    assert_eq!((count(&graft), count(&reference)), (0, 1));
}

/// A test whose build has more routes than a task can have, and the plan for it.
pub(crate) fn with_index_task() -> (Push, Plan) {
    let mut build = task("build", &[]);
    let mut definition = build.body().unwrap();
    let routes: Vec<String> = (0..70).map(|n| format!("index.lander.v2.main.job-{n}")).collect();
    definition["routes"] = serde_json::json!(routes);
    build.definition = definition.to_string().into();
    let push = Push::new(vec![task("test", &[("build", "build")]), build]);
    let request = push.request(&["test"]);
    let (mut facts, _) = push.facts(&request, Policy::Graft);
    let make =
        |facts: &_, policy| taskgraft_core::plan::plan(&push.closure(&request), &request, facts, policy).unwrap();
    // Without the project's configuration there is no index task; the reference lets the queue refuse it.
    assert_eq!(make(&facts, Policy::Graft).tasks.len(), 0);
    assert_eq!(make(&facts, Policy::Reference).tasks.len(), 2);
    let config = serde_json::json!({"trust-domain": "lander", "workers": {"aliases": {
        "misc": {"provisioner": "p", "implementation": "docker-worker", "os": "linux", "worker-type": "misc"},
    }}});
    facts.index_tasks = Some(taskgraft_core::morph::GraphConfig::new(config).unwrap());
    let plan = make(&facts, Policy::Graft);
    (push, plan)
}

#[test]
fn too_many_routes_go_to_an_index_task_that_follows_its_parent() {
    let (mut push, plan) = with_index_task();
    let labels: Vec<&str> = plan.tasks.iter().map(|task| task.label.as_str()).collect();
    assert_eq!(labels, ["build", "index-task-build", "test"]);
    assert_eq!(Plan::read(plan.to_json().as_bytes()).unwrap(), plan);

    push.queue.plant(push.needed_id("build", 0), serde_json::json!({"taskGroupId": id(66)}), TaskState::Completed);
    let mut frontier = taskgraft_core::frontier::Frontier::new(plan, Default::default()).unwrap();
    let report = super::create::drive(&mut frontier, &mut push.queue);
    let parent = push.needed_id("build", 1);
    assert_eq!(report.tasks[1].task_id, taskgraft_core::ids::derive::morph(parent, "index-task"));
    let index = &push.queue.tasks[&report.tasks[1].task_id].definition;
    assert_eq!(index["payload"]["env"]["TARGET_TASKID"], serde_json::json!(parent));
    assert_eq!(index["dependencies"], serde_json::json!([parent]));
    assert_eq!(index["payload"]["command"].as_array().unwrap().len(), 71);
    assert!(push.queue.tasks[&parent].definition["routes"].as_array().unwrap().is_empty());
}

/// A graph over `edges.len()` labels in which each depends on some earlier ones.
pub(crate) fn graph_of(edges: &[Vec<usize>]) -> Push {
    let tasks = edges.iter().enumerate().map(|(at, on)| {
        let names: Vec<(String, String)> = on
            .iter()
            .filter(|_| at > 0)
            .map(|on| (format!("d{}", on % at.max(1)), format!("t{}", on % at.max(1))))
            .collect();
        let names: Vec<(&str, &str)> = names.iter().map(|(name, on)| (name.as_str(), on.as_str())).collect();
        task(&format!("t{at}"), &names)
    });
    Push::new(tasks.collect())
}

proptest! {
    #[test]
    fn whatever_is_planned_holds_together(
        edges in proptest::collection::vec(proptest::collection::vec(0_usize..20, 0..3), 1..14),
        ran in proptest::collection::vec(0_u8..8, 14),
        asked in proptest::collection::btree_set(0_usize..14, 1..4),
        copies in 1_u32..4,
    ) {
        let mut push = graph_of(&edges);
        let states = [TaskState::Completed, TaskState::Failed, TaskState::Pending, TaskState::Running, TaskState::Exception];
        for (at, state) in ran.iter().enumerate().take(edges.len()) {
            if let Some(state) = states.get(usize::from(*state)) {
                push.add_ran(&format!("t{at}"), id(100 + at as u8), *state);
            }
        }
        let labels: Vec<String> = asked.iter().map(|at| format!("t{}", at % edges.len())).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let request = times(push.by_action(&labels, id(9)), copies);
        let plan = push.plan(&request, Policy::Graft);
        // What was asked for is there so often, and everything else at most once.
        for entry in &plan.verdicts {
            let asked = request.labels.contains(&entry.label);
            let count = made(&plan, &entry.label);
            prop_assert!(if asked { count == copies as usize } else { count <= 1 }, "{} {count}", entry.label);
            let is_new = matches!(entry.verdict, Verdict::New { .. });
            prop_assert_eq!(is_new, count > 0);
        }
        for (at, task) in plan.tasks.iter().enumerate() {
            // Dependencies first, and every one of the graph's is there.
            prop_assert!(task.new_dependencies().all(|on| on < at));
            let ix = push.graph.by_label(&task.label).unwrap();
            prop_assert_eq!(task.dependencies.len(), push.graph.dependencies(ix).len());
            let is_copy = request.labels.contains(&task.label);
            prop_assert_eq!(task.waits_for.action.is_some(), is_copy);
            // What is shared depends only on what is shared.
            if !task.role.is_own() {
                prop_assert!(task.new_dependencies().all(|on| !plan.tasks[on].role.is_own()));
            }
        }
        prop_assert_eq!(&Plan::read(plan.to_json().as_bytes()).unwrap(), &plan);
        prop_assert_eq!(moved(&plan, &push.plan(&request, Policy::Graft), &Default::default()), []);
    }
}
