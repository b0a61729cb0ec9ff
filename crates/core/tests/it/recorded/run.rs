//! The path from a graph to final definitions as the reference takes it, with what a recording answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use taskgraft_core::definition::{self, ArtifactUrls, DefinitionError};
use taskgraft_core::graph::{Label, TaskGraph, TaskIx};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::GraphFile;
use taskgraft_core::optimize::{
    self, FinalTask, Inputs, Optimized, ReferenceJudge, Status, Strategies, SubgraphInputs,
};
use taskgraft_core::params::Parameters;
use taskgraft_core::time;
use taskgraft_testkit::python::read_yaml;
use taskgraft_testkit::recorded::{IndexMode, id_of, indexed, status};

/// When the recorded tasks were created.
pub(crate) const CREATED: &str = "2026-08-22T12:00:00.000Z";

/// All that one optimisation is given.
pub(crate) struct Run<'a> {
    pub(crate) graph: &'a TaskGraph,
    pub(crate) requested: BTreeSet<TaskIx>,
    pub(crate) do_not_optimize: BTreeSet<TaskIx>,
    pub(crate) params: Parameters,
    pub(crate) existing: BTreeMap<Label, Vec<TaskId>>,
    pub(crate) index: BTreeMap<String, TaskId>,
    pub(crate) statuses: BTreeMap<TaskId, Status>,
    pub(crate) decision: TaskId,
    /// The action task, where one runs it.
    pub(crate) action: Option<TaskId>,
    /// What new ids are derived from, and how many have been.
    pub(crate) slug: (String, usize),
}

/// What came of it.
pub(crate) struct Made {
    pub(crate) optimized: Optimized,
    pub(crate) ids: BTreeMap<TaskIx, TaskId>,
    pub(crate) tasks: Vec<FinalTask>,
}

impl Run<'_> {
    pub(crate) fn make(&mut self) -> Made {
        let inputs = Inputs {
            requested: &self.requested,
            do_not_optimize: &self.do_not_optimize,
            params: &self.params,
            strategies: &Strategies::default(),
            existing: &self.existing,
            index: &self.index,
            judge: &ReferenceJudge { statuses: &self.statuses },
            now: CREATED.parse().unwrap(),
        };
        let optimized = optimize::optimize(self.graph, &inputs).unwrap();
        let mut ids = BTreeMap::new();
        for (ix, _) in optimized.iter().filter(|(_, outcome)| outcome.is_kept()) {
            ids.insert(ix, id_of(&format!("{}:{}", self.slug.0, self.slug.1)));
            self.slug.1 += 1;
        }
        let prepare = |_: TaskIx, definition: &mut Value| -> Result<(), DefinitionError> {
            if let Some(action) = self.action {
                definition::set_parent(definition, action.as_str())?;
                definition::add_dependency(definition, action)?;
            }
            Ok(())
        };
        let urls = ArtifactUrls { root: "http://127.0.0.1:18099".to_owned(), proxy: None };
        let inputs = SubgraphInputs { new_id: &|ix| ids[&ix], prepare: &prepare, decision: self.decision, urls: &urls };
        let tasks = optimize::subgraph(self.graph, &optimized, &inputs).unwrap();
        Made { optimized, ids, tasks }
    }
}

impl Made {
    pub(crate) fn label_to_taskid(&self, graph: &TaskGraph) -> BTreeMap<String, String> {
        let ids = optimize::label_to_taskid(graph, &self.optimized, &|ix| self.ids[&ix]);
        ids.into_iter().map(|(label, id)| (label.to_string(), id.to_string())).collect()
    }

    /// What `createTask` is sent: a body for each id.
    pub(crate) fn bodies(&self, decision: TaskId, scheduler_id: &str) -> BTreeMap<String, Value> {
        let created: BTreeSet<&str> = self.tasks.iter().map(|task| task.task_id.as_str()).collect();
        let now = CREATED.parse().unwrap();
        let body = |task: &FinalTask| {
            let mut body = task.definition.clone();
            let waits = !definition::has_dependency_among(&body, |id| created.contains(id));
            definition::join_group(&mut body, decision, scheduler_id, waits).unwrap();
            definition::resolve_timestamps(&body, now).unwrap()
        };
        self.tasks.iter().map(|task| (task.task_id.to_string(), body(task))).collect()
    }
}

/// What a recording's index and queue answered, and the tasks that were created.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) index: BTreeMap<String, TaskId>,
    pub(crate) statuses: BTreeMap<TaskId, Status>,
    /// The paths of each batched look-up.
    pub(crate) asked: Vec<BTreeSet<String>>,
    pub(crate) created: BTreeMap<String, Value>,
}

pub(crate) fn requests(path: &Path) -> Requests {
    let mut requests = Requests::default();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let (path, response) = (request["path"].as_str().unwrap(), &request["response"]);
        if path == "/api/index/v1/tasks/indexes" {
            let asked: BTreeSet<String> = serde_json::from_value(request["body"]["indexes"].clone()).unwrap();
            requests.index.extend(found(&asked, response));
            requests.asked.push(asked);
        } else if path == "/api/queue/v1/tasks/status" {
            let asked: Vec<TaskId> = serde_json::from_value(request["body"]["taskIds"].clone()).unwrap();
            requests.statuses.extend(statuses(&asked, response));
        } else if request["method"] == "PUT" {
            requests.created.insert(path.rsplit('/').next().unwrap().to_owned(), request["body"].clone());
        }
    }
    requests
}

/// What the index answered. Long answers weren't recorded, but how they were made is known.
fn found(asked: &BTreeSet<String>, response: &Value) -> BTreeMap<String, TaskId> {
    let Some(tasks) = response["tasks"].as_array() else {
        return asked.iter().filter_map(|path| Some((path.clone(), indexed(IndexMode::Half, path)?))).collect();
    };
    let id = |task: &Value| task["taskId"].as_str().unwrap().parse().unwrap();
    tasks.iter().map(|task| (task["namespace"].as_str().unwrap().to_owned(), id(task))).collect()
}

/// What the queue answered, in the same manner.
fn statuses(asked: &[TaskId], response: &Value) -> BTreeMap<TaskId, Status> {
    let Some(statuses) = response["statuses"].as_array() else {
        return asked.iter().map(|id| (*id, status(*id))).collect();
    };
    let id = |status: &Value| status["taskId"].as_str().unwrap().parse().unwrap();
    statuses.iter().map(|status| (id(status), read_status(&status["status"]))).collect()
}

fn read_status(status: &Value) -> Status {
    Status {
        state: serde_json::from_value(status["state"].clone()).unwrap(),
        expires: time::parse(status["expires"].as_str().unwrap()).unwrap(),
    }
}

pub(crate) fn read_graph(path: &Path) -> GraphFile {
    GraphFile::read(std::fs::read(path).unwrap().into()).unwrap()
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn read_params(path: &Path) -> Parameters {
    Parameters::new(read_yaml(path)).unwrap()
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The tasks with these labels, as far as they are in the graph.
pub(crate) fn indices(graph: &TaskGraph, labels: &[String]) -> BTreeSet<TaskIx> {
    labels.iter().filter_map(|label| graph.by_label(label)).collect()
}

pub(crate) fn existing(value: &Value) -> BTreeMap<Label, Vec<TaskId>> {
    let ids: BTreeMap<String, TaskId> = serde_json::from_value(value.clone()).unwrap();
    ids.into_iter().map(|(label, id)| (label.into(), vec![id])).collect()
}

/// The directories in `path`, sorted.
pub(crate) fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    directories.sort();
    directories
}

/// Compares texts without printing megabytes of them.
#[track_caller]
pub(crate) fn assert_same(made: &str, recorded: &str, what: &str) {
    let (made, recorded) = (made.trim_end(), recorded.trim_end());
    if made != recorded {
        let line = made.lines().zip(recorded.lines()).position(|(made, recorded)| made != recorded);
        let at = line.unwrap_or(made.lines().count().min(recorded.lines().count()));
        let near = |text: &str| text.lines().skip(at.saturating_sub(3)).take(7).collect::<Vec<_>>().join("\n");
        panic!("{what} differs at line {}\n--- made\n{}\n--- recorded\n{}", at + 1, near(made), near(recorded));
    }
}
