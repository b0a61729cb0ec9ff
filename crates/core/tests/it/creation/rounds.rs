//! Requests of several rounds, as retrigger-multiple makes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskgraft_core::ids::derive;
use taskgraft_core::plan::{Numbered, Plan, PlanError, Policy, Request, Role, Round, Target, artifacts};
use taskgraft_core::state::TaskState;

use super::push::{Push, id, made, task};

fn push() -> Push {
    let tasks = vec![
        task("build", &[("clang", "clang")]),
        task("clang", &[]),
        task("test-1", &[("build", "build")]),
        task("test-2", &[("build", "build")]),
    ];
    Push::new(tasks).ran("build", id(20), TaskState::Completed).ran("clang", id(21), TaskState::Completed)
}

fn round(labels: &[&str], times: u32) -> Round {
    Round { labels: labels.iter().map(|label| (*label).to_owned()).collect(), times }
}

fn request(push: &Push, rounds: Vec<Round>) -> Request {
    push.request(&[]).in_rounds(rounds, Numbered::RoundsAndTimes)
}

#[test]
fn copies_of_a_label_count_on_through_all_rounds() {
    let push = push();
    let request = request(&push, vec![round(&["test-1"], 2), round(&["build", "test-1"], 2), round(&["test-2"], 1)]);
    assert_eq!(
        (request.labels.as_slice(), request.asked()),
        (["test-1", "build", "test-2"].map(str::to_owned).as_slice(), 7)
    );
    let plan = push.plan(&request, Policy::Graft);
    let copies = |label: &str| -> Vec<u32> {
        let of_label = plan.tasks.iter().filter(|task| task.label == label);
        of_label.filter_map(|task| if let Role::Copy { n } = task.role { Some(n) } else { None }).collect()
    };
    assert_eq!((copies("test-1"), copies("build"), copies("test-2")), (vec![0, 1, 2, 3], vec![0, 1], vec![0]));
    // Copy n of a test goes with the build of its own round and time; one without a build there with the first.
    let on = |label: &str, n: u32| {
        let copy = derive::copy(&request.id, label, n, 0);
        let task = plan.tasks.iter().find(|task| task.task_id == Some(copy)).unwrap();
        let Target::New(at) = task.dependencies[0].on else { panic!("{task:?}") };
        plan.tasks[at].task_id.unwrap()
    };
    let build = |n| derive::copy(&request.id, "build", n, 0);
    let on: Vec<_> = (0..4).map(|n| on("test-1", n)).chain([on("test-2", 0)]).collect();
    assert_eq!(on, [build(0), build(0), build(0), build(1), build(0)]);
    assert_eq!(Plan::read(plan.to_json().as_bytes()).unwrap(), plan);
}

#[test]
fn the_reference_starts_each_round_afresh() {
    let push = push();
    let request = request(&push, vec![round(&["build"], 1), round(&["test-1"], 2), round(&[], 1)]);
    let plan = push.plan(&request, Policy::Reference);
    // What the first round makes the second doesn't know: it uses the earlier build.
    assert_eq!((made(&plan, "build"), made(&plan, "test-1")), (1, 2));
    let tests = plan.tasks.iter().filter(|task| task.label == "test-1");
    assert!(tests.clone().all(|task| task.dependencies[0].on == Target::Existing(id(20))));
    assert_eq!(Plan::read(plan.to_json().as_bytes()).unwrap(), plan);
    let files = files(&plan);
    let new = plan.tasks[0].task_id.unwrap();
    assert_eq!(files["label-to-taskid-0-0.json"]["build"], json!(new));
    assert_eq!(files["label-to-taskid-1-1.json"]["build"], json!(id(20)));
    assert_eq!(files["label-to-taskid-2-0.json"], json!({}));
    // Joined, the later round counts.
    assert_eq!(files["label-to-taskid.json"]["build"], json!(id(20)));
    assert_eq!(files["to-run.json"], json!(["build", "test-1"]));
    assert_eq!(files["to-run-2-0.json"], json!([]));
    assert_eq!(files["task-graph.json"].as_object().unwrap().len(), 3);
    assert_eq!(files.len(), 4 * 3 + 3);
}

fn files(plan: &Plan) -> BTreeMap<String, Value> {
    let texts = artifacts(plan).unwrap().into_iter();
    texts.map(|(name, text)| (name, serde_json::from_str(&text).unwrap())).collect()
}

/// What the numbered files of one name hold together, a later one counting; none if there are none.
fn joined(files: &BTreeMap<String, Value>, name: &str, suffixes: &[String]) -> BTreeMap<String, Value> {
    let entries = |suffix: &String| files[&format!("{name}{suffix}.json")].as_object().unwrap().clone();
    suffixes.iter().flat_map(entries).collect()
}

#[test]
fn numbered_artifacts_are_named_as_the_references_and_hold_what_the_combined_ones_do() {
    let mut twice = task("twice", &[("build", "build")]);
    twice.attributes.insert("task_duplicates".to_owned(), json!(2));
    let tasks = vec![
        task("build", &[("clang", "clang")]),
        task("clang", &[]),
        task("fetch", &[]),
        task("package", &[("build", "build"), ("fetch", "fetch")]),
        task("test", &[("package", "package")]),
        twice,
    ];
    let push = Push::new(tasks).ran("clang", id(21), TaskState::Completed);
    for (numbered, rounds) in [
        (Numbered::Times, vec![round(&["test"], 5)]),
        (Numbered::Times, vec![round(&["test", "build", "twice"], 3)]),
        (Numbered::Times, vec![round(&["test"], 1)]),
        (Numbered::RoundsAndTimes, vec![round(&["twice"], 1)]),
        (Numbered::RoundsAndTimes, vec![round(&["build"], 2), round(&["test", "twice"], 1), round(&["build"], 1)]),
        (Numbered::RoundsAndTimes, vec![round(&[], 2), round(&["test", "fetch"], 2)]),
    ] {
        let request = push.request(&[]).in_rounds(rounds.clone(), numbered);
        let [ours, theirs] = [Policy::Graft, Policy::Reference].map(|policy| files(&push.plan(&request, policy)));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{rounds:?}");
        let stem = |name: &String| Some(name.strip_prefix("to-run")?.strip_suffix(".json")?.to_owned());
        let suffixes: Vec<String> = ours.keys().filter_map(stem).filter(|suffix| !suffix.is_empty()).collect();
        for suffix in &suffixes {
            assert_eq!(ours[&format!("to-run{suffix}.json")], theirs[&format!("to-run{suffix}.json")], "{rounds:?}");
        }
        for name in ["task-graph", "label-to-taskid"].iter().filter(|_| !suffixes.is_empty()) {
            let all: BTreeMap<String, Value> = serde_json::from_value(ours[&format!("{name}.json")].clone()).unwrap();
            assert_eq!(joined(&ours, name, &suffixes), all, "{rounds:?}");
        }
    }
}

#[test]
fn a_numbered_artifact_names_its_own_copies_and_what_was_made_for_them() {
    let push = push();
    let needs = Push::new(vec![task("build", &[]), task("test", &[("build", "build")])]);
    let files_of = |push: &Push, rounds| files(&push.plan(&request(push, rounds), Policy::Graft));
    let labels = |file: &Value| -> Vec<String> {
        file.as_object().unwrap().values().map(|task| task["label"].as_str().unwrap().to_owned()).collect()
    };
    // The build that all times share stands in each; an earlier one is only told.
    let files = files_of(&needs, vec![round(&["test"], 2)]);
    for suffix in ["-0-0", "-0-1"] {
        let mut made = labels(&files[&format!("task-graph{suffix}.json")]);
        made.sort_unstable();
        assert_eq!(made, ["build", "test"]);
    }
    let files = files_of(&push, vec![round(&["test-1"], 1), round(&["test-2"], 1)]);
    assert_eq!(labels(&files["task-graph-0-0.json"]), ["test-1"]);
    assert_eq!(labels(&files["task-graph-1-0.json"]), ["test-2"]);
    assert_eq!(files["label-to-taskid-1-0.json"]["build"], json!(id(20)));
    assert_eq!(files["label-to-taskid-1-0.json"].get("test-1"), None);
    // Copies of a job that another round asks for are that round's, though this one's copies depend on them.
    let rounds = vec![round(&["build"], 2), round(&["test"], 1)];
    let plan = needs.plan(&request(&needs, rounds.clone()), Policy::Graft);
    let at = |label: &str| plan.tasks.iter().position(|task| task.label == label).unwrap();
    let on = &plan.tasks[at("test")].dependencies[0].on;
    assert_eq!(*on, Target::New(at("build")), "the first copy will do");
    let files = files_of(&needs, rounds);
    let graphs = ["-0-0", "-0-1", "-1-0"].map(|suffix| labels(&files[&format!("task-graph{suffix}.json")]));
    assert_eq!(graphs, [vec!["build"], vec!["build"], vec!["test"]]);
    assert_eq!(files["label-to-taskid-1-0.json"].get("build"), None);
    let both = ["-0-0", "-0-1"].map(|suffix| files[&format!("label-to-taskid{suffix}.json")]["build"].clone());
    assert_ne!(both[0], both[1]);
    // So many that all of them would be too much: the combined ones have everything.
    let many = files_of(&needs, vec![round(&[], 100); 201].into_iter().chain([round(&["test"], 1)]).collect());
    assert_eq!((many.len(), many["task-graph.json"].as_object().unwrap().len()), (3, 2));
}

#[test]
fn a_plan_of_the_first_version_is_read_as_what_it_was() {
    let push = push();
    let plan = push.plan(&push.request(&["test-1", "build"]).repeated(3), Policy::Graft);
    let mut first = serde_json::to_value(&plan).unwrap();
    first["version"] = json!(1);
    first["request"]["purpose"] = json!({"do": "add", "times": 3});
    assert_eq!(Plan::read(first.to_string().as_bytes()).unwrap(), plan);
    first["request"]["purpose"] = json!({"do": "add", "times": 101});
    assert!(Plan::read(first.to_string().as_bytes()).is_err());
}

#[test]
fn more_than_any_plan_may_have_is_refused_before_it_is_made() {
    let mut twice = task("twice", &[]);
    twice.attributes.insert("task_duplicates".to_owned(), json!(100));
    let push = Push::new(vec![twice]);
    let rounds = vec![round(&["twice"], 100); 11];
    assert_eq!(push.try_plan(&request(&push, rounds), Policy::Graft), Err(PlanError::TooMany(110_000)));
    // What is needed is made anew in each of the reference's iterations.
    let needs: Vec<String> = (0..1000).map(|n| format!("need-{n:03}")).collect();
    let on: Vec<(&str, &str)> = needs.iter().map(|label| (label.as_str(), label.as_str())).collect();
    let mut jobs: Vec<_> = needs.iter().map(|label| task(label, &[])).collect();
    jobs.push(task("top", &on));
    let push = Push::new(jobs);
    let many = request(&push, vec![round(&["top"], 100)]);
    assert_eq!(push.try_plan(&many, Policy::Reference), Err(PlanError::TooMany(100_100)));
}

#[test]
fn rounds_that_contradict_the_rest_are_refused() {
    let plan = serde_json::to_value(push().graft(&["test-1"])).unwrap();
    for (place, value) in [
        ("/request/labels", json!(["test-2"])),
        ("/request/purpose/rounds/0/times", json!(0)),
        ("/request/purpose/rounds/0/times", json!(101)),
        ("/request/purpose/rounds/0/labels", json!(["test-1", "test-1"])),
        ("/request/purpose", json!({"do": "clone", "of": id(9)})),
    ] {
        let mut broken = plan.clone();
        *broken.pointer_mut(place).unwrap() = value;
        assert!(Plan::read(broken.to_string().as_bytes()).is_err(), "{place}");
    }
}
