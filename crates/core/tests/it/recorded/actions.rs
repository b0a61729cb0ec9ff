//! The recorded `add-new-jobs` actions: the same artifacts and the same `createTask` bodies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use taskgraft_core::definition::scheduler_id;
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, ReadError, to_string_sorted};
use taskgraft_testkit::recorded::unpacked;

use super::run::{
    Run, assert_same, directories, existing, indices, read_graph, read_json, read_params, requests, texts,
};

#[test]
fn stored_graphs_get_the_recorded_jobs() {
    let mut checked = 0;
    for (archive, name) in [("graph-nss", "nss"), ("graph-translations-2024", "translations-2024")] {
        let Some(data) = unpacked(archive) else { return };
        let project = data.join("graph-only").join(name);
        let file = read_graph(&project.join("full-task-graph.json"));
        for case in add_new_jobs(&project.join("actions")) {
            check(&file, &project.join("decision-artifacts"), &case);
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
}

#[test]
fn decision_runs_get_the_recorded_jobs() {
    let Some(data) = unpacked("decision-real") else { return };
    let mut checked = 0;
    for repo in directories(&data.join("decision")) {
        for decision in directories(&repo) {
            let artifacts = decision.join("artifacts");
            let file = read_graph(&artifacts.join("full-task-graph.json"));
            for case in add_new_jobs(&decision) {
                check(&file, &artifacts, &case);
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "{checked}");
}

fn add_new_jobs(path: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains("add-new-jobs"));
    directories(path).into_iter().filter(is_one).collect()
}

fn check(file: &GraphFile, artifacts: &Path, case: &Path) {
    let name = case.display().to_string();
    let env = read_json(&case.join("invocation.json"))["env"].clone();
    let input: Value = serde_json::from_str(env["ACTION_INPUT"].as_str().unwrap()).unwrap();
    let labels = texts(&input["tasks"]);
    let recorded = requests(&case.join("requests.jsonl"));
    let graph = match file.closure(&labels) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(matches!(&error, ReadError::Unknown(unknown) if *unknown == ["no-such-label"]), "{name}: {error}");
            assert!(recorded.created.is_empty(), "{name}");
            return;
        }
    };
    let group: TaskId = env["ACTION_TASK_GROUP_ID"].as_str().unwrap().parse().unwrap();
    let action: TaskId = env["TASK_ID"].as_str().unwrap().parse().unwrap();
    let mut run = Run {
        graph: &graph,
        requested: indices(&graph, &labels),
        do_not_optimize: indices(&graph, &labels),
        params: read_params(&artifacts.join("parameters.yml")),
        existing: existing(&read_json(&artifacts.join("label-to-taskid.json"))),
        index: recorded.index,
        statuses: recorded.statuses,
        decision: group,
        action: Some(action),
        slug: (format!("slug:{action}"), 0),
    };
    let domain = recorded.created.values().next().unwrap()["schedulerId"].as_str().unwrap();
    let scheduler = scheduler_id(domain.rsplit_once("-level-").unwrap().0, &run.params.level().unwrap());
    let mut bodies = BTreeMap::new();
    let mut entries = Map::new();
    for _ in 0..input["times"].as_u64().unwrap_or(1) {
        let made = run.make();
        bodies.extend(made.bodies(group, &scheduler));
        entries.extend(made.tasks.iter().map(|task| (task.task_id.to_string(), task.to_json())));
    }
    assert_eq!(bodies, recorded.created, "{name}");
    let graph = std::fs::read_to_string(case.join("artifacts/task-graph.json")).unwrap();
    assert_same(&to_string_sorted(&Value::Object(entries)), &graph, &name);
}
