//! The pushes of `examples/lander`, whose decision artifacts the reference made (`examples/lander/remake.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::to_string_sorted;
use taskgraft_core::optimize::{self, Status};
use taskgraft_core::state::TaskState;

use super::run::{Run, assert_same, indices, read_graph, read_json, read_params, texts};

#[test]
fn both_pushes_schedule_what_the_reference_scheduled() {
    let first = check("1", &BTreeMap::new());
    // The index then holds what the first push cached, and the second one makes none of it again.
    let second = check("2", &first);
    assert!(!second.is_empty());
    let reused = ["fetch-terrain-flats", "toolchain-cc", "toolchain-lint"];
    let ids = |push: &str| read_json(&push_dir(push).join("label-to-taskid.json"));
    for label in reused {
        assert_eq!(ids("2")[label], ids("1")[label], "{label}");
    }
}

fn push_dir(push: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lander/pushes").join(push)
}

/// Plans a push's targets with this index and compares with what is committed; gives what it leaves in the index.
fn check(push: &str, index: &BTreeMap<String, TaskId>) -> BTreeMap<String, TaskId> {
    let dir = push_dir(push);
    let targets = texts(&read_json(&dir.join("target-tasks.json")));
    let graph = read_graph(&dir.join("full-task-graph.json")).closure(&targets).unwrap();
    let status = Status { state: TaskState::Completed, expires: "2099-01-01T00:00:00Z".parse().unwrap() };
    let mut run = Run {
        graph: &graph,
        requested: indices(&graph, &targets),
        do_not_optimize: BTreeSet::new(),
        params: read_params(&dir.join("parameters.yml")),
        existing: BTreeMap::new(),
        index: index.clone(),
        statuses: index.values().map(|id| (*id, status)).collect(),
        decision: read_json(&dir.join("push.json"))["decision_task_id"].as_str().unwrap().parse().unwrap(),
        action: None,
        slug: ("slug".to_owned(), 0),
    };
    let made = run.make();

    let recorded = read_json(&dir.join("label-to-taskid.json"));
    let labels = made.label_to_taskid(&graph);
    let mut text = optimize::to_json(&made.tasks);
    for (label, id) in &labels {
        text = text.replace(id, recorded[label].as_str().unwrap_or_else(|| panic!("push {push}: {label}")));
    }
    assert_eq!(labels.len(), recorded.as_object().unwrap().len(), "push {push}");
    let ours = sorted(serde_json::from_str(&text).unwrap());
    let theirs = sorted(read_json(&dir.join("task-graph.json")));
    assert_same(&to_string_sorted(&ours), &to_string_sorted(&theirs), &format!("push {push}"));
    indexed(&theirs)
}

/// With dependencies in the order of their ids: they are in that order, but those ids were other ones.
fn sorted(mut graph: Value) -> Value {
    for task in graph.as_object_mut().unwrap().values_mut() {
        let mut dependencies = texts(&task["task"]["dependencies"]);
        dependencies.sort();
        task["task"]["dependencies"] = dependencies.into();
    }
    graph
}

/// Index path to task id for every route of these tasks.
fn indexed(graph: &Value) -> BTreeMap<String, TaskId> {
    let mut index = BTreeMap::new();
    for (id, task) in graph.as_object().unwrap() {
        for route in texts(&task["task"]["routes"]) {
            if let Some(path) = route.strip_prefix("index.") {
                index.insert(path.to_owned(), id.parse().unwrap());
            }
        }
    }
    index
}
