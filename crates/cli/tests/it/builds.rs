//! Requests that name builders of a real Buildbot beside labels of the push.

use serde_json::{Value, json};
use taskgraft_testkit::buildbot::{Buildbot, PASSWORD, SCHEDULER, USER};
use taskgraft_testkit::proxy::{Fault, Proxy};

use crate::door::Serve;
use crate::hooked::{hooked, ours};
use crate::pushes::{DECISION, members};
use crate::server::{Up, wait_for};
use crate::waiting::held;

const SECRETS: [(&str, &str); 1] = [("TASKGRAFT_BUILDBOT_PASSWORD_OLD", PASSWORD)];

fn up() -> Up {
    let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
    hooked(&up, &ours().0);
    up
}

/// A service of the push's project with this Buildbot.
fn serve(up: &Up, url: &str) -> Serve {
    let config = format!(
        "[project.lander]\nlevel = \"3\"\n[[project.lander.buildbot]]\nname = \"old\"\nurl = \"{url}\"\n\
         scheduler = \"{SCHEDULER}\"\nbuilders = [\"old-*\"]\nuser = \"{USER}\"\n"
    );
    Serve::start(up, &config, &SECRETS)
}

fn adding(tasks: &[&str]) -> Value {
    json!({"push": DECISION, "action": "add-new-jobs", "input": {"tasks": tasks}})
}

/// The reasons of all builds that the Buildbot was asked for.
pub(crate) fn reasons(buildbot: &Buildbot) -> Vec<String> {
    let site = taskgraft_client::Site::new(taskgraft_client::Config::new(buildbot.url())).unwrap();
    let reply = wait_for(site.get("buildsets", &["api", "v2", "buildsets"], &[], &Default::default())).unwrap();
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    let sets = answer["buildsets"].as_array().unwrap();
    sets.iter().map(|set| set["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_request_names_both_and_is_told_of_both() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-linux", &["true"]), ("other", &["true"])], &[]));
    let mut serve = serve(&up, &buildbot.url());
    let (status, request) = serve.ask("both", &adding(&["lint-c", "old-linux"]));
    assert_eq!((status, &request["state"]), (200, &json!("done")), "{request}");
    let build = &request["report"]["buildbot"][0];
    assert_eq!((&build["builder"], &build["outcome"]), (&json!("old-linux"), &json!("forced")), "{request}");
    assert!(build["url"].as_str().unwrap().starts_with(&buildbot.url()), "{request}");
    assert!(members(&up).contains_key("lint-c"));
    let id = request["id"].as_str().unwrap();
    assert!(reasons(&buildbot)[0].contains(id));
    // Only builders: there is no action task.
    let (_, request) = serve.ask("builders", &adding(&["old-linux"]));
    assert_eq!((&request["state"], &request["action_task"]), (&json!("done"), &Value::Null), "{request}");
    // The same key is the same request.
    serve.ask("builders", &adding(&["old-linux"]));
    assert_eq!(reasons(&buildbot).len(), 2);
    // What is neither, or not allowed, keeps all of it from being done.
    let (_, request) = serve.ask("neither", &adding(&["lint-python", "old-linux", "old-lniux", "other"]));
    assert_eq!(request["state"], "refused", "{request}");
    let why = request["error"].as_str().unwrap();
    assert!(why.contains("`old-lniux` (is it old-linux?)") && why.contains("`other`"), "{why}");
    let scopes = vec!["hooks:trigger-hook:*".to_owned()];
    let ann = taskgraft_core::api::auth::CreateClientRequest {
        description: String::new(),
        expires: taskgraft_core::time::Millis(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)),
        scopes: Some(scopes),
        delete_on_expiration: false,
    };
    let ann = wait_for(up.client().auth().create_client("ann", &ann)).unwrap();
    serve.as_client("ann", &ann.access_token);
    let (_, request) = serve.ask("no-right", &adding(&["lint-python", "old-linux"]));
    assert_eq!(request["state"], "refused", "{request}");
    assert!(request["error"].as_str().unwrap().contains("taskgraft:force-build:old/old-linux"), "{request}");
    assert!(!members(&up).contains_key("lint-python") && reasons(&buildbot).len() == 2);
}

#[test]
fn a_buildbot_that_is_down_fails_its_half_only() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-linux", &["true"])], &[]));
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let serve = serve(&up, &proxy.url());
    proxy.rule(|_, _| Fault::Status(404));
    let (_, request) = serve.ask("down", &adding(&["lint-c", "old-linux"]));
    assert_eq!(request["state"], "failed", "{request}");
    assert!(request["error"].as_str().unwrap().contains("1 of 1 builds were not forced: old-linux"), "{request}");
    assert_eq!(request["report"]["buildbot"][0]["builder"], "old-linux");
    assert!(members(&up).contains_key("lint-c"), "the other half is done: {request}");
    assert!(reasons(&buildbot).is_empty());
}

#[test]
fn a_service_killed_while_it_forces_finds_the_build_when_it_is_back() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-linux", &["true"])], &[]));
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let killed = serve(&up, &proxy.url());
    proxy.rule(|method, _| if method == "POST" { Fault::LateAnswer } else { Fault::None });
    let asking = adding(&["lint-c", "old-linux"]);
    let (status, request) = killed.call("POST", "requests", Some(&asking), "killed");
    assert_eq!(status, 202, "{request}");
    // The build was forced, and its answer is on the way.
    held(&proxy);
    killed.kill();
    proxy.heal();
    let (_, request) = serve(&up, &proxy.url()).ask("killed", &asking);
    assert_eq!(request["state"], "done", "{request}");
    assert_eq!(request["report"]["buildbot"][0]["outcome"], "found", "{request}");
    assert_eq!((reasons(&buildbot).len(), members(&up)["lint-c"].len()), (1, 1));
}

#[test]
fn a_cancelled_request_takes_its_builds_back() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-long", &["sleep", "3600"])], &[]));
    let serve = serve(&up, &buildbot.url());
    for (key, tasks) in [("builds", &["old-long"][..]), ("both", &["lint-c", "old-long"])] {
        let (_, request) = serve.ask(key, &adding(tasks));
        assert_eq!(request["state"], "done", "{request}");
        let cancel = format!("requests/{}/cancel?wait=60", request["id"].as_str().unwrap());
        let (status, request) = serve.call("POST", &cancel, None, "");
        assert_eq!((status, &request["state"]), (200, &json!("cancelled")), "{request}");
        // Tried again, it is built anew; and taken back once more.
        let id = request["id"].as_str().unwrap();
        let again = up.taskgraft(["requests", "retry", id, "--wait", "60", "--journal", "journal.sqlite"]);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        let (_, request) = serve.call("GET", &format!("requests/{id}"), None, "");
        assert_eq!(request["report"]["buildbot"][0]["outcome"], "forced", "{request}");
        let (status, request) = serve.call("POST", &cancel, None, "");
        assert_eq!((status, &request["state"]), (200, &json!("cancelled")), "{request}");
    }
    let unfinished = || {
        let site = taskgraft_client::Site::new(taskgraft_client::Config::new(buildbot.url())).unwrap();
        let query = [("complete", "false")];
        let reply = wait_for(site.get("buildsets", &["api", "v2", "buildsets"], &query, &Default::default())).unwrap();
        serde_json::from_slice::<Value>(&reply.body).unwrap()["buildsets"].as_array().unwrap().len()
    };
    // A build that runs ends a moment after it is told to.
    let begun = std::time::Instant::now();
    while unfinished() > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "builds go on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
