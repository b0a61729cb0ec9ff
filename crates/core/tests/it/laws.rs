//! What holds for every graph.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use taskgraft_core::definition::ArtifactUrls;
use taskgraft_core::graph::{Label, TaskGraph, TaskIx};
use taskgraft_core::ids::TaskId;
use taskgraft_core::json::{GraphFile, to_string_sorted};
use taskgraft_core::optimize::{
    Inputs, Optimized, ReferenceJudge, Strategies, SubgraphInputs, bad_edges, label_to_taskid, optimize, subgraph,
};
use taskgraft_core::params::Parameters;
use taskgraft_core::time;
use taskgraft_testkit::graphs::{Case, NOW, case};
use taskgraft_testkit::recorded::id_of;

fn file(case: &Case) -> GraphFile {
    GraphFile::read(to_string_sorted(&Value::Object(case.graph.clone())).into()).unwrap()
}

fn labels(graph: &TaskGraph) -> Vec<Label> {
    graph.iter().map(|(_, task)| task.label.clone()).collect()
}

fn new_id(ix: TaskIx) -> TaskId {
    id_of(&format!("new:{}", ix.index()))
}

/// Optimises for the case's requested labels, with `do_not_optimize` none.
fn optimised(case: &Case, graph: &TaskGraph, existing: &BTreeMap<Label, Vec<TaskId>>) -> Optimized {
    let mut strategies = Strategies::default();
    for (name, strategy) in &case.strategies {
        strategies.insert(name, strategy.clone());
    }
    let inputs = Inputs {
        requested: &case.requested.iter().filter_map(|label| graph.by_label(label)).collect(),
        do_not_optimize: &BTreeSet::new(),
        params: &Parameters::new(Value::Object(case.params.clone())).unwrap(),
        strategies: &strategies,
        existing,
        index: &BTreeMap::new(),
        judge: &ReferenceJudge { statuses: &BTreeMap::new() },
        now: time::parse(NOW).unwrap(),
    };
    optimize(graph, &inputs).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_closure_is_closed_and_closing_it_again_changes_nothing(seed: u64) {
        let case = case(seed);
        let file = file(&case);
        let graph = file.closure(&case.targets).unwrap();
        prop_assert!(graph.missing().iter().all(|missing| !file.contains(&missing.label)));
        let again = file.closure(&labels(&graph)).unwrap();
        prop_assert_eq!(labels(&again), labels(&graph));
        // The same out of the whole graph.
        let whole = file.whole().unwrap();
        let targets: Vec<TaskIx> = case.targets.iter().filter_map(|label| whole.by_label(label)).collect();
        prop_assert_eq!(labels(&whole.closure(&targets)), labels(&graph));
    }

    #[test]
    fn orders_hold_every_task_once_and_dependencies_on_their_side(seed: u64) {
        let graph = file(&case(seed)).whole().unwrap();
        let mut postorder = BTreeMap::new();
        let mut preorder = BTreeMap::new();
        for (at, ix) in graph.postorder().iter().enumerate() {
            prop_assert!(postorder.insert(*ix, at).is_none());
        }
        for (at, ix) in graph.preorder().iter().enumerate() {
            prop_assert!(preorder.insert(*ix, at).is_none());
        }
        prop_assert_eq!((postorder.len(), preorder.len()), (graph.len(), graph.len()));
        for (ix, _) in graph.iter() {
            for (_, dependency) in graph.dependencies(ix) {
                prop_assert!(postorder[dependency] < postorder[&ix] && preorder[dependency] > preorder[&ix]);
                prop_assert!(graph.dependents(*dependency).contains(&ix));
            }
        }
    }

    #[test]
    fn what_is_created_depends_on_nothing_that_was_removed(seed: u64) {
        let case = case(seed);
        let graph = file(&case).closure(&case.targets).unwrap();
        let existing = case.existing.iter().map(|(label, id)| (label.as_str().into(), vec![id.parse().unwrap()])).collect();
        let optimized = optimised(&case, &graph, &existing);
        let urls = ArtifactUrls { root: "https://tc.test".to_owned(), proxy: None };
        let inputs = SubgraphInputs { new_id: &new_id, prepare: &|_, _| Ok(()), decision: id_of("decision"), urls: &urls };
        let Ok(tasks) = subgraph(&graph, &optimized, &inputs) else { return Ok(()) };
        prop_assert!(bad_edges(&graph, &optimized).is_empty());
        let ids = label_to_taskid(&graph, &optimized, &new_id);
        for task in tasks {
            for (name, dependency) in graph.dependencies(task.ix.unwrap()) {
                let id = ids[&graph.task(*dependency).label];
                prop_assert_eq!(&task.dependencies[&**name], id.as_str());
                prop_assert!(task.definition["dependencies"].as_array().unwrap().contains(&Value::from(id.as_str())));
            }
        }
    }

    /// Optimising again when all of it has been created leaves nothing to create.
    #[test]
    fn what_exists_is_not_created_again(seed: u64) {
        let case = case(seed);
        let graph = file(&case).closure(&case.targets).unwrap();
        let first = optimised(&case, &graph, &BTreeMap::new());
        let ids = label_to_taskid(&graph, &first, &new_id);
        let second = optimised(&case, &graph, &ids.iter().map(|(label, id)| (label.clone(), vec![*id])).collect());
        for (ix, outcome) in second.iter().filter(|_| bad_edges(&graph, &first).is_empty()) {
            prop_assert_eq!(&outcome.removal, &first.outcome(ix).removal);
            prop_assert!(!outcome.is_kept(), "{} is created again", graph.task(ix).label);
        }
        prop_assert_eq!(&first, &optimised(&case, &graph, &BTreeMap::new()));
    }
}
