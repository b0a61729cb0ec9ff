//! What was asked, sent and left, against what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use taskgraft_core::plan::Role;
use taskgraft_engine::action::ActionReport;

use super::json_file;
use super::replay::{Asked, Seen};

/// What the recording asked apart from creations, each thing once: the reference asks anew for each of `times`, and
/// asks for no statuses too. We don't, and the answers can't differ.
pub(super) fn asked(rows: &[Value]) -> Vec<Asked> {
    let all: BTreeSet<Asked> = rows.iter().filter(|row| row["method"] != "PUT").map(Asked::of).collect();
    all.into_iter().filter(|asked| !asked.body.as_ref().is_some_and(BTreeSet::is_empty)).collect()
}

/// What was asked apart from creations. Each thing was asked once, or it differs from what was recorded.
pub(super) fn sorted(asked: &[Asked]) -> Vec<Asked> {
    let mut asked: Vec<Asked> = asked.iter().filter(|asked| asked.method != "PUT").cloned().collect();
    asked.sort();
    asked
}

/// What a request is for. The reference goes through these in this order, but for the rounds of retrigger-multiple, each
/// of which runs again and creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Whose push it is, and whether the action may act there.
    Parameters,
    Authority,
    /// Which jobs there are, and which have tasks.
    Graph,
    EarlierActions,
    /// What could stand in for new tasks.
    Indexes,
    Statuses,
    /// What is done.
    Tend,
    Create,
}

impl Phase {
    /// None: the task that the action was asked for, or its group, which the reference reads at any time.
    fn of(asked: &Asked) -> Option<Self> {
        let (method, path) = (asked.method.as_str(), asked.path.as_str());
        Some(match method {
            "PUT" => Self::Create,
            _ if path.ends_with("/rerun") || path.ends_with("/cancel") => Self::Tend,
            "POST" if path.ends_with("/indexes") => Self::Indexes,
            "POST" if path.ends_with("/status") => Self::Statuses,
            _ if path.ends_with("/public/parameters.yml") => Self::Parameters,
            _ if path.ends_with("/scopes/current") || path.contains("/index/v1/task/") => Self::Authority,
            _ if path.contains("/index/v1/tasks/") => Self::EarlierActions,
            _ if path.ends_with(".json") => Self::Graph,
            _ => return None,
        })
    }
}

/// The phases that `asked` goes through, each where it begins.
fn phases<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Vec<Phase> {
    let mut phases = Vec::new();
    for phase in asked.into_iter().filter_map(Phase::of) {
        if !phases.contains(&phase) {
            phases.push(phase);
        }
    }
    phases
}

/// Compares the order in which things were asked, as far as the recording's is one: the phases begin in the same order,
/// and none of ours goes on after creation began. A task is created after what it depends on, here as there.
pub(super) fn order(case: &Path, rows: &[Value], seen: &Seen) {
    let case = case.display();
    let recorded: Vec<Asked> = rows.iter().map(Asked::of).collect();
    let is_empty = |asked: &&Asked| asked.method == "POST" && asked.body.as_ref().is_some_and(BTreeSet::is_empty);
    let recorded = recorded.iter().filter(|asked| !is_empty(asked));
    let mut theirs = phases(recorded);
    // Ours runs everything again before it creates anything.
    if theirs.contains(&Phase::Create) && theirs.contains(&Phase::Tend) {
        theirs.retain(|phase| !matches!(phase, Phase::Tend | Phase::Create));
        theirs.extend([Phase::Tend, Phase::Create]);
    }
    assert_eq!(phases(&seen.asked), theirs, "{case}");
    let first = seen.asked.iter().position(|asked| asked.method == "PUT").unwrap_or(seen.asked.len());
    assert!(seen.asked[first..].iter().all(|asked| asked.method == "PUT"), "{case}: {:#?}", seen.asked);
    let ours: Vec<(&str, &Value)> =
        seen.created.iter().map(|creation| (creation.id.as_str(), &creation.body)).collect();
    let puts = rows.iter().filter(|row| row["method"] == "PUT");
    let theirs = puts.map(|row| (row["path"].as_str().unwrap().rsplit('/').next().unwrap(), &row["body"]));
    for created in [ours, theirs.collect()] {
        let at: BTreeMap<&str, usize> = created.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        assert_eq!(at.len(), created.len(), "{case}: each task is created once");
        for (id, body) in &created {
            let on = body["dependencies"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let late: Vec<&str> = on.filter(|on| at.get(on).is_some_and(|on| *on >= at[id])).collect();
            assert!(late.is_empty(), "{case}: {id} is created before {late:?}");
        }
    }
}

/// Compares the bodies of all creations.
pub(super) fn bodies(case: &Path, rows: &[Value], report: &ActionReport, seen: &Seen) {
    let created = seen.created.iter().map(|creation| creation.body.clone());
    let recorded = rows.iter().filter(|row| row["method"] == "PUT").map(|row| row["body"].clone());
    let (created, recorded) = (named(created, &our_names(report)), named(recorded, &recorded_names(case)));
    assert_eq!(created.len(), recorded.len(), "{}", case.display());
    for (created, recorded) in created.iter().zip(&recorded) {
        assert_eq!(created, recorded, "{}", case.display());
    }
}

/// Compares the artifacts, plan.json and report.json aside, which are ours alone.
pub(super) fn artifacts(case: &Path, out: &Path, report: &ActionReport) {
    let files = |dir: &Path, names: &BTreeMap<String, String>| -> BTreeMap<String, Value> {
        let Ok(entries) = std::fs::read_dir(dir) else { return BTreeMap::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let told = |path: &Path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut value: Value = serde_json::from_str(&replaced(json_file(path).to_string(), names)).unwrap();
            sort_lists(&mut value);
            (name, value)
        };
        paths.map(|path| told(&path)).filter(|(name, _)| name != "plan.json" && name != "report.json").collect()
    };
    let (ours, theirs) = (files(out, &our_names(report)), files(&case.join("artifacts"), &recorded_names(case)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{}", case.display());
    for (name, ours) in ours {
        assert_eq!(ours, theirs[&name], "{}: {name}", case.display());
    }
}

/// to-run.json is a set, and dependencies stand in the order of ids.
fn sort_lists(value: &mut Value) {
    if let Some(list) = value.as_array_mut() {
        list.sort_unstable_by_key(ToString::to_string);
    }
    for task in value.as_object_mut().into_iter().flat_map(|entries| entries.values_mut()) {
        if let Some(list) = task.pointer_mut("/task/dependencies").and_then(Value::as_array_mut) {
            list.sort_unstable_by_key(ToString::to_string);
        }
    }
}

/// Bodies as texts in which new ids are told by label, in order. Dependencies stand in the order of their ids, which
/// are others here.
fn named(bodies: impl IntoIterator<Item = Value>, names: &BTreeMap<String, String>) -> Vec<String> {
    let name = |body: Value| {
        let mut body: Value = serde_json::from_str(&replaced(body.to_string(), names)).unwrap();
        if let Some(dependencies) = body.get_mut("dependencies").and_then(Value::as_array_mut) {
            dependencies.sort_unstable_by_key(ToString::to_string);
        }
        body.to_string()
    };
    let mut texts: Vec<_> = bodies.into_iter().map(name).collect();
    texts.sort_unstable();
    texts
}

/// One pass for all names: the largest cases have hundreds.
fn replaced(text: String, names: &BTreeMap<String, String>) -> String {
    const ID: usize = 22;
    let (mut told, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(first) = rest.chars().next() {
        let name = rest.get(..ID).and_then(|id| names.get(id));
        told.push_str(name.map_or(&rest[..first.len_utf8()], String::as_str));
        rest = &rest[if name.is_some() { ID } else { first.len_utf8() }..];
    }
    told
}

/// Our new ids by label and iteration.
fn our_names(report: &ActionReport) -> BTreeMap<String, String> {
    let tasks = report.requests.iter().flat_map(|request| &request.tasks);
    let name = |task: &taskgraft_core::report::TaskReport| {
        let Role::Reference { iteration, duplicate: 0 } = task.role else { return None };
        Some((task.task_id.to_string(), format!("<{}@{iteration}>", task.label)))
    };
    tasks.filter_map(name).collect()
}

/// The recording's new ids, likewise: iterations are numbered as their artifacts are, `-TIME` or `-ROUND-TIME`.
fn recorded_names(case: &Path) -> BTreeMap<String, String> {
    let artifacts = case.join("artifacts");
    let entries = std::fs::read_dir(&artifacts).into_iter().flatten();
    let mut numbered: BTreeSet<Vec<u32>> = entries
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let numbers = name.strip_prefix("task-graph")?.strip_suffix(".json")?.split('-').skip(1);
            numbers.map(|number| number.parse().ok()).collect()
        })
        .collect();
    // Joined from the others, if there are any.
    if numbered.len() > 1 {
        numbered.remove(&Vec::new());
    }
    let mut names = BTreeMap::new();
    for (iteration, numbers) in numbered.iter().enumerate() {
        let suffix: String = numbers.iter().map(|number| format!("-{number}")).collect();
        for (id, task) in json_file(&artifacts.join(format!("task-graph{suffix}.json"))).as_object().unwrap() {
            names.insert(id.clone(), format!("<{}@{iteration}>", task["label"].as_str().unwrap()));
        }
    }
    names
}
