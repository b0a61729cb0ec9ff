//! `taskgraft plan --graph`.

use std::process::Command;

use serde_json::Value;

use crate::pushes::{DECISION, recorded};
use crate::run::{Ran, command};

fn optimize(dir: &std::path::Path) -> Command {
    let mut plan = command(["plan", "--offline", "--decision-id", DECISION, "--policy", "reference"]);
    for (option, file) in
        [("--graph", "full-task-graph.json"), ("--parameters", "parameters.yml"), ("--targets", "target-tasks.json")]
    {
        plan.arg(option).arg(recorded().join(file));
    }
    plan.arg("--out").arg(dir.join("out"));
    plan
}

#[test]
fn a_stored_graph_is_optimised_into_the_reference_s_files() {
    let dir = tempfile::tempdir().unwrap();
    let run = |plan: &mut Command| {
        let ran = Ran::from(plan.output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let read = |name: &str| std::fs::read(dir.path().join("out").join(name)).unwrap();
        let labels: Value = serde_json::from_slice(&read("label-to-taskid.json")).unwrap();
        let graph: Value = serde_json::from_slice(&read("task-graph.json")).unwrap();
        serde_json::from_slice::<Value>(&read("plan.json")).unwrap();
        (labels, graph)
    };
    let (labels, graph) = run(&mut optimize(dir.path()));
    assert!(labels["test-unit-1"].is_string() && labels["toolchain-cc"].is_string(), "{labels}");
    assert!(labels.get("lint-shell").is_none(), "nothing that it looks at has changed: {labels}");
    assert_eq!(labels.as_object().unwrap().len(), graph.as_object().unwrap().len());
    let id = labels["test-unit-1"].as_str().unwrap();
    assert_eq!(graph[id]["task"]["deadline"]["relative-datestamp"], "1 day", "datestamps stay relative");
    // With everything that ran on push 1 at hand, less is made.
    let existing = dir.path().join("existing.json");
    std::fs::write(&existing, format!("{{\"toolchain-cc\": \"{DECISION}\"}}")).unwrap();
    let (labels, fewer) = run(optimize(dir.path()).arg("--existing-tasks").arg(&existing));
    assert_eq!(labels["toolchain-cc"], DECISION);
    assert_eq!(fewer.as_object().unwrap().len() + 1, graph.as_object().unwrap().len());
}

#[test]
fn what_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let ran = Ran::from(optimize(dir.path()).arg("--existing-tasks").arg("/nonexistent").output().unwrap());
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(!dir.path().join("out").exists());
    assert_eq!(crate::run::taskgraft(["plan", "--graph", "x"]).code, Some(2));
}
