//! `taskgraft action-callback` and `test-action-callback`, beside the reference's own commands of these names.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_testkit::python::python;

use crate::pushes::{DECISION, action_task, checkout, members, publishing, push, recorded};
use crate::run::{Ran, command};
use crate::server::{Up, wait_for};

/// The binary with what an action task is told in its environment.
fn act(up: &Up, more: &[&str], told: &[(&str, &str)]) -> Ran {
    let mut act = up.command(["action-callback"].iter().chain(more));
    act.env("ACTION_TASK_GROUP_ID", DECISION).envs(told.iter().copied()).stdin(Stdio::null());
    Ran::from(act.output().unwrap())
}

fn written(up: &Up, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(up.dir().join("artifacts").join(name)).unwrap()).unwrap()
}

#[test]
fn inside_an_action_task_it_does_what_the_task_was_made_for() {
    let up = Up::start();
    push(&up);
    let action = TaskId::from_bytes([9; 16]);
    let run = action_task(&up, action, DECISION);
    let told = [
        ("TASK_ID", action.as_str()),
        ("ACTION_CALLBACK", "add-new-jobs"),
        ("ACTION_TASK_ID", "null"),
        ("ACTION_INPUT", r#"{"tasks": ["lint-c"], "times": 2}"#),
    ];
    let ran = act(&up, &[], &told);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("new      lint-c  asked for, 2 copies"), "{}", ran.stdout);
    assert!(lines.last().unwrap().starts_with("done:"), "{}", ran.stdout);
    let made = members(&up);
    assert_eq!(made["lint-c"].len(), 2);
    let copy = wait_for(up.client().queue().task(made["lint-c"][0])).unwrap();
    assert!(copy.dependencies.contains(&action), "{:?}", copy.dependencies);
    assert_eq!(written(&up, "to-run.json"), json!(["lint-c"]));
    assert_eq!(written(&up, "report.json")["result"], "done");
    assert_eq!(written(&up, "plan.json")["request"]["told"]["action"], "add-new-jobs");
    let plan = wait_for(run.queue().artifact(action, Some(0), "public/taskgraft/plan.json"));
    assert!(plan.is_ok(), "{plan:?}");
    assert_eq!(act(&up, &[], &told).code, Some(0));
    assert_eq!(members(&up), made, "the same run again");
}

#[test]
fn what_it_is_told_wrongly_is_named_and_nothing_is_created() {
    let up = Up::start();
    push(&up);
    let before = members(&up);
    let add = ("ACTION_CALLBACK", "add-new-jobs");
    for (told, words) in [
        (vec![], "ACTION_CALLBACK"),
        (vec![("ACTION_CALLBACK", "release-promotion")], "no such action"),
        (vec![add, ("ACTION_INPUT", "{")], "ACTION_INPUT"),
        (vec![add, ("ACTION_INPUT", r#"{"tasks": ["lint-d"]}"#)], "nearest: lint-c"),
        (vec![add, ("ACTION_INPUT", r#"{"tasks": ["lint-c"], "$(reboot)": "'\"`"}"#)], "$(reboot)"),
        (vec![add, ("ACTION_TASK_GROUP_ID", "../../x")], "ACTION_TASK_GROUP_ID"),
    ] {
        let ran = act(&up, &[], &told);
        assert_eq!(ran.code, Some(3), "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(ran.stderr.ends_with("nothing was created\n"), "{}", ran.stderr);
    }
    let few = act(&up, &["--max-new-tasks", "1"], &[add, ("ACTION_INPUT", r#"{"tasks": ["lint-c"]}"#)]);
    assert!(few.code == Some(3) && few.stderr.contains("one request may create 1"), "{}", few.stderr);
    let root = act(&up, &["--root", "nowhere"], &[add, ("ACTION_INPUT", r#"{"tasks": ["lint-c"]}"#)]);
    assert!(root.code != Some(0) && root.stderr.contains("nowhere"), "{}", root.stderr);
    assert_eq!(members(&up), before);
}

/// Tasks with their ids told by name, moments by their distance from the creation, lists of dependencies in order.
fn told(tasks: Vec<(String, Value)>) -> Vec<Value> {
    let name = |task: &Value| task["metadata"]["name"].as_str().unwrap().to_owned();
    let names: BTreeMap<&str, String> = tasks.iter().map(|(id, task)| (id.as_str(), name(task))).collect();
    let mut told: Vec<Value> = tasks
        .iter()
        .map(|(_, task)| {
            let text = names.iter().fold(task.to_string(), |text, (id, name)| text.replace(id, name));
            let mut task: Value = serde_json::from_str(&text).unwrap();
            let created: Timestamp = task["created"].as_str().unwrap().parse().unwrap();
            since(&mut task, created);
            task["dependencies"].as_array_mut().unwrap().sort_unstable_by_key(ToString::to_string);
            task
        })
        .collect();
    told.sort_unstable_by_key(ToString::to_string);
    told
}

fn since(value: &mut Value, created: Timestamp) {
    match value {
        Value::String(text) if text.len() >= 20 && text.as_bytes()[4] == b'-' => {
            if let Ok(moment) = text.parse::<Timestamp>() {
                *text = format!("{} s", moment.duration_since(created).as_secs());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| since(item, created)),
        Value::Object(fields) => fields.values_mut().for_each(|field| since(field, created)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The `[id, definition]` documents that both print.
fn printed(stdout: &str) -> Vec<(String, Value)> {
    let documents = serde_json::Deserializer::from_str(stdout).into_iter::<(String, Value)>();
    documents.map(Result::unwrap).collect()
}

/// A push whose tests may be retriggered, of which some labels have tasks, and one is made twice.
fn retriggerable(up: &Up) {
    publishing(up, |files| {
        let mut graph: Value = serde_json::from_slice(&files["full-task-graph.json"]).unwrap();
        for (label, entry) in graph.as_object_mut().unwrap() {
            entry["attributes"]["retrigger"] = json!(label.starts_with("test"));
        }
        graph["lint-c"]["attributes"]["task_duplicates"] = json!(2);
        files.insert("full-task-graph.json", graph.to_string().into_bytes());
        let labels = ["build-opt", "test-unit-1", "toolchain-cc", "source-lander"];
        let ids = labels.iter().enumerate().map(|(n, label)| (*label, TaskId::from_bytes([n as u8 + 50; 16])));
        files.insert("label-to-taskid.json", json!(ids.collect::<BTreeMap<_, _>>()).to_string().into_bytes());
    });
}

/// What both print for the same arguments: ours, then the reference's.
fn both(up: &Up, checkout: &Path, args: &[String]) -> [Vec<Value>; 2] {
    let mut reference = python();
    let main = "import sys; from taskgraph.main import main; sys.exit(main(sys.argv[1:]))";
    reference.args(["-c", main]).args(args).current_dir(checkout).env("PYTHONHASHSEED", "0");
    reference.envs(up.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let theirs = Ran::from(reference.stdin(Stdio::null()).output().unwrap());
    assert_eq!(theirs.code, Some(0), "{args:?}: {}", theirs.stderr);
    let ours = up.taskgraft(args.iter().map(String::as_str).chain(["--policy", "reference"]));
    assert_eq!(ours.code, Some(0), "{args:?}: {}", ours.stderr);
    [ours, theirs].map(|ran| told(printed(&ran.stdout)))
}

#[test]
fn it_shows_what_the_reference_shows_of_the_same_push() {
    let up = Up::start();
    retriggerable(&up);
    let subject = TaskId::from_bytes([40; 16]);
    // Any task of the group is one to look at.
    let _ = action_task(&up, subject, DECISION);
    let checkout = checkout();
    let before = members(&up);
    let rounds = json!({"requests": [{"tasks": ["test-unit-1", "test-unit-3"], "times": 2}, {"tasks": ["test-asan-1"]},
                                     {"tasks": ["test-unit-1"]}]});
    let cases = [
        ("add-new-jobs", json!({"tasks": ["test-asan-1", "lint-c"], "times": 2}), None),
        ("add-new-jobs", json!({"tasks": ["test-unit-1", "report-landings"]}), None),
        ("retrigger-multiple", rounds, None),
        ("rebuild-cached-tasks", Value::Null, None),
        ("retrigger-decision", Value::Null, Some(subject)),
        ("retrigger-decision", Value::Null, Some(DECISION.parse().unwrap())),
        ("cancel", Value::Null, Some(subject)),
    ];
    for (callback, input, task) in cases {
        let file = up.dir().join("input.json");
        std::fs::write(&file, input.to_string()).unwrap();
        let (root, parameters) = (checkout.path().join("taskcluster"), recorded().join("parameters.yml"));
        let mut args: Vec<String> =
            ["test-action-callback", "--task-group-id", DECISION, "--root"].map(str::to_owned).into();
        args.extend([root.display().to_string(), "--parameters".to_owned(), parameters.display().to_string()]);
        args.extend(["--input".to_owned(), file.display().to_string()]);
        args.extend(task.into_iter().flat_map(|task| ["--task-id".to_owned(), task.to_string()]));
        args.push(callback.to_owned());
        let [ours, theirs] = both(&up, checkout.path(), &args);
        assert_eq!(ours.len(), theirs.len(), "{callback} {input}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{callback} {input}");
        }
        assert!(!ours.is_empty() || callback == "cancel", "{callback}");
    }
    assert_eq!(members(&up), before, "nothing was created");
}

#[test]
fn it_asks_which_push_is_meant() {
    let ran: Ran = command(["test-action-callback", "add-new-jobs"]).output().unwrap().into();
    assert_ne!(ran.code, Some(0));
    assert!(ran.stdout.is_empty() && ran.stderr.contains("--parameters <PARAMETERS>"), "{}", ran.stderr);
}
