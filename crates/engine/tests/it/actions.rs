//! What decision tasks publish, compared with the reference: its recordings, and what it makes of made-up projects.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_core::action::in_tree::{self, Side};
use taskgraft_core::action::publish::{Publication, PublishError, left_out};
use taskgraft_core::action::render::{Template, render};
use taskgraft_core::json::to_string_sorted;
use taskgraft_core::params::Parameters;
use taskgraft_core::plan::Policy;
use taskgraft_engine::{Project, read_parameters_file};
use taskgraft_testkit::python::{python, read_yaml};
use taskgraft_testkit::recorded::{unpacked, workspace};
use taskgraft_testkit::rng::Rng;

/// actions.json of a project's push; none where it names actions to leave out that don't exist.
fn published(root: &Path, parameters: &Parameters, decision: &str, policy: Policy) -> Option<Value> {
    let project = Project::read(root).unwrap();
    let file = project.taskcluster_yml(root).unwrap();
    let without = match left_out(&project.disabled_actions, project.registers, &[], policy) {
        Err(PublishError::Unknown { .. }) => return None,
        without => without.unwrap(),
    };
    let domain = &project.trust_domain;
    let publication = Publication { parameters, trust_domain: domain, hook_hash: &file.hash, decision, policy };
    Some(publication.actions_json(&without).unwrap())
}

/// The actions of `file` that the reference knows, written as it does.
fn of_the_reference(file: &Value, known: &Value) -> String {
    let callback = |entry: &Value| entry.pointer("/hookPayload/decision/action/cb_name").cloned();
    let names: Vec<_> = known["actions"].as_array().unwrap().iter().map(callback).collect();
    let entries = file["actions"].as_array().unwrap().iter().filter(|entry| names.contains(&callback(entry)));
    let mut file = file.clone();
    file["actions"] = entries.cloned().collect();
    to_string_sorted(&file)
}

#[test]
fn recorded_decision_tasks_published_the_same_bytes() {
    let Some(dir) = unpacked("decision-real") else { return };
    let mut compared = 0;
    for repository in ["taskgraph", "scriptworker-scripts", "balrog"] {
        let root = dir.join("config-only").join(repository).join("input/taskcluster");
        for run in fs::read_dir(dir.join("decision").join(repository)).unwrap() {
            let artifacts = run.unwrap().path().join("artifacts");
            let Ok(recorded) = fs::read_to_string(artifacts.join("actions.json")) else { continue };
            let recorded_file: Value = serde_json::from_str(&recorded).unwrap();
            let parameters = read_parameters_file(&artifacts.join("parameters.yml")).unwrap();
            let of_task = recorded_file.pointer("/actions/0/hookPayload/decision/action/taskGroupId").unwrap();
            let decision = of_task.as_str().unwrap();
            let all = published(&root, &parameters, decision, Policy::Graft).unwrap();
            let theirs = published(&root, &parameters, decision, Policy::Reference).unwrap();
            // A project's own actions are registered by Python code that is not read here.
            let own = of_the_reference(&recorded_file, &theirs);
            assert_eq!(to_string_sorted(&theirs), own, "{}", artifacts.display());
            assert_eq!(of_the_reference(&all, &theirs), own, "{}", artifacts.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 7);
}

#[test]
fn recorded_projects_make_the_same_action_task_with_and_without_a_hook() {
    let Some(dir) = unpacked("decision-real") else { return };
    let (own, input) = ("AWMGHageQ0eZMgDRbQdoUw", json!({"tasks": ["${x}", "{{y}}", "\"$(z)"], "times": 2}));
    let mut seen = BTreeSet::new();
    // The third's file knows no actions.
    for repository in ["taskgraph", "scriptworker-scripts"] {
        let root = dir.join("config-only").join(repository).join("input/taskcluster");
        for run in fs::read_dir(dir.join("decision").join(repository)).unwrap() {
            let artifacts = run.unwrap().path().join("artifacts");
            let Ok(parameters) = read_parameters_file(&artifacts.join("parameters.yml")) else { continue };
            // Without a base branch of another name, none is published, and files ask for it.
            let mut fields = Value::Object(parameters.fields().clone());
            (fields["head_ref"], fields["base_ref"]) = (json!("topic"), json!("main"));
            let parameters = Parameters::new(fields).unwrap();
            let side = Side::of(parameters.text("tasks_for").unwrap());
            let project = Project::read(&root).unwrap();
            let file = project.taskcluster_yml(&root).unwrap();
            let publication = Publication {
                parameters: &parameters,
                trust_domain: &project.trust_domain,
                hook_hash: &file.hash,
                decision: "TADoGLV5QUWAYivg1ReyTw",
                policy: Policy::Graft,
            };
            let all = publication.actions_json(&BTreeSet::new()).unwrap();
            let add = all["actions"].as_array().unwrap().iter().find(|entry| entry["name"] == "add-new-jobs").unwrap();
            let asked = json!({"input": input, "taskId": null, "taskGroupId": "TADoGLV5QUWAYivg1ReyTw"});
            let payload = rendered(&add["hookPayload"], &asked);
            let fired = json!({"payload": payload, "taskId": own, "clientId": "ann", "firedBy": "triggerHook"});
            let hook = in_tree::hook_task(&file.content, side, "generic").unwrap();
            if side == Side::PullRequest && repository != "taskgraph" {
                // Its file knows no actions on pull requests.
                continue;
            }
            let by_hook = rendered(&hook, &fired);
            let url = parameters.text(match side {
                Side::Push => "head_repository",
                Side::PullRequest => "base_repository",
            });
            let scope = format!("assume:repo:{}:{}:generic", &url.unwrap()[8..], side.role());
            assert_eq!(by_hook["scopes"], json!([scope]), "{}", artifacts.display());
            assert_eq!(by_hook["taskGroupId"], "TADoGLV5QUWAYivg1ReyTw");
            assert_eq!(by_hook.get("taskId"), None, "a definition has no id");
            let env = &by_hook["payload"]["env"];
            assert_eq!(env["ACTION_CALLBACK"], "add-new-jobs");
            assert_eq!(serde_json::from_str::<Value>(env["ACTION_INPUT"].as_str().unwrap()).unwrap(), input);

            let yml = tempfile::NamedTempFile::new().unwrap();
            fs::write(yml.path(), publication.action_yml(&file.content).unwrap()).unwrap();
            let mut context = asked;
            (context["ownTaskId"], context["clientId"]) = (json!(own), json!("ann"));
            assert_eq!(rendered(&read_yaml(yml.path()), &context), by_hook, "{}", artifacts.display());
            seen.insert((repository, side));
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

fn rendered(template: &Value, context: &Value) -> Value {
    render(&Template::check(template).unwrap(), context, Timestamp::UNIX_EPOCH).unwrap()
}

/// A text that is hard to write.
fn text(rng: &mut Rng) -> Value {
    let texts = ["", "main", "refs/heads/ünïcode-😀", "a\"b\\c\n", "${input}", "{{x}}", "-", "\u{7f}\u{2028}", "1e3"];
    (*rng.pick(&texts)).into()
}

fn parameters(rng: &mut Rng) -> Value {
    let tasks_for =
        ["github-push", "github-pull-request", "github-pull-request-untrusted", "hg-push", "cron", "action"];
    let mut parameters = json!({"tasks_for": rng.pick(&tasks_for), "level": rng.pick(&["1", "3"])});
    for name in ["head_repository", "base_repository", "project", "head_rev", "base_rev"] {
        parameters[name] = text(rng);
    }
    parameters["pushlog_id"] = rng.pick(&[json!("0"), json!(7), json!("123456789012345678901234567890")]).clone();
    for name in ["head_ref", "base_ref"] {
        match rng.below(4) {
            0 => {}
            1 => parameters[name] = Value::Null,
            _ => parameters[name] = text(rng),
        }
    }
    if rng.chance(20) {
        parameters["base_rev"] = Value::Null;
    }
    parameters
}

fn project(rng: &mut Rng, dir: &Path) {
    let names = ["rerun", "retrigger", "cancel", "retrigger-disabled", "add-new-jobs"];
    let mut disabled = rng.some_of(&names, 20);
    if rng.chance(10) {
        disabled.push("retriger");
    }
    let config = json!({
        "trust-domain": rng.pick(&["lander", "app-services"]),
        "task-priority": "low",
        "workers": {"aliases": {}},
        "taskgraph": {"repositories": {"x": {"name": "X"}}, "disabled-actions": disabled},
    });
    fs::create_dir_all(dir.join("taskcluster")).unwrap();
    fs::write(dir.join("taskcluster/config.yml"), config.to_string()).unwrap();
    fs::write(dir.join(".taskcluster.yml"), format!("version: 1\ntasks: []\n# {}\n", rng.draw())).unwrap();
}

#[test]
fn made_up_projects_publish_what_the_reference_does() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for n in 0..60 {
        let checkout = dir.path().join(n.to_string());
        project(&mut rng, &checkout);
        let root = checkout.join("taskcluster");
        cases.push(json!({"root": root, "parameters": parameters(&mut rng), "decision": "TADoGLV5QUWAYivg1ReyTw"}));
    }
    let (input, output) = (dir.path().join("cases.json"), dir.path().join("results.json"));
    fs::write(&input, Value::from(cases.clone()).to_string()).unwrap();
    let oracle = workspace().join("tests/oracle/actions.py");
    // What it says of the projects that it refuses is of no interest unless it fails.
    let ran = python().arg(oracle).arg(&input).arg(&output).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let results: Vec<Option<String>> = serde_json::from_slice(&fs::read(&output).unwrap()).unwrap();
    let mut refused = 0;
    for (case, expected) in cases.iter().zip(results) {
        let parameters = Parameters::new(case["parameters"].clone()).unwrap();
        let root = Path::new(case["root"].as_str().unwrap());
        let ours = published(root, &parameters, case["decision"].as_str().unwrap(), Policy::Reference);
        assert_eq!(ours.map(|file| to_string_sorted(&file)), expected, "seed {seed}: {case}");
        refused += usize::from(expected.is_none());
    }
    assert!(refused < 30, "seed {seed}: {refused} of 60 refused");
}

#[test]
fn action_yml_reads_back_in_pyyaml_as_the_template_it_is() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("action.yml");
    for _ in 0..8 {
        let parameters = Parameters::new(parameters(&mut rng)).unwrap();
        // Whatever can stand in a file, in as many shapes.
        let odd: Vec<Value> = (0..9).map(|_| text(&mut rng)).collect();
        let body =
            json!({"a": odd, "b": [[], {}, [[1, -2.5, true, null]], {"yes": "no", "": [{"k": ["v"]}]}], "~": 1e30});
        let publication = Publication {
            parameters: &parameters,
            trust_domain: "lander",
            hook_hash: "0123456789",
            decision: "TADoGLV5QUWAYivg1ReyTw",
            policy: Policy::Graft,
        };
        fs::write(&file, publication.action_yml(&json!({"version": 1, "tasks": [body]})).unwrap()).unwrap();
        let read = read_yaml(&file);
        assert_eq!(read["in"], body, "seed {seed}");
        let escaped = |name: &str| {
            let value = parameters.get(name).cloned().unwrap();
            value.as_str().map_or(value.clone(), |text| text.replace("${", "$${").into())
        };
        assert_eq!(read["$let"]["push"]["revision"], escaped("head_rev"), "seed {seed}");
        assert_eq!(read["$let"]["repository"]["project"], escaped("project"), "seed {seed}");
        assert_eq!(BTreeSet::from_iter(read.as_object().unwrap().keys().map(String::as_str)), ["$let", "in"].into());
    }
}
