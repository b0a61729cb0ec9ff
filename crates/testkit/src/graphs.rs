//! Made-up task graphs, with all that optimising them depends on.

mod definition;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use taskgraft_core::optimize::Strategy;

use crate::recorded::id_of;
use crate::rng::Rng;

/// When made-up tasks are created.
pub const NOW: &str = "2026-11-22T12:00:00.000Z";

/// A graph and all that optimising it depends on. As JSON it is what `tests/oracle/optimize.py` reads.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// What made it.
    pub seed: u64,
    /// The full graph: `{label: task}`.
    pub graph: Map<String, Value>,
    /// Labels whose closure is optimised.
    pub targets: Vec<String>,
    /// Those of them that somebody asked for.
    pub requested: Vec<String>,
    /// Labels that are created whatever their strategies say.
    pub do_not_optimize: Vec<String>,
    /// `{label: id}`.
    pub existing: BTreeMap<String, String>,
    /// The decision's parameters.
    pub params: Map<String, Value>,
    /// `{path: id}`.
    pub index: BTreeMap<String, String>,
    /// `{id: {state, expires}}`; some indexed tasks have none.
    pub statuses: BTreeMap<String, Value>,
    /// Strategies beside the usual ones, for Python as nested lists.
    #[serde(serialize_with = "strategies")]
    pub strategies: BTreeMap<String, Strategy>,
    /// The project's graph configuration.
    pub config: Value,
    /// The decision task's id.
    pub decision: String,
    /// The action task's id, for an action; else it is a decision, which morphs.
    pub action: Option<String>,
    /// When the tasks are created.
    pub now: &'static str,
}

fn strategies<S: serde::Serializer>(all: &BTreeMap<String, Strategy>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(all.iter().map(|(name, strategy)| (name, nested(strategy))))
}

fn nested(strategy: &Strategy) -> Value {
    let many = |name: &str, parts: &[Strategy]| json!([name, parts.iter().map(nested).collect::<Vec<_>>()]);
    match strategy {
        Strategy::Any(parts) => many("any", parts),
        Strategy::All(parts) => many("all", parts),
        Strategy::Not(part) => json!(["not", [nested(part)]]),
        Strategy::Alias(part) => json!(["alias", [nested(part)]]),
        Strategy::Never | Strategy::Always | Strategy::IndexSearch | Strategy::SkipUnlessChanged => {
            json!(strategy.description())
        }
    }
}

/// The case that `seed` makes, with 1 to about 40 tasks.
#[must_use]
pub fn case(seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    let strategies = made_up_strategies(&mut rng);
    let labels = labels(&mut rng);
    let paths: Vec<String> = (0..20).map(|n| format!("lander.cache.level-3.things.v2.t{n}.hash.{n:x}")).collect();
    let mut graph = Map::new();
    let (density, with_conditions) = (*rng.pick(&[5, 15, 30, 60]), rng.chance(50));
    for at in 0..labels.len() {
        let mut task = Shape { rng: &mut rng, labels: &labels, at, density, with_conditions }.task();
        task["optimization"] = optimization(&mut rng, &strategies, &paths);
        task["task"] = definition::definition(&mut rng, &task);
        graph.insert(labels[at].clone(), task);
    }
    let mut targets = rng.some_of(&labels, 40);
    targets.push(rng.pick(&labels).clone());
    let is_action = rng.chance(40);
    let requested = if is_action || rng.chance(80) { targets.clone() } else { rng.some_of(&targets, 70) };
    let do_not_optimize = if is_action { targets.clone() } else { rng.some_of(&labels, 10) };
    let (index, statuses) = index(&mut rng, &paths);
    let share = *rng.pick(&[0, 20, 80]);
    let existing = rng.some_of(&labels, share).into_iter();
    Case {
        seed,
        graph,
        targets,
        requested,
        do_not_optimize,
        existing: existing.map(|label| (label.clone(), id_of(&format!("existing:{label}")).to_string())).collect(),
        params: params(&mut rng),
        index,
        statuses,
        strategies,
        config: config(&mut rng),
        decision: id_of("decision").to_string(),
        action: is_action.then(|| id_of("action").to_string()),
        now: NOW,
    }
}

/// Names that are easy and hard to write, read and sort.
fn labels(rng: &mut Rng) -> Vec<String> {
    let stems =
        ["build-linux64/opt", "test-", "a", "Zed", "tést", "😀", "quo\"te", "back\\slash", "toolchain<x>", "é\u{1}"];
    let count = 1 + rng.below(40);
    let mut labels: Vec<String> = (0..count).map(|n| format!("{}{n}", rng.pick(&stems))).collect();
    // Their order must not be that of the dependencies.
    for at in (1..labels.len()).rev() {
        labels.swap(at, rng.below(at + 1));
    }
    labels
}

/// Where a task stands among the others: it depends on earlier ones only.
struct Shape<'a> {
    rng: &'a mut Rng,
    labels: &'a [String],
    at: usize,
    /// In percent.
    density: usize,
    with_conditions: bool,
}

impl Shape<'_> {
    fn task(&mut self) -> Value {
        let label = &self.labels[self.at];
        let mut dependencies: BTreeMap<String, String> = BTreeMap::new();
        for earlier in self.rng.some_of(&self.labels[self.at.saturating_sub(8)..self.at], self.density) {
            let name = if self.rng.chance(30) { format!("dep-{}", dependencies.len()) } else { earlier.clone() };
            dependencies.insert(name, earlier.clone());
            if self.rng.chance(5) {
                dependencies.insert("again".to_owned(), earlier);
            }
        }
        let needed: Vec<String> = dependencies.values().cloned().collect();
        if self.rng.chance(3) {
            dependencies.insert("gone".to_owned(), "filtered away".to_owned());
        }
        let conditions =
            if self.with_conditions && self.rng.chance(40) { self.rng.some_of(&needed, 60) } else { Vec::new() };
        let soft = if self.rng.chance(30) { self.rng.some_of(&self.labels[..self.at], 10) } else { Vec::new() };
        let mut attributes = json!({"kind": "overwritten", "run_on_projects": [], "ratio": 0.5, "größe": 1e16});
        if self.rng.chance(15) {
            attributes["code-review"] = json!(true);
        }
        if self.rng.chance(10) {
            attributes["task_duplicates"] = json!(self.rng.below(4));
        }
        json!({
            "kind": *self.rng.pick(&["build", "test", "toolchain"]),
            "label": label,
            "description": format!("makes {label}"),
            "attributes": attributes,
            "dependencies": dependencies,
            "soft_dependencies": soft,
            "if_dependencies": conditions,
        })
    }
}

const PATTERNS: [&str; 8] =
    ["src/**", "**/*.py", "docs", "*.md", "taskcluster/kinds/*/kind.yml", "a?b", "**", "src/*/x"];

fn optimization(rng: &mut Rng, strategies: &BTreeMap<String, Strategy>, paths: &[String]) -> Value {
    match rng.below(10) {
        0..3 => Value::Null,
        3 => json!({"never": null}),
        4 => json!({"always": null}),
        5 | 6 => json!({"index-search": rng.some_of(paths, 15)}),
        7 => json!({"skip-unless-changed": rng.some_of(&PATTERNS, 25)}),
        8 if rng.chance(20) => json!({}),
        8 if rng.chance(20) => json!({"always": null, "index-search": rng.some_of(paths, 15)}),
        _ => {
            let (name, strategy) = strategies.iter().nth(rng.below(strategies.len())).unwrap_or_else(|| unreachable!());
            // Paths and patterns are both lists of texts: a composite may hold strategies that want either.
            let arg = if mentions_paths(strategy) {
                rng.some_of(paths, 20)
            } else {
                rng.some_of(&PATTERNS, 25).into_iter().map(str::to_owned).collect()
            };
            json!({ name: arg })
        }
    }
}

fn mentions_paths(strategy: &Strategy) -> bool {
    match strategy {
        Strategy::IndexSearch => true,
        Strategy::Never | Strategy::Always | Strategy::SkipUnlessChanged => false,
        Strategy::Any(parts) | Strategy::All(parts) => parts.iter().any(mentions_paths),
        Strategy::Not(part) | Strategy::Alias(part) => mentions_paths(part),
    }
}

fn made_up_strategies(rng: &mut Rng) -> BTreeMap<String, Strategy> {
    (0..4).map(|n| (format!("made-up-{n}"), strategy(rng, 2))).collect()
}

fn strategy(rng: &mut Rng, depth: usize) -> Strategy {
    let leaves = [Strategy::Never, Strategy::Always, Strategy::IndexSearch, Strategy::SkipUnlessChanged];
    if depth == 0 {
        return rng.pick(&leaves).clone();
    }
    let mut parts = |count: usize| (0..count).map(|_| strategy(rng, depth - 1)).collect::<Vec<_>>();
    let (two, one) = (parts(2), parts(1).remove(0));
    match rng.below(4) {
        0 => Strategy::Any(two),
        1 => Strategy::All(two),
        2 => Strategy::Not(Box::new(one)),
        _ => Strategy::Alias(Box::new(one)),
    }
}

fn index(rng: &mut Rng, paths: &[String]) -> (BTreeMap<String, String>, BTreeMap<String, Value>) {
    let mut statuses = BTreeMap::new();
    let mut index = BTreeMap::new();
    let share = *rng.pick(&[0, 50, 90]);
    for path in rng.some_of(paths, share) {
        let id = id_of(&path).to_string();
        if rng.chance(92) {
            let state = *rng.pick(&[
                "completed",
                "completed",
                "completed",
                "running",
                "pending",
                "unscheduled",
                "failed",
                "exception",
            ]);
            // The third is exactly when a task with a deadline of one day is due.
            let expires = *rng.pick(&[
                "2020-01-01T00:00:00.000Z",
                "2026-11-22T18:00:00.123Z",
                "2026-11-23T12:00:00.000Z",
                "2099-01-01T00:00:00.000Z",
                "2099-01-01T00:00:00.000Z",
            ]);
            statuses.insert(id.clone(), json!({"state": state, "expires": expires}));
        }
        index.insert(path, id);
    }
    (index, statuses)
}

fn params(rng: &mut Rng) -> Map<String, Value> {
    let files =
        ["src/main.rs", "src/a/x", "docs/index.md", "README.md", "taskcluster/kinds/test/kind.yml", "tools/x.py"];
    let mut params = Map::new();
    params.insert("files_changed".to_owned(), json!(rng.some_of(&files, 30)));
    params.insert("head_rev".to_owned(), json!("a".repeat(40)));
    match rng.below(4) {
        0 => drop(params.insert("base_rev".to_owned(), json!("a".repeat(40)))),
        1 => drop(params.insert("base_rev".to_owned(), json!(""))),
        2 => drop(params.insert("base_rev".to_owned(), json!("b".repeat(40)))),
        _ => {}
    }
    for (name, value) in [
        ("level", "3"),
        ("owner", "ann@lander.test"),
        ("project", "lander"),
        ("head_repository", "https://lander.test/lander"),
    ] {
        params.insert(name.to_owned(), json!(value));
    }
    if rng.chance(40) {
        params.insert("code-review".to_owned(), json!({"phabricator-build-target": "PHID-1"}));
    }
    params
}

fn config(rng: &mut Rng) -> Value {
    let regexes = if rng.chance(50) { json!([r"(lander\.cache\.)level", r"(x\.(y|z)\.).*"]) } else { json!([]) };
    let worker =
        if rng.chance(50) { json!("t-linux") } else { json!({"by-level": {"3": "t-linux-{level}", "default": "t"}}) };
    json!({
        "trust-domain": "lander",
        "taskgraph": {"index-path-regexes": regexes},
        "workers": {"aliases": {"m.*": {"provisioner": "{trust-domain}-t", "worker-type": worker}, "b-linux": {}}},
    })
}
