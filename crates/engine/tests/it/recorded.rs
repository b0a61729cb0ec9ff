//! Every recorded action under `--policy reference`, over HTTP: the requests that the reference made, with the same
//! bodies, and the artifacts that it left, new ids told by label. What failed there fails here.

mod compared;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use taskgraft_client::{Client, Config};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::Policy;
use taskgraft_core::report::Terminal;
use taskgraft_engine::action::{ActionAsk, ActionError, ActionReport, Keep, Means, Terms, With, perform};
use taskgraft_engine::{Cache, Plans, Project};
use taskgraft_testkit::recorded::unpacked;

use replay::{Fixed, Replay};

/// Where a recorded push's things are.
struct Recorded {
    /// full-task-graph.json, label-to-taskid.json and parameters.yml, each where it is.
    files: Vec<(&'static str, PathBuf)>,
    state: Value,
    project: Project,
    now: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_on_two_large_graphs_are_the_references() {
    let mut checked = 0;
    for (archive, name) in [("graph-nss", "nss"), ("graph-translations-2024", "translations-2024")] {
        let Some(data) = unpacked(archive) else { return };
        let dir = data.join("graph-only").join(name);
        let decision = dir.join("decision-artifacts");
        let recorded = Recorded {
            files: vec![
                ("full-task-graph.json", dir.join("full-task-graph.json")),
                ("label-to-taskid.json", decision.join("label-to-taskid.json")),
                ("parameters.yml", decision.join("parameters.yml")),
            ],
            state: json_file(&dir.join("state-for-actions.json")),
            project: Project::read(&dir.join("repo/taskcluster")).unwrap(),
            now: "2026-08-22T12:00:00.000Z".to_owned(),
        };
        for case in directories(&dir.join("actions")) {
            check(&recorded, &case).await;
            checked += 1;
        }
    }
    assert_eq!(checked, 28);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_on_seven_real_decision_runs_are_the_references() {
    let Some(data) = unpacked("decision-real") else { return };
    let (mut checked, mut failed) = (0, 0);
    for run in directories(&data.join("decision")).iter().flat_map(|repo| directories(repo)) {
        let artifacts = run.join("artifacts");
        let invocation = json_file(&run.join("decision.invocation.json"));
        let state = json_file(&run.join("state-for-actions.json"));
        // Such as `scriptworker.v2.…`.
        let path = state["index"].as_object().unwrap().keys().next().unwrap().clone();
        let checkout = tempfile::tempdir().unwrap();
        let config = format!("trust-domain: {}\n", path.split('.').next().unwrap());
        std::fs::write(checkout.path().join("config.yml"), config).unwrap();
        let files = ["full-task-graph.json", "label-to-taskid.json", "parameters.yml"];
        let recorded = Recorded {
            files: files.map(|name| (name, artifacts.join(name))).to_vec(),
            state,
            project: Project::read(checkout.path()).unwrap(),
            now: invocation["frozen_now"].as_str().unwrap().to_owned(),
        };
        for case in directories(&run) {
            if case.join("requests.jsonl").exists() {
                failed += usize::from(!check(&recorded, &case).await);
                checked += 1;
            }
        }
    }
    // An unknown label, and a retrigger without force, on each.
    assert_eq!((checked, failed), (4 * 18 + 3 * 19, 7 * 2));
}

/// Performs a recorded action, and compares; tells whether it succeeded.
async fn check(recorded: &Recorded, case: &Path) -> bool {
    let name = case.display().to_string();
    let invocation = json_file(&case.join("invocation.json"));
    let rows: Vec<Value> = std::fs::read_to_string(case.join("requests.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let replay = Replay::start(recorded, invocation["index_mode"].as_str(), &rows).await;
    let out = tempfile::tempdir().unwrap();
    let done = performed(recorded, &invocation, &replay, out.path()).await;

    let seen = replay.seen();
    assert_eq!(compared::sorted(&seen.asked), compared::asked(&rows), "{name}");
    compared::order(case, &rows, &seen);
    let ok = invocation["rc"] == 0;
    match done {
        Ok(report) => {
            assert!(ok, "{name}: it failed there");
            assert_eq!(report.result, Terminal::Done, "{name}");
            compared::bodies(case, &rows, &report, &seen);
            compared::artifacts(case, out.path(), &report);
        }
        Err(error) => {
            assert!(!ok, "{name}: {error}");
            assert!(seen.created.is_empty(), "{name}");
        }
    }
    ok
}

async fn performed(
    recorded: &Recorded,
    invocation: &Value,
    replay: &Replay,
    out: &Path,
) -> Result<ActionReport, ActionError> {
    let env = |key: &str| invocation["env"][key].as_str().map(str::to_owned);
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Fixed(recorded.now.parse().unwrap()));
    let client = Client::new(Config { clock, ..Config::new(&replay.url) }).unwrap();
    let means = Means { client, cache: Cache::open(&dir.path().join("cache")).unwrap() };
    let task: TaskId = env("TASK_ID").unwrap().parse().unwrap();
    let terms = Terms { project: Some(recorded.project.clone()), ..Terms::of_task(Policy::Reference, task) };
    let keep = Keep::Plans(Plans::open(&dir.path().join("plans")).unwrap());
    let with = With { terms, keep, out: out.to_owned() };
    let ask = ActionAsk::from_env(env).unwrap();
    perform(&means, &ask, &with, std::future::pending(), |_| ()).await
}

pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}
