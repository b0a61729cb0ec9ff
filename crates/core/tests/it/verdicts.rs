//! What optimisation says, and why, on graphs small enough to see through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use taskgraft_core::definition::ArtifactUrls;
use taskgraft_core::graph::{GraphError, TaskGraph};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, ReadError};
use taskgraft_core::optimize::{
    Candidate, Inputs, Judge, Optimized, Rejected, Removal, Source, Strategies, Strategy, SubgraphInputs, Unusable,
    optimize, subgraph,
};
use taskgraft_core::params::Parameters;
use taskgraft_core::state::TaskState;
use taskgraft_testkit::recorded::id_of;

/// A graph of `(label, dependencies, what else the task has)`.
fn file(tasks: &[(&str, &[&str], Value)]) -> GraphFile {
    let entry = |(label, dependencies, more): &(&str, &[&str], Value)| {
        let dependencies: BTreeMap<&str, &str> = dependencies.iter().map(|label| (*label, *label)).collect();
        let mut task = json!({
            "kind": "k", "label": label, "attributes": {}, "dependencies": dependencies, "optimization": null,
            "task": {"deadline": {"relative-datestamp": "1 day"}},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            task[key] = value.clone();
        }
        ((*label).to_owned(), task)
    };
    GraphFile::read(Value::Object(tasks.iter().map(entry).collect()).to_string().into()).unwrap()
}

/// What there is: `(label or path, id)`, and ids that are no good.
#[derive(Default)]
struct There {
    existing: Vec<(&'static str, &'static str)>,
    index: Vec<(&'static str, &'static str)>,
    bad: Vec<&'static str>,
}

struct Strict(BTreeSet<TaskId>);

impl Judge for Strict {
    fn judge(&self, candidate: &Candidate<'_>) -> Result<(), Unusable> {
        if self.0.contains(&candidate.task_id) { Err(Unusable::State(TaskState::Failed)) } else { Ok(()) }
    }
}

/// Optimises with these requested; labels with `!` are not to be optimised.
fn optimised(graph: &TaskGraph, requested: &[&str], there: &There) -> Optimized {
    let ix = |label: &str| graph.by_label(label.trim_start_matches('!')).unwrap();
    let mut existing: BTreeMap<_, Vec<TaskId>> = BTreeMap::new();
    for (label, id) in &there.existing {
        existing.entry((*label).into()).or_default().push(id_of(id));
    }
    let mut strategies = Strategies::default();
    strategies.insert("not-changed", Strategy::Not(Box::new(Strategy::SkipUnlessChanged)));
    let inputs = Inputs {
        requested: &requested.iter().map(|label| ix(label)).collect(),
        do_not_optimize: &requested.iter().filter(|label| label.starts_with('!')).map(|label| ix(label)).collect(),
        params: &Parameters::new(json!({"files_changed": ["src/main.rs"]})).unwrap(),
        strategies: &strategies,
        existing: &existing,
        index: &there.index.iter().map(|(path, id)| ((*path).to_owned(), id_of(id))).collect(),
        judge: &Strict(there.bad.iter().map(|id| id_of(id)).collect()),
        now: "2026-11-22T12:00:00Z".parse().unwrap(),
    };
    optimize(graph, &inputs).unwrap()
}

/// Each label with what became of it and why, as the reference words it.
fn verdicts(graph: &TaskGraph, optimized: &Optimized) -> Vec<String> {
    let verdict = |(ix, outcome): (_, &taskgraft_core::optimize::Outcome)| {
        let what = match (outcome.is_removed(), outcome.replaced_by()) {
            (true, _) => "removed",
            (false, Some(_)) => "replaced",
            (false, None) => "kept",
        };
        format!("{} {what}: {}", graph.task(ix).label, outcome.removal)
    };
    optimized.iter().map(verdict).collect()
}

#[test]
fn an_unknown_strategy_keeps_its_task_and_says_so() {
    let graph = file(&[("a", &[], json!({"optimization": {"magic": 1}}))]).whole().unwrap();
    let optimized = optimised(&graph, &["a"], &There::default());
    assert_eq!(verdicts(&graph, &optimized), ["a kept: magic (an unknown strategy)"]);
}

#[test]
fn a_strategy_with_a_bad_argument_keeps_its_task_and_says_so() {
    let graph = file(&[("a", &[], json!({"optimization": {"skip-unless-changed": "src"}}))]).whole().unwrap();
    let optimized = optimised(&graph, &["a"], &There::default());
    assert_eq!(verdicts(&graph, &optimized), ["a kept: skip-unless-changed (its argument must be a list of texts)"]);
}

#[test]
fn candidates_that_are_passed_over_are_listed_with_the_reason() {
    let search = json!({"optimization": {"index-search": ["p.none", "p.bad", "p.good"]}});
    let graph = file(&[("a", &[], search), ("b", &["a"], json!({}))]).whole().unwrap();
    let there = There {
        existing: vec![("a", "failed")],
        index: vec![("p.bad", "bad"), ("p.good", "good")],
        bad: vec!["failed", "bad"],
    };
    let optimized = optimised(&graph, &["!b"], &there);
    assert_eq!(verdicts(&graph, &optimized), ["a replaced: dependent tasks", "b kept: do not optimize"]);
    let outcome = optimized.outcome(graph.by_label("a").unwrap());
    assert_eq!(outcome.replaced_by(), Some(id_of("good")));
    let rejected = |source, id: Option<&str>, why| Rejected { source, task_id: id.map(id_of), why };
    let failed = || Unusable::State(TaskState::Failed);
    assert_eq!(
        outcome.rejected,
        [
            rejected(Source::Existing, Some("failed"), failed()),
            rejected(Source::Index("p.none".to_owned()), None, Unusable::NotIndexed),
            rejected(Source::Index("p.bad".to_owned()), Some("bad"), failed()),
        ]
    );
}

#[test]
fn the_first_usable_existing_task_is_taken() {
    let graph = file(&[("a", &[], json!({}))]).whole().unwrap();
    let there = There {
        existing: vec![("a", "newest"), ("a", "older"), ("a", "oldest")],
        bad: vec!["newest"],
        ..There::default()
    };
    let optimized = optimised(&graph, &["a"], &there);
    assert_eq!(optimized.outcome(graph.by_label("a").unwrap()).replaced_by(), Some(id_of("older")));
}

#[test]
fn what_needs_a_new_task_is_new_itself() {
    let graph = file(&[("a", &[], json!({})), ("b", &["a"], json!({})), ("c", &["b"], json!({}))]).whole().unwrap();
    let there = There { existing: vec![("b", "b")], ..There::default() };
    let optimized = optimised(&graph, &["!c"], &there);
    assert_eq!(
        verdicts(&graph, &optimized),
        ["a kept: dependent tasks", "b kept: dependent tasks", "c kept: do not optimize"]
    );
}

#[test]
fn tasks_go_with_their_if_dependencies() {
    let unchanged = || json!({"optimization": {"skip-unless-changed": ["docs/**"]}});
    let tasks = |build: Value| {
        file(&[
            ("build", &[], build),
            ("image", &[], json!({})),
            ("test", &["build", "image"], json!({"if_dependencies": ["build"]})),
        ])
    };
    let graph = tasks(unchanged()).whole().unwrap();
    let optimized = optimised(&graph, &["build", "test"], &There::default());
    // The reference keeps what only a pruned task needs, unless that names it in its if-dependencies.
    assert_eq!(
        verdicts(&graph, &optimized),
        [
            "build removed: if-dependencies pruning",
            "image kept: dependent tasks",
            "test removed: if-dependencies pruning"
        ]
    );
    let graph = tasks(json!({})).whole().unwrap();
    let optimized = optimised(&graph, &["build", "test"], &There::default());
    assert_eq!(verdicts(&graph, &optimized), ["build kept: never", "image kept: dependent tasks", "test kept: never"]);
}

#[test]
fn in_a_triangle_what_a_kept_task_needs_is_kept() {
    // `mid` becomes a candidate because of `top`, which then stays because of `base`.
    let graph = file(&[
        ("base", &[], json!({})),
        ("mid", &[], json!({})),
        ("top", &["base", "mid"], json!({"if_dependencies": ["base", "mid"]})),
    ])
    .whole()
    .unwrap();
    let optimized = optimised(&graph, &["top", "base"], &There::default());
    assert_eq!(verdicts(&graph, &optimized)[2], "top kept: never");
    let mid = optimized.outcome(graph.by_label("mid").unwrap());
    assert!(matches!(mid.removal, Removal::NeededBy(_) | Removal::DependencyStays(_)), "{mid:?}");
    assert!(mid.is_kept());
}

#[test]
fn replacing_by_nothing_what_something_needs_is_an_error() {
    let graph = file(&[("a", &[], json!({"optimization": {"not-changed": ["src/**"]}})), ("b", &["a"], json!({}))])
        .whole()
        .unwrap();
    let optimized = optimised(&graph, &["!b"], &There::default());
    let urls = ArtifactUrls { root: String::new(), proxy: None };
    let inputs =
        SubgraphInputs { new_id: &|_| id_of("new"), prepare: &|_, _| Ok(()), decision: id_of("decision"), urls: &urls };
    let error = subgraph(&graph, &optimized, &inputs).unwrap_err().to_string();
    assert_eq!(error, "optimisation went wrong: `b` depends on `a` as `a`, but that has been removed");
}

#[test]
fn a_circle_is_named() {
    let error =
        file(&[("a", &["b"], json!({})), ("b", &["c"], json!({})), ("c", &["b"], json!({}))]).whole().unwrap_err();
    assert_eq!(error, ReadError::Graph(GraphError::Cycle(vec!["b".into(), "c".into()])));
    assert_eq!(error.to_string(), "tasks depend on each other in a circle: b -> c");
}

#[test]
fn dependencies_that_are_not_there_are_listed() {
    let graph = file(&[("a", &["gone"], json!({}))]).whole().unwrap();
    let missing: Vec<_> = graph.missing().iter().map(|missing| (&*missing.name, &*missing.label)).collect();
    assert_eq!(missing, [("gone", "gone")]);
}
