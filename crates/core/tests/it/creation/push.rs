//! Pushes made up for tests: a graph, a decision task, and what ran so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_core::definition::ArtifactUrls;
use taskgraft_core::graph::{Optimization, Task, TaskGraph};
use taskgraft_core::ids::derive::{self, BodyHash};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::{Facts, Plan, PlanError, Policy, Request, Source, SourceKind, plan, wants};
use taskgraft_core::state::TaskState;

use super::queue::SimQueue;

pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An id for tests, told apart by a number.
pub(crate) fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

pub(crate) fn task(label: &str, dependencies: &[(&str, &str)]) -> Task {
    let references: BTreeMap<&str, Value> =
        dependencies.iter().map(|(name, _)| (*name, json!({"task-reference": format!("<{name}>")}))).collect();
    let definition = json!({
        "created": {"relative-datestamp": "0 seconds"},
        "deadline": {"relative-datestamp": "1 day"},
        "expires": {"relative-datestamp": "1 year"},
        "metadata": {"name": label, "description": label, "owner": "a@b.c", "source": "https://x/y"},
        "payload": {"env": references, "until": {"relative-datestamp": "1 month"}},
        "provisionerId": "p",
        "workerType": "w",
    });
    Task {
        label: label.into(),
        kind: "test".to_owned(),
        description: String::new(),
        attributes: json!({"kind": "test"}).as_object().unwrap().clone(),
        dependencies: dependencies.iter().map(|(name, on)| ((*name).to_owned(), (*on).into())).collect(),
        soft_dependencies: Vec::new(),
        if_dependencies: Vec::new(),
        optimization: None,
        definition: Bytes::from(definition.to_string()),
    }
}

pub(crate) fn indexed(mut task: Task, paths: &[&str]) -> Task {
    task.optimization = Some(Optimization::new("index-search", json!(paths)));
    task
}

/// A push with its queue. The decision task is `id(1)`, and completed.
#[derive(Clone)]
pub(crate) struct Push {
    pub(crate) graph: TaskGraph,
    pub(crate) queue: SimQueue,
    pub(crate) sources: Vec<Source>,
    pub(crate) index: BTreeMap<String, TaskId>,
}

impl Push {
    pub(crate) fn new(tasks: Vec<Task>) -> Self {
        let mut queue = SimQueue::new(now(), 1);
        let decision = json!({"taskGroupId": id(1), "schedulerId": "lander-level-3"});
        queue.plant(id(1), decision, TaskState::Completed);
        let group = taskgraft_core::plan::GroupFact { scheduler_id: "lander-level-3".to_owned(), sealed: None };
        queue.groups.insert(id(1), group);
        let sources = vec![Source { kind: SourceKind::Decision, of: Some(id(1)), labels: Arc::default() }];
        Self { graph: TaskGraph::new(tasks).unwrap(), queue, sources, index: BTreeMap::new() }
    }

    /// A task that the decision task scheduled.
    pub(crate) fn ran(mut self, label: &str, task_id: TaskId, state: TaskState) -> Self {
        self.add_ran(label, task_id, state);
        self
    }

    pub(crate) fn add_ran(&mut self, label: &str, task_id: TaskId, state: TaskState) {
        let definition = json!({"taskGroupId": id(1), "schedulerId": "lander-level-3", "metadata": {"name": label}});
        self.queue.plant(task_id, definition, state);
        Arc::make_mut(&mut self.sources[0].labels).insert(label.to_owned(), task_id);
    }

    /// A list of an earlier action's tasks.
    pub(crate) fn action(mut self, of: TaskId, label: &str, task_id: TaskId, state: TaskState) -> Self {
        let definition = json!({"taskGroupId": id(1), "schedulerId": "lander-level-3", "metadata": {"name": label}});
        self.queue.plant(task_id, definition, state);
        let labels = Arc::new(BTreeMap::from([(label.to_owned(), task_id)]));
        self.sources.push(Source { kind: SourceKind::Action, of: Some(of), labels });
        self
    }

    /// Something found in the index.
    pub(crate) fn found(mut self, path: &str, task_id: TaskId, state: TaskState) -> Self {
        self.queue.plant(task_id, json!({}), state);
        self.index.insert(path.to_owned(), task_id);
        self
    }

    pub(crate) fn request(&self, labels: &[&str]) -> Request {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        Request::add("R1".parse::<RequestId>().unwrap(), Some(id(1)), Some(id(1)), &labels)
    }

    /// The request with an action task, which is planted and runs.
    pub(crate) fn by_action(&mut self, labels: &[&str], action: TaskId) -> Request {
        let definition = json!({"taskGroupId": id(1), "schedulerId": "lander-level-3"});
        self.queue.plant(action, definition, TaskState::Running);
        Request { id: action.into(), action_task: Some(action), ..self.request(labels) }
    }

    pub(crate) fn closure(&self, request: &Request) -> TaskGraph {
        let roots: Vec<_> = request.labels.iter().filter_map(|label| self.graph.by_label(label)).collect();
        self.graph.closure(&roots)
    }

    /// All that is wanted, looked up; and in how many rounds.
    pub(crate) fn facts(&self, request: &Request, policy: Policy) -> (Facts, usize) {
        let urls = ArtifactUrls { root: "https://tc.example".to_owned(), proxy: None };
        let params = Parameters::new(json!({"level": "3", "project": "lander"})).unwrap();
        let mut facts = Facts::new(self.queue.now, urls, params);
        facts.scheduler_id = Some("lander-level-3".to_owned());
        facts.group = self.queue.groups.get(&id(1)).cloned();
        facts.sources.clone_from(&self.sources);
        let graph = self.closure(request);
        for round in 0.. {
            let wanted = wants(&graph, request, &facts, policy);
            if wanted.is_empty() {
                return (facts, round);
            }
            assert!(round < 100, "always wants more: {wanted:?}");
            facts.answer(&wanted, self.queue.answers(&wanted, &self.index));
        }
        unreachable!()
    }

    pub(crate) fn plan(&self, request: &Request, policy: Policy) -> Plan {
        self.try_plan(request, policy).unwrap()
    }

    pub(crate) fn try_plan(&self, request: &Request, policy: Policy) -> Result<Plan, PlanError> {
        let (facts, _) = self.facts(request, policy);
        plan(&self.closure(request), request, &facts, policy)
    }

    pub(crate) fn graft(&self, labels: &[&str]) -> Plan {
        self.plan(&self.request(labels), Policy::Graft)
    }

    pub(crate) fn reference(&self, labels: &[&str]) -> Plan {
        self.plan(&self.request(labels), Policy::Reference)
    }

    /// The id derived for needing `label`, after passing over `k` others.
    pub(crate) fn needed_id(&self, label: &str, k: u8) -> TaskId {
        let ix = self.graph.by_label(label).unwrap();
        derive::needed(id(1), label, &BodyHash::of(&self.graph.task(ix).definition), k)
    }
}

pub(crate) fn times(request: Request, times: u32) -> Request {
    request.repeated(times)
}

/// How many tasks a plan creates for a label.
pub(crate) fn made(plan: &Plan, label: &str) -> usize {
    plan.tasks.iter().filter(|task| task.label == label).count()
}
