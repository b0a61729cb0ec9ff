//! The recorded cases once more, from a request to what the frontier sends, under the reference's rules.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use taskgraft_core::definition::{ArtifactUrls, scheduler_id};
use taskgraft_core::frontier::{Answer, Call, Frontier, Limits};
use taskgraft_core::graph::TaskGraph;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::json::GraphFile;
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::{
    Answers, Facts, Plan, Policy, Purpose, Request, Role, Source, SourceKind, StatusFact, artifacts, plan, wants,
};
use taskgraft_core::state::TaskState;
use taskgraft_testkit::recorded::unpacked;

use super::run::{CREATED, Requests, directories, read_graph, read_json, read_params, requests, texts};

const ROOT: &str = "http://127.0.0.1:18099";

#[test]
fn stored_graphs_lead_to_the_recorded_requests_and_artifacts() {
    let mut checked = 0;
    for (archive, name) in [("graph-nss", "nss"), ("graph-translations-2024", "translations-2024")] {
        let Some(data) = unpacked(archive) else { return };
        let project = data.join("graph-only").join(name);
        let file = read_graph(&project.join("full-task-graph.json"));
        for case in directories(&project.join("actions")) {
            if case.file_name().unwrap().to_string_lossy().starts_with("add-new-jobs") {
                check_action(&file, &project.join("decision-artifacts"), &case);
                checked += 1;
            }
        }
        for case in directories(&project.join("optimize")) {
            check_optimization(&file, &case);
            checked += 1;
        }
    }
    assert_eq!(checked, 14 + 15);
}

/// Plans with what the recording answers, and checks that nothing else is looked up.
fn planned(graph: &TaskGraph, request: &Request, mut facts: Facts, recorded: &Requests) -> Plan {
    facts.scheduler_id = Some(scheduler_id("any", &facts.parameters.level().unwrap()));
    for _ in 0..2 {
        let wanted = wants(graph, request, &facts, Policy::Reference);
        assert!(wanted.tasks.is_empty());
        let status = |id: &TaskId| {
            let status = recorded.statuses.get(id)?;
            let (expires, deadline) = (status.expires.into(), status.expires.into());
            Some((*id, StatusFact { state: status.state, expires, deadline, resolved: None, group: None }))
        };
        let answers = Answers {
            index: wanted.index.iter().filter_map(|path| Some((path.clone(), *recorded.index.get(path)?))).collect(),
            statuses: wanted.statuses.iter().filter_map(status).collect(),
            tasks: BTreeMap::new(),
        };
        assert_eq!(answers.statuses.len(), wanted.statuses.len());
        facts.answer(&wanted, answers);
    }
    plan(graph, request, &facts, Policy::Reference).unwrap()
}

fn facts(parameters: Parameters, decision: TaskId, existing: &Value) -> Facts {
    let urls = ArtifactUrls { root: ROOT.to_owned(), proxy: None };
    let mut facts = Facts::new(CREATED.parse().unwrap(), urls, parameters);
    let labels = std::sync::Arc::new(serde_json::from_value(existing.clone()).unwrap());
    facts.sources = vec![Source { kind: SourceKind::Decision, of: Some(decision), labels }];
    facts
}

fn check_action(file: &GraphFile, decision_artifacts: &Path, case: &Path) {
    let name = case.display();
    let env = read_json(&case.join("invocation.json"))["env"].clone();
    let input: Value = serde_json::from_str(env["ACTION_INPUT"].as_str().unwrap()).unwrap();
    let labels = texts(&input["tasks"]);
    let graph = file.closure(&labels).unwrap();
    let id = |name: &str| env[name].as_str().unwrap().parse::<TaskId>().unwrap();
    let (group, action) = (id("ACTION_TASK_GROUP_ID"), id("TASK_ID"));
    let times = u32::try_from(input["times"].as_u64().unwrap_or(1)).unwrap();
    let mut request = Request::add(action.into(), Some(group), Some(group), &labels);
    request = request.repeated(times);
    request.action_task = Some(action);
    let recorded = requests(&case.join("requests.jsonl"));
    let facts = facts(
        read_params(&decision_artifacts.join("parameters.yml")),
        group,
        &read_json(&decision_artifacts.join("label-to-taskid.json")),
    );
    let plan = planned(&graph, &request, facts, &recorded);
    let ids = recorded_ids(&plan, &case.join("artifacts"), times);

    let mut sent = BTreeMap::new();
    let mut frontier = Frontier::new(plan.clone(), Limits::default()).unwrap();
    let now = CREATED.parse().unwrap();
    while !frontier.is_done() {
        for step in frontier.next(now, 50) {
            let Call::Create { task_id, definition } = &step.call else { panic!("{name}: {step:?}") };
            sent.insert(task_id.to_string(), definition.clone());
            frontier.answer(step.place, &Answer::Status { state: TaskState::Unscheduled }, now).unwrap();
        }
    }
    let mut created = renamed(&Value::Object(sent.into_iter().collect()), &ids);
    for definition in created.as_object_mut().unwrap().values_mut() {
        // The trust domain is no part of what an action is given here.
        definition["schedulerId"] = recorded.created.values().next().unwrap()["schedulerId"].clone();
    }
    assert_eq!(created, in_order(&Value::Object(recorded.created.into_iter().collect())), "{name}");
    check_artifacts(&plan, &ids, &case.join("artifacts"));
}

fn check_optimization(file: &GraphFile, case: &Path) {
    let spec = read_json(&case.join("spec.json"));
    let graph = file.closure(&texts(&spec["target_tasks"])).unwrap();
    let decision: TaskId = spec["decision_task_id"].as_str().unwrap().parse().unwrap();
    let mut request =
        Request::add("R1".parse::<RequestId>().unwrap(), Some(decision), Some(decision), &texts(&spec["target_tasks"]));
    request.purpose = Purpose::Optimize { do_not_optimize: texts(&spec["do_not_optimize"]) };
    let parameters = Parameters::new(spec["parameters"].clone()).unwrap();
    let recorded = requests(&case.join("requests.jsonl"));
    let plan = planned(&graph, &request, facts(parameters, decision, &spec["existing_tasks"]), &recorded);
    let ids = recorded_ids(&plan, case, 1);
    check_artifacts(&plan, &ids, case);
}

/// The plan's ids to the recorded ones, by label and iteration.
fn recorded_ids(plan: &Plan, artifacts: &Path, times: u32) -> BTreeMap<TaskId, TaskId> {
    let maps: Vec<BTreeMap<String, TaskId>> = (0..times)
        .map(|n| if times == 1 { String::new() } else { format!("-{n}") })
        .map(|suffix| {
            serde_json::from_value(read_json(&artifacts.join(format!("label-to-taskid{suffix}.json")))).unwrap()
        })
        .collect();
    let ids = plan.tasks.iter().map(|task| {
        let Role::Reference { iteration, .. } = task.role else { panic!("{:?}", task.role) };
        (task.task_id.unwrap(), maps[iteration as usize][&task.label])
    });
    ids.collect()
}

/// Every artifact that was recorded, against what the plan makes of it.
fn check_artifacts(plan: &Plan, ids: &BTreeMap<TaskId, TaskId>, recorded: &Path) {
    let made = artifacts(plan).unwrap();
    for (name, text) in &made {
        let path = recorded.join(name);
        let mut recorded = in_order(&read_json(&path));
        if let Some(labels) = recorded.as_array_mut() {
            // The reference writes a set here.
            labels.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
        assert!(renamed(&serde_json::from_str(text).unwrap(), ids) == recorded, "{}", path.display());
    }
    let count = std::fs::read_dir(recorded).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().to_string_lossy().into_owned();
        ["task-graph", "label-to-taskid", "to-run"].iter().any(|start| name.starts_with(start))
    });
    assert_eq!(count.count(), made.len(), "{}", recorded.display());
}

/// The same with other ids, in texts and keys too.
fn renamed(value: &Value, ids: &BTreeMap<TaskId, TaskId>) -> Value {
    let text = value.to_string();
    let mut other = String::with_capacity(text.len());
    let (mut at, mut copied) = (0, 0);
    while let Some(window) = text.as_bytes().get(at..at + 22) {
        // Derived ids are v4 slugids: few other places look like one.
        let id = (b'Q'..=b'T').contains(&window[8]) && b"AQgw".contains(&window[21]);
        let id = std::str::from_utf8(window).ok().filter(|_| id).and_then(|text| text.parse::<TaskId>().ok());
        match id.and_then(|id| ids.get(&id)) {
            Some(recorded) => {
                other.push_str(&text[copied..at]);
                other.push_str(recorded.as_str());
                at += 22;
                copied = at;
            }
            None => at += 1,
        }
    }
    other.push_str(&text[copied..]);
    in_order(&serde_json::from_str(&other).unwrap())
}

/// With dependencies in the order of their ids, which is another under other ids.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(key, field): (&String, &Value)| {
                let mut field = in_order(field);
                if let (true, Some(ids)) = (key == "dependencies", field.as_array_mut()) {
                    ids.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
                (key.clone(), field)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
