//! A push for the tests of decisions.

use serde_json::{Value, json};

use super::deed::{EarlierPush, View};
use super::member::Member;
use crate::ids::TaskId;
use crate::json::GraphFile;
use crate::plan::{Policy, Source, SourceKind};
use crate::state::TaskState;
use crate::time::Millis;

/// All that a decision may look at.
pub(super) struct Example {
    pub(super) graph: GraphFile,
    pub(super) sources: Vec<Source>,
    pub(super) targets: Vec<String>,
    pub(super) members: Vec<Member>,
    pub(super) earlier: Vec<EarlierPush>,
}

/// The group is `id(0)`.
pub(super) fn id(number: u8) -> TaskId {
    TaskId::from_bytes([number; 16])
}

fn minute(minute: i64) -> Millis {
    jiff::Timestamp::from_second(1_790_000_000 + 60 * minute).unwrap().into()
}

impl Example {
    /// A graph of jobs without dependencies.
    pub(super) fn of(labels: &[&str]) -> Self {
        Self::with(&labels.iter().map(|label| (*label, json!({}))).collect::<Vec<_>>())
    }

    /// The same with attributes.
    pub(super) fn with(jobs: &[(&str, Value)]) -> Self {
        let entry = |label: &str, attributes: &Value| {
            let entry = json!({
                "attributes": attributes, "dependencies": {}, "kind": "k", "label": label, "optimization": null,
                "task": {"metadata": {"name": label}},
            });
            (label.to_owned(), entry)
        };
        let graph: Value = jobs.iter().map(|(label, attributes)| entry(label, attributes)).collect();
        Self {
            graph: GraphFile::read(graph.to_string().into()).unwrap(),
            sources: Vec::new(),
            targets: Vec::new(),
            members: Vec::new(),
            earlier: Vec::new(),
        }
    }

    pub(super) fn source(&mut self, labels: &[(&str, u8)]) {
        let labels = labels.iter().map(|(label, task)| ((*label).to_owned(), id(*task))).collect();
        self.sources.push(Source { kind: SourceKind::Decision, of: Some(id(0)), labels: std::sync::Arc::new(labels) });
    }

    /// `created` in minutes.
    pub(super) fn member(&mut self, task: u8, name: &str, state: TaskState, created: i64, on: &[u8]) {
        let dependencies = on.iter().map(|on| id(*on)).collect();
        let (name, created) = (name.to_owned(), minute(created));
        self.members.push(Member { task: id(task), name, state, created, dependencies, runs_anyway: false });
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            policy: Policy::Graft,
            group: id(0),
            subject: None,
            graph: Some(&self.graph),
            sources: &self.sources,
            targets: &self.targets,
            members: &self.members,
            earlier_pushes: &self.earlier,
        }
    }
}
