//! Whole decisions: those whose in-tree graph needs no Python of its own, and the decision runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use taskgraft_core::definition::scheduler_id;
use taskgraft_core::graph::{Task, TaskGraph};
use taskgraft_core::ids::TaskId;
use taskgraft_core::morph::{self, GraphConfig};
use taskgraft_core::optimize;
use taskgraft_core::params::Parameters;
use taskgraft_testkit::python::read_yaml;
use taskgraft_testkit::recorded::unpacked;

use super::run::{
    Run, assert_same, directories, existing, indices, read_graph, read_json, read_params, requests, texts,
};

/// What stands for the decision task where nothing runs as a task.
const NO_DECISION: &str = "DECISION-TASK";
/// The same as long as an id; its characters appear nowhere else.
const PLACEHOLDER: &str = "DECISION-TASK_________";

#[test]
fn graphs_from_configuration_alone_are_optimised_and_morphed_as_recorded() {
    let Some(data) = unpacked("decision-real") else { return };
    let mut checked = 0;
    for repo in directories(&data.join("config-only")) {
        for case in directories(&repo).into_iter().filter(|case| case.join("parameters.yml").is_file()) {
            for stage in
                ["optimized-task-graph.index-half", "morphed-task-graph.index-half", "morphed-task-graph.index-empty"]
            {
                check_stage(&repo, &case, stage);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 18);
}

fn check_stage(repo: &Path, case: &Path, stage: &str) {
    let what = case.join(stage).display().to_string();
    let file = read_graph(&case.join("full-task-graph.json"));
    let params = read_params(&case.join("parameters.yml"));
    let requested = targets(&file.whole().unwrap(), &params);
    let graph = file.closure(&requested).unwrap();
    let target = read_graph(&case.join("target-task-graph.json")).whole().unwrap();
    assert_eq!(labels(&graph), labels(&target), "{what}");
    let requests = requests(&case.join(format!("{stage}.requests.jsonl")));
    let mut run = run(&graph, params, &requested, requests, PLACEHOLDER.parse().unwrap());
    let mut made = run.make();
    if stage.starts_with("morphed") {
        morph_all(&mut made.tasks, &run, &graph_config(&repo.join("input")));
    }
    let text = optimize::to_json(&made.tasks).replace(PLACEHOLDER, NO_DECISION);
    assert_same(&text, &std::fs::read_to_string(case.join(format!("{stage}.json"))).unwrap(), &what);
}

#[test]
fn decision_runs_end_in_the_recorded_graphs_and_tasks() {
    let Some(data) = unpacked("decision-real") else { return };
    let mut checked = 0;
    for repo in directories(&data.join("decision")) {
        for case in directories(&repo) {
            check_decision(&case);
            checked += 1;
        }
    }
    assert_eq!(checked, 7);
}

fn check_decision(case: &Path) {
    let artifacts = case.join("artifacts");
    let file = read_graph(&artifacts.join("full-task-graph.json"));
    let params = read_params(&artifacts.join("parameters.yml"));
    let requests = requests(&case.join("decision.requests.jsonl"));
    let created = requests.created.clone();
    let decision = group(&created);
    let mut requested = texts(&read_json(&artifacts.join("target-tasks.json")));
    requested.extend(always_targets(&file.whole().unwrap(), &params));
    let graph = file.closure(&requested).unwrap();
    let mut run = run(&graph, params, &requested, requests, decision);
    run.slug.0 = format!("slug:{decision}");
    let made = run.make();
    let recorded = std::fs::read_to_string(artifacts.join("task-graph.json")).unwrap();
    assert_same(&optimize::to_json(&made.tasks), &recorded, &case.display().to_string());
    let scheduler = created.values().next().unwrap()["schedulerId"].as_str().unwrap();
    let domain = scheduler.strip_suffix("-level-3").or(scheduler.strip_suffix("-level-1")).unwrap();
    let scheduler = scheduler_id(domain, &run.params.level().unwrap());
    assert_eq!(made.bodies(decision, &scheduler), created, "{}", case.display());
}

/// The group that recorded tasks were created in.
pub(super) fn group(created: &BTreeMap<String, Value>) -> TaskId {
    created.values().next().unwrap()["taskGroupId"].as_str().unwrap().parse().unwrap()
}

fn run<'a>(
    graph: &'a TaskGraph,
    params: Parameters,
    requested: &[String],
    requests: super::run::Requests,
    decision: TaskId,
) -> Run<'a> {
    Run {
        graph,
        requested: indices(graph, requested),
        do_not_optimize: indices(graph, &texts(params.get("do_not_optimize").unwrap())),
        existing: existing(params.get("existing_tasks").unwrap()),
        params,
        index: requests.index,
        statuses: requests.statuses,
        decision,
        action: None,
        slug: ("slug".to_owned(), 0),
    }
}

fn morph_all(tasks: &mut Vec<optimize::FinalTask>, run: &Run<'_>, config: &GraphConfig) {
    let id = run.decision;
    let added = morph::index_tasks(tasks, config, &run.params.level().unwrap(), &|_| id).unwrap();
    tasks.extend(added);
    let source = morph::code_review_source(None, None);
    tasks.extend(morph::code_review_task(tasks, &run.params, &source, id).unwrap());
}

fn graph_config(input: &Path) -> GraphConfig {
    GraphConfig::new(read_yaml(&input.join("taskcluster/config.yml"))).unwrap()
}

fn labels(graph: &TaskGraph) -> BTreeSet<String> {
    graph.iter().map(|(_, task)| task.label.to_string()).collect()
}

/// The reference's default target tasks, with those that are always targets.
fn targets(graph: &TaskGraph, params: &Parameters) -> Vec<String> {
    let wanted = graph.iter().filter(|(_, task)| {
        let runs_on = |attribute: &str, key: &str, default: &[&str]| {
            let list = task.attributes.get(attribute).and_then(Value::as_array);
            let list = list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
            list.as_deref().unwrap_or(default).iter().any(|on| *on == "all" || *on == key)
        };
        let phase = task.attributes.get("shipping_phase").and_then(Value::as_str);
        matches!(phase, None | Some("build"))
            && !task.attributes.get("cron").is_some_and(|cron| cron == true)
            && runs_on("run_on_projects", params.text("project").unwrap(), &[])
            && runs_on("run_on_tasks_for", params.text("tasks_for").unwrap(), &["all"])
            && (params.text("tasks_for").unwrap().starts_with("github-pull-request")
                || runs_on("run_on_git_branches", params.text("head_ref").unwrap(), &["all"]))
    });
    let mut labels: Vec<String> = wanted.map(|(_, task)| task.label.to_string()).collect();
    labels.extend(always_targets(graph, params));
    labels
}

fn always_targets(graph: &TaskGraph, params: &Parameters) -> Vec<String> {
    assert_eq!(params.get("enable_always_target"), Some(&Value::Bool(true)));
    let is_target = |task: &Task| task.attributes.get("always_target") == Some(&Value::Bool(true));
    graph.iter().filter(|(_, task)| is_target(task)).map(|(_, task)| task.label.to_string()).collect()
}
