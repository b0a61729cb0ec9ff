//! Optimising a graph from a file, as `taskgraft plan --graph FILE` does: no push, no earlier actions, nothing created.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::json::{GraphFile, MAX_GRAPH_BYTES, ReadError};
use taskgraft_core::plan::{Facts, Policy, Purpose, Request, Source, SourceKind};

use crate::cache::map;
use crate::parameters::{ParametersError, read_parameters};
use crate::planner::{Lookups, Planned, PlannerError, plan_closure};

/// The largest file that lists labels or tasks, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// Where the parts of the question are.
#[derive(Debug, Clone, Default)]
pub struct StoredGraph {
    /// A full-task-graph.json.
    pub graph: PathBuf,
    /// Parameters, as JSON or YAML.
    pub parameters: PathBuf,
    /// A JSON array of labels; their closure is taken.
    pub targets: PathBuf,
    /// A JSON array of labels that stay whatever the strategies say; none without a file.
    pub do_not_optimize: Option<PathBuf>,
    /// A JSON object of label to task id; empty without a file.
    pub existing_tasks: Option<PathBuf>,
    /// The decision task; without one planned ids are null.
    pub decision: Option<TaskId>,
}

/// Why a stored graph can't be optimised.
#[derive(Debug, thiserror::Error)]
pub enum StoredGraphError {
    /// A file can't be read.
    #[error("read {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A file is not the JSON that it should be.
    #[error("read {}: {error}", .path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The parameters can't be read.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// The graph can't be read.
    #[error("read the graph: {0}")]
    Graph(#[from] ReadError),
    /// There is no plan.
    #[error(transparent)]
    Planner(#[from] PlannerError),
}

/// Optimises the graph. Relative datestamps stay, nothing is morphed.
///
/// # Errors
/// If a file can't be read, a label is unknown, or something can't be looked up.
pub async fn optimize(
    lookups: &Lookups,
    stored: &StoredGraph,
    id: RequestId,
    policy: Policy,
) -> Result<Planned, StoredGraphError> {
    let labels: Vec<String> = list(&stored.targets)?;
    let do_not_optimize = stored.do_not_optimize.as_deref().map(list).transpose()?.unwrap_or_default();
    let existing: BTreeMap<String, TaskId> =
        stored.existing_tasks.as_deref().map(list).transpose()?.unwrap_or_default();
    let parameters = read_parameters(&bytes(&stored.parameters, MAX_LIST)?)?;
    let graph = GraphFile::read(bytes(&stored.graph, MAX_GRAPH_BYTES as u64)?)?;
    let closure = graph.closure(&labels.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut request = Request::add(id, stored.decision, stored.decision, &labels);
    request.purpose = Purpose::Optimize { do_not_optimize };
    let (now, urls) = lookups.now_and_urls();
    let mut facts = Facts::new(now, urls, parameters);
    facts.sources = vec![Source { kind: SourceKind::Decision, of: stored.decision, labels: Arc::new(existing) }];
    let plan = plan_closure(lookups, &closure, &request, &mut facts, policy).await?;
    Ok(Planned { plan, facts, notices: Vec::new() })
}

fn bytes(path: &Path, max: u64) -> Result<bytes::Bytes, StoredGraphError> {
    map(path, max).map_err(|error| StoredGraphError::Io { path: path.to_owned(), error })
}

fn list<T: DeserializeOwned>(path: &Path) -> Result<T, StoredGraphError> {
    serde_json::from_slice(&bytes(path, MAX_LIST)?)
        .map_err(|error| StoredGraphError::Json { path: path.to_owned(), error })
}
