//! The cases under `optimize/` of the two stored graphs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use taskgraft_core::optimize::{self, Strategies};
use taskgraft_core::params::Parameters;
use taskgraft_testkit::recorded::{IndexMode, indexed, status, unpacked};

use super::run::{Made, Run, assert_same, directories, existing, indices, read_graph, read_json, requests, texts};

#[test]
fn nss_is_optimised_as_recorded() {
    check_all("graph-nss", "nss", 7);
}

#[test]
fn translations_are_optimised_as_recorded() {
    check_all("graph-translations-2024", "translations-2024", 8);
}

fn check_all(archive: &str, name: &str, count: usize) {
    let Some(data) = unpacked(archive) else { return };
    let project = data.join("graph-only").join(name);
    let file = read_graph(&project.join("full-task-graph.json"));
    let cases = directories(&project.join("optimize"));
    assert_eq!(cases.len(), count);
    for case in cases {
        check(&file, &case);
    }
}

fn check(file: &taskgraft_core::json::GraphFile, case: &Path) {
    let name = case.display().to_string();
    let spec = read_json(&case.join("spec.json"));
    let targets = texts(&spec["target_tasks"]);
    let graph = file.closure(&targets).unwrap();
    let labels: BTreeSet<String> = graph.iter().map(|(_, task)| task.label.to_string()).collect();
    let recorded = read_json(&case.join("target-task-graph.labels.json"));
    assert_eq!(labels, texts(&recorded).into_iter().collect(), "{name}");

    let do_not_optimize = indices(&graph, &texts(&spec["do_not_optimize"]));
    let lookups = optimize::lookups(&graph, &do_not_optimize, &Strategies::default());
    let requests = requests(&case.join("requests.jsonl"));
    assert_eq!(vec![lookups.batched.clone()], requests.asked, "{name}");
    let mode = if spec["index_mode"] == "half" { IndexMode::Half } else { IndexMode::Empty };
    let found = lookups.batched.iter().filter_map(|path| Some((path.clone(), indexed(mode, path)?)));
    let index: BTreeMap<_, _> = found.collect();
    assert_eq!(index, requests.index, "{name}");

    let mut run = Run {
        graph: &graph,
        requested: indices(&graph, &targets),
        do_not_optimize,
        params: Parameters::new(spec["parameters"].clone()).unwrap(),
        existing: existing(&spec["existing_tasks"]),
        statuses: index.values().map(|id| (*id, status(*id))).collect(),
        index,
        decision: spec["decision_task_id"].as_str().unwrap().parse().unwrap(),
        action: None,
        slug: ("slug".to_owned(), 0),
    };
    let made = run.make();
    check_verdicts(&run, &made, case);
    let recorded = std::fs::read_to_string(case.join("task-graph.json")).unwrap();
    assert_same(&optimize::to_json(&made.tasks), &recorded, &format!("{name}/task-graph.json"));
    let recorded: BTreeMap<String, String> =
        serde_json::from_value(read_json(&case.join("label-to-taskid.json"))).unwrap();
    assert_eq!(made.label_to_taskid(&graph), recorded, "{name}");
}

fn check_verdicts(run: &Run<'_>, made: &Made, case: &Path) {
    let summary = read_json(&case.join("summary.json"));
    let labels = |keep: &dyn Fn(&optimize::Outcome) -> bool| {
        let kept = made.optimized.iter().filter(|(_, outcome)| keep(outcome));
        kept.map(|(ix, _)| run.graph.task(ix).label.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&|outcome| outcome.is_removed()), texts(&summary["removed"]));
    assert_eq!(labels(&|outcome| outcome.replaced_by().is_some()), texts(&summary["replaced"]));
    assert_eq!(Value::from(made.tasks.len()), summary["kept"]);
    let log = std::fs::read_to_string(case.join("optimizations.log")).unwrap();
    let recorded: BTreeSet<&str> = log.lines().filter(|line| line.starts_with("optimize: ")).collect();
    let reason = |(ix, outcome): (_, &optimize::Outcome)| {
        let verdict = if outcome.removal.is_kept() { "kept" } else { "removed" };
        format!("optimize: {} {verdict} because of {}", run.graph.task(ix).label, outcome.removal)
    };
    let reasons: BTreeSet<String> = made.optimized.iter().map(reason).collect();
    assert_eq!(reasons.iter().map(String::as_str).collect::<BTreeSet<_>>(), recorded, "{}", case.display());
}
