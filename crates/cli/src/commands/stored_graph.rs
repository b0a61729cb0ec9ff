//! `taskgraft plan --graph`: optimising a graph from a file.

use std::path::{Path, PathBuf};

use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, artifacts};
use taskgraft_engine::Lookups;
use taskgraft_engine::stored_graph::{StoredGraph, StoredGraphError, optimize};

use crate::asking::{self, Rules};
use crate::connect;
use crate::env::Env;
use crate::exit::Failure;
use crate::output::plan::Heading;
use crate::output::{self, Out};

/// A graph from a file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A stored graph")]
pub(crate) struct GraphArgs {
    /// Optimise this full-task-graph.json
    #[arg(long, value_name = "FILE", requires_all = ["parameters", "targets"], conflicts_with = "labels")]
    pub(crate) graph: Option<PathBuf>,
    /// The parameters, as JSON or YAML
    #[arg(long, value_name = "FILE", requires = "graph")]
    parameters: Option<PathBuf>,
    /// The labels that are wanted, as a JSON array; their closure is taken
    #[arg(long, value_name = "FILE", requires = "graph")]
    targets: Option<PathBuf>,
    /// Labels that stay whatever their strategies say, as a JSON array
    #[arg(long, value_name = "FILE", requires = "graph")]
    do_not_optimize: Option<PathBuf>,
    /// Tasks that exist already, as a JSON object of label to task id
    #[arg(long, value_name = "FILE", requires = "graph")]
    existing_tasks: Option<PathBuf>,
    /// Write task-graph.json, label-to-taskid.json and plan.json into this directory, made if need be
    #[arg(long, value_name = "DIR", requires_all = ["graph", "decision_id"])]
    out: Option<PathBuf>,
}

/// What else `plan` was told.
pub(crate) struct Manner {
    pub(crate) decision: Option<TaskId>,
    pub(crate) rules: Rules,
    pub(crate) offline: bool,
    pub(crate) json: bool,
}

pub(crate) async fn run(args: GraphArgs, manner: Manner, env: &Env, out: &Out) -> Result<(), Failure> {
    let lookups = if manner.offline {
        connect::offline(env)
    } else {
        let client = connect::reader(env)?;
        let artifacts = connect::artifacts(&client, env)?;
        Lookups::Online(client, artifacts)
    };
    let stored = StoredGraph {
        graph: args.graph.unwrap_or_default(),
        parameters: args.parameters.unwrap_or_default(),
        targets: args.targets.unwrap_or_default(),
        do_not_optimize: args.do_not_optimize,
        existing_tasks: args.existing_tasks,
        decision: manner.decision,
    };
    // Nothing is created from it, so its name only has to be the same each time.
    let id = manner.decision.unwrap_or_else(|| TaskId::from_bytes([0; 16])).into();
    let planned = optimize(&lookups, &stored, id, manner.rules.into()).await.map_err(explain)?;
    if let Some(dir) = &args.out {
        write(dir, &planned.plan)?;
    }
    if manner.json {
        return Ok(out.raw(planned.plan.to_json().as_bytes())?);
    }
    let labels = planned.plan.verdicts.len();
    let heading = Heading { labels, scheduled: planned.plan.tasks.len(), ..Heading::default() };
    Ok(out.say(&output::plan::text(&heading, &planned.plan, planned.facts.now, out))?)
}

fn explain(error: StoredGraphError) -> Failure {
    let message = format!("failed to {error}");
    match error {
        StoredGraphError::Planner(error) => asking::explain_plain(error),
        StoredGraphError::Io { .. }
        | StoredGraphError::Json { .. }
        | StoredGraphError::Parameters(_)
        | StoredGraphError::Graph(_) => Failure::mistake(message),
    }
}

fn write(dir: &Path, plan: &Plan) -> Result<(), Failure> {
    let mut files = artifacts(plan).map_err(|why| Failure::mistake(format!("failed to write the graph: {why}")))?;
    files.insert("plan.json".to_owned(), plan.to_json());
    let failed =
        |path: &Path, why: std::io::Error| Failure::other(format!("failed to write {}: {why}", path.display()));
    std::fs::create_dir_all(dir).map_err(|why| failed(dir, why))?;
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|why| failed(&path, why))?;
    }
    Ok(())
}
