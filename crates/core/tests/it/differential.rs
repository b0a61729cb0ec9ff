//! Made-up graphs, optimised here and by the reference package: what comes out has to be the same, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use taskgraft_core::definition::{self, ArtifactUrls, DefinitionError, scheduler_id};
use taskgraft_core::graph::{Label, TaskGraph, TaskIx};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, to_string_sorted};
use taskgraft_core::morph::{self, GraphConfig};
use taskgraft_core::optimize::{
    self, FinalTask, Inputs, Optimized, Outcome, ReferenceJudge, Removal, Status, Strategies, SubgraphError,
    SubgraphInputs,
};
use taskgraft_core::params::Parameters;
use taskgraft_core::time;
use taskgraft_testkit::graphs::{Case, case};
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::{id_of, workspace};
use taskgraft_testkit::rng::{Rng, seed};

/// How many graphs a run makes up.
const CASES: usize = 600;

#[test]
fn made_up_graphs_are_optimised_as_by_the_reference() {
    let seed = seed();
    println!("made-up graphs from TASKGRAFT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let cases: Vec<Case> = (0..CASES).map(|_| case(rng.draw())).collect();
    let results = reference(&cases);
    assert_eq!(results.len(), CASES);
    let mut failed = 0;
    for (case, theirs) in cases.iter().zip(&results) {
        match theirs["error"].as_str() {
            None => compare(case, theirs),
            Some(error) => {
                failed += 1;
                compare_error(case, error);
            }
        }
    }
    // Most graphs must get to the end, or nothing has been compared.
    assert!(failed < CASES / 4, "{failed} of {CASES} made-up graphs end in an error");
}

/// What the reference makes of all cases, in one process.
fn reference(cases: &[Case]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("cases.json"), directory.path().join("results.json"));
    std::fs::write(&input, serde_json::to_vec(cases).unwrap()).unwrap();
    let script = workspace().join("tests/oracle/optimize.py");
    assert!(python().arg(script).arg(&input).arg(&output).status().unwrap().success());
    serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap()
}

/// A failure's message, with the case kept where it can be looked at.
fn report(case: &Case, what: &str, ours: &str, theirs: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("differs-{}.json", case.seed));
    std::fs::write(&path, to_string_sorted(&json!(case))).unwrap();
    let line = ours.lines().zip(theirs.lines()).position(|(ours, theirs)| ours != theirs).unwrap_or(0);
    let near = |text: &str| text.lines().skip(line.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    let (ours, theirs) = (near(ours), near(theirs));
    format!(
        "{what} differs for the graph of seed {}, kept as {}\n--- ours\n{ours}\n--- reference\n{theirs}",
        case.seed,
        path.display()
    )
}

#[track_caller]
fn assert_same(case: &Case, what: &str, ours: &Value, theirs: &Value) {
    let (ours, theirs) = (to_string_sorted(ours), to_string_sorted(theirs));
    assert!(ours == theirs, "{}", report(case, what, &ours, &theirs));
}

struct Run<'a> {
    case: &'a Case,
    graph: TaskGraph,
    params: Parameters,
    optimized: Optimized,
    asked: BTreeSet<String>,
    ids: BTreeMap<TaskIx, TaskId>,
}

fn run(case: &Case) -> Run<'_> {
    let text = to_string_sorted(&Value::Object(case.graph.clone()));
    let graph = GraphFile::read(text.into()).unwrap().closure(&case.targets).unwrap();
    let indices = |labels: &[String]| labels.iter().filter_map(|label| graph.by_label(label)).collect::<BTreeSet<_>>();
    let mut strategies = Strategies::default();
    for (name, strategy) in &case.strategies {
        strategies.insert(name, strategy.clone());
    }
    let params = Parameters::new(Value::Object(case.params.clone())).unwrap();
    let do_not_optimize = indices(&case.do_not_optimize);
    let existing = |(label, id): (&String, &String)| (Label::from(label.as_str()), vec![id.parse().unwrap()]);
    let asked = optimize::lookups(&graph, &do_not_optimize, &strategies).batched;
    let inputs = Inputs {
        requested: &indices(&case.requested),
        do_not_optimize: &do_not_optimize,
        params: &params,
        strategies: &strategies,
        existing: &case.existing.iter().map(existing).collect(),
        index: &case.index.iter().map(|(path, id)| (path.clone(), id.parse().unwrap())).collect(),
        judge: &ReferenceJudge { statuses: &case.statuses.iter().map(status).collect() },
        now: time::parse(case.now).unwrap(),
    };
    let optimized = optimize::optimize(&graph, &inputs).unwrap();
    let kept = optimized.iter().filter(|(_, outcome)| outcome.is_kept()).map(|(ix, _)| ix);
    // As the reference draws ids: over sorted labels, but not for those that got one and were then removed.
    let ids = kept.enumerate().map(|(n, ix)| (ix, id_of(&format!("slug:{n}")))).collect();
    Run { case, graph, params, optimized, asked, ids }
}

fn status((id, status): (&String, &Value)) -> (TaskId, Status) {
    let expires = time::parse(status["expires"].as_str().unwrap()).unwrap();
    (id.parse().unwrap(), Status { state: serde_json::from_value(status["state"].clone()).unwrap(), expires })
}

impl Run<'_> {
    fn subgraph(&self) -> Result<Vec<FinalTask>, SubgraphError> {
        let prepare = |_: TaskIx, definition: &mut Value| -> Result<(), DefinitionError> {
            if let Some(action) = &self.case.action {
                definition::set_parent(definition, action)?;
                definition::add_dependency(definition, action.parse().unwrap())?;
            }
            Ok(())
        };
        let urls = ArtifactUrls { root: "https://tc.test".to_owned(), proxy: Some("http://taskcluster".to_owned()) };
        let new_id = |ix| self.ids[&ix];
        let inputs = SubgraphInputs { new_id: &new_id, prepare: &prepare, decision: self.decision(), urls: &urls };
        optimize::subgraph(&self.graph, &self.optimized, &inputs)
    }

    fn decision(&self) -> TaskId {
        self.case.decision.parse().unwrap()
    }

    fn morph(&self, tasks: &mut Vec<FinalTask>) {
        let config = GraphConfig::new(self.case.config.clone()).unwrap();
        let drawn = std::cell::Cell::new(self.ids.len());
        let next = || {
            drawn.set(drawn.get() + 1);
            id_of(&format!("slug:{}", drawn.get() - 1))
        };
        let index_tasks = morph::index_tasks(tasks, &config, &self.params.level().unwrap(), &|_| next()).unwrap();
        tasks.extend(index_tasks);
        let source = morph::code_review_source(None, None);
        let code_review = morph::code_review_task(tasks, &self.params, &source, next()).unwrap();
        tasks.extend(code_review);
    }

    fn reasons(&self) -> Value {
        let logged = |(_, outcome): &(TaskIx, &Outcome)| !matches!(outcome.removal, Removal::DependencyStays(_));
        let reason = |(ix, outcome): (TaskIx, &Outcome)| {
            let verdict = if outcome.removal.is_kept() { "kept" } else { "removed" };
            (self.graph.task(ix).label.to_string(), json!([verdict, outcome.removal.to_string()]))
        };
        Value::Object(self.optimized.iter().filter(logged).map(reason).collect())
    }

    fn created(&self, tasks: &[FinalTask]) -> Value {
        let ids: BTreeSet<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
        let scheduler = scheduler_id("lander", &self.params.level().unwrap());
        let bodies = tasks.iter().map(|task| {
            let mut body = task.definition.clone();
            let waits = !definition::has_dependency_among(&body, |id| ids.contains(id));
            definition::join_group(&mut body, self.decision(), &scheduler, waits).unwrap();
            let body = definition::resolve_timestamps(&body, time::parse(self.case.now).unwrap()).unwrap();
            let copies = usize::try_from(definition::copies(&task.task.attributes).unwrap()).unwrap();
            (task.task.label.to_string(), Value::from(vec![body; copies]))
        });
        Value::Object(bodies.collect())
    }
}

fn compare(case: &Case, theirs: &Value) {
    let run = run(case);
    let labels: Vec<&str> = run.graph.iter().map(|(_, task)| &*task.label).collect();
    assert_same(case, "the target graph", &json!(labels), &theirs["labels"]);
    assert_same(case, "what is looked up", &json!(run.asked), &theirs["asked"]);
    assert_same(case, "the reasons", &run.reasons(), &theirs["reasons"]);
    let mut tasks = match run.subgraph() {
        Ok(tasks) => tasks,
        Err(error) => panic!("{}", report(case, "the result", &error.to_string(), "none")),
    };
    let ids = optimize::label_to_taskid(&run.graph, &run.optimized, &|ix| run.ids[&ix]);
    assert_same(case, "label-to-taskid.json", &json!(ids), &theirs["label_to_taskid"]);
    assert_text(case, "task-graph.json", &tasks, &theirs["optimized"]);
    if case.action.is_none() {
        run.morph(&mut tasks);
    }
    assert_text(case, "the morphed task-graph.json", &tasks, &theirs["morphed"]);
    assert_same(case, "what is created", &run.created(&tasks), &theirs["created"]);
}

fn assert_text(case: &Case, what: &str, tasks: &[FinalTask], theirs: &Value) {
    let (ours, theirs) = (optimize::to_json(tasks), theirs.as_str().unwrap());
    assert!(ours == theirs, "{}", report(case, what, &ours, theirs));
}

/// Where the reference gives up, so do we, for the same reason.
fn compare_error(case: &Case, error: &str) {
    let ours = run(case).subgraph().map(|tasks| tasks.len());
    let agrees = match &ours {
        Ok(_) => false,
        Err(SubgraphError::BadEdges(edges)) => edges
            .iter()
            .all(|edge| error.contains(&format!("{} depends on {} as {} but", edge.task, edge.dependency, edge.name))),
        Err(SubgraphError::Definition { error: DefinitionError::UnknownDependency(name), .. }) => {
            error.contains(&format!("has no dependency named '{name}'"))
        }
        Err(SubgraphError::Definition { .. } | SubgraphError::Unreadable { .. }) => false,
    };
    assert!(agrees, "{}", report(case, "the error", &format!("{ours:?}"), error));
}
