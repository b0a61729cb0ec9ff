//! The HTTP door from end to end: what is previewed, asked for and shown, as a page does it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::time::Millis;

use crate::door::Serve;
use crate::hooked::{hooked, ours};
use crate::pushes::{DECISION, members};
use crate::server::{Up, wait_for};

const TRIGGER: &str = "hooks:trigger-hook:project-lander/in-tree-action-3-generic/*";
const CONFIG: &str = "[project.lander]\nlevel = \"3\"\n[project.other]\nlevel = \"3\"\n";

/// From now on somebody asks who may do no more than this.
fn as_somebody(up: &Up, serve: &mut Serve, id: &str, scopes: &[&str]) {
    let request = CreateClientRequest {
        description: String::new(),
        expires: Millis(Timestamp::now() + SignedDuration::from_hours(1)),
        scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
        delete_on_expiration: false,
    };
    let made = wait_for(up.client().auth().create_client(id, &request)).unwrap();
    serve.as_client(id, &made.access_token);
}

fn adding(task: &str) -> Value {
    json!({"push": DECISION, "action": "add-new-jobs", "input": {"tasks": [task]}})
}

#[test]
fn what_is_asked_over_http_exists_when_the_answer_comes() {
    let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
    hooked(&up, &ours().0);
    let mut serve = Serve::start(&up, CONFIG, &[]);
    as_somebody(&up, &mut serve, "project/lander/ann", &[TRIGGER]);
    let get = |serve: &Serve, path: &str| serve.call("GET", path, None, "").1;
    let push = get(&serve, &format!("pushes/{DECISION}"));
    assert!(push["actions"].as_array().unwrap().iter().any(|action| action["name"] == "add-new-jobs"), "{push}");
    let (status, plan) = serve.call("POST", "plan", Some(&json!({"push": DECISION, "labels": ["lint-c"]})), "");
    let planned: Vec<&str> =
        plan["tasks"].as_array().unwrap().iter().map(|task| task["label"].as_str().unwrap()).collect();
    assert_eq!((status, planned.as_slice()), (200, ["source-lander", "toolchain-lint", "lint-c"].as_slice()));
    assert!(!members(&up).contains_key("lint-c"), "a preview makes nothing");
    let (status, request) = serve.ask("click", &adding("lint-c"));
    assert_eq!((status, &request["state"]), (200, &json!("done")), "{request}");
    let made = members(&up);
    assert!(planned.iter().all(|label| made[*label].len() == 1), "{made:?}");
    let (_, again) = serve.ask("click", &adding("lint-c"));
    assert_eq!(again, request, "the same key is the same request");
    assert_eq!(members(&up), made);
    let id = request["id"].as_str().unwrap();
    let log = get(&serve, &format!("requests/{id}/log"));
    assert!(
        log["lines"].as_array().unwrap().iter().any(|line| line["text"].as_str().unwrap().contains("sent")),
        "{log}"
    );
}

#[test]
fn what_may_not_be_asked_over_http_is_refused_and_leaves_nothing() {
    let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
    hooked(&up, &ours().0);
    let before = members(&up);
    let mut serve = Serve::start(&up, CONFIG, &[]);
    as_somebody(&up, &mut serve, "project/lander/eve", &["hooks:trigger-hook:project-other/*"]);
    let refused = |serve: &Serve, key: &str, body: &Value, why: &str| {
        let (status, request) = serve.ask(key, body);
        assert_eq!((status, &request["state"]), (200, &json!("refused")), "{request}");
        assert!(request["error"].as_str().unwrap().contains(why), "{request}");
    };
    refused(&serve, "few", &adding("lint-c"), "hooks:trigger-hook:project-lander/");
    as_somebody(&up, &mut serve, "project/lander/ann", &[TRIGGER]);
    let mut elsewhere = adding("lint-c");
    elsewhere["project"] = json!("other");
    refused(&serve, "elsewhere", &elsewhere, "it is of the project lander, not of other");
    serve.as_client("project/lander/ann", "not-her-token");
    let (status, problem) = serve.ask("stolen", &adding("lint-c"));
    assert_eq!((status, &problem["type"]), (401, &json!("urn:taskgraft:problem:bad-signature")));
    assert_eq!(members(&up), before);
}
