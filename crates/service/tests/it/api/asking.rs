//! Requests: asked once, waited for, followed, taken back.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::time::Millis;
use taskgraft_service::http::Settings;
use taskgraft_service::journal::{Change, NewLine};
use taskgraft_service::{Asked, Asker, Authority, Door, Event, NewRequest, PushName, State};

use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::workspace;

use super::site::{ASKS, BASE, Site};

fn wanted() -> Value {
    json!({"push": "lander@aaaaaaaa", "action": "add-new-jobs", "input": {"tasks": ["build-0"]}})
}

fn id(body: &Value) -> RequestId {
    body["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_written_down_once_with_the_askers_own_scopes() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", &["hooks:trigger-hook:project-lander/*"], 3600).await;
    let path = format!("{BASE}/requests");
    let first = site.signed(&ann, &path, Some("click-1"), &wanted()).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let id = id(&first.body);
    assert_eq!(first.headers["location"].to_str().unwrap(), format!("{path}/{id}"));
    assert_eq!((&first.body["state"], &first.body["asker"]), (&json!("received"), &json!("project/lander/ann")));
    let kept = site.journal.get(&id).await.unwrap().unwrap();
    let Authority::Scopes { scopes, .. } = &kept.asker.authority else { panic!("{:?}", kept.asker.authority) };
    assert!(scopes.contains(&"hooks:trigger-hook:project-lander/*".to_owned()), "{scopes:?}");
    assert!(!first.body.to_string().contains("trigger-hook"), "scopes are nobody's business");
    assert_eq!(kept.asked.push, PushName::Revision { project: "lander".into(), revision: "aaaaaaaa".into() });
    // Again, and as a key in the body: the same request.
    assert_eq!(site.signed(&ann, &path, Some("click-1"), &wanted()).await.body["id"], first.body["id"]);
    let mut keyed = wanted();
    keyed["key"] = json!("click-1");
    assert_eq!(site.signed(&ann, &path, None, &keyed).await.body["id"], first.body["id"]);
    // By somebody else it is another one.
    let bob = site.somebody("project/lander/bob", ASKS, 3600).await;
    assert_ne!(site.signed(&bob, &path, Some("click-1"), &wanted()).await.body["id"], first.body["id"]);
    assert_eq!(site.requests().await, 2);
    // Something else under the same key is refused.
    let mut other = wanted();
    other["input"] = json!({});
    let refused = site.signed(&ann, &path, Some("click-1"), &other).await;
    assert_eq!((refused.status, &refused.body["type"]), (422, &json!("urn:taskgraft:problem:key-reused")));
    assert_eq!(site.requests().await, 2);
    assert!(site.refusals().await[0].entry.why.starts_with("key-reused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_limits_let_in_is_written_down() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let labels: Vec<String> = (0..10_000).map(|n| format!("{n:0512}")).collect();
    let mut large = wanted();
    large["input"] = json!({"tasks": labels});
    let answer = site.signed(&ann, &format!("{BASE}/requests"), Some("large"), &large).await;
    assert_eq!(answer.status, 202);
    assert_eq!(site.journal.get(&id(&answer.body)).await.unwrap().unwrap().asked.input, large["input"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_steer_a_terminal_are_not_taken() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    for place in ["project", "action"] {
        let mut wanted = wanted();
        wanted[place] = json!("\u{1b}[2Jlander");
        let refused = site.signed(&ann, &format!("{BASE}/requests"), Some(place), &wanted).await;
        assert_eq!((refused.status, &refused.body["place"]), (400, &json!(place)), "{}", refused.body);
    }
    assert_eq!(site.requests().await, 0);
}

/// The how-to's script, as it stands there.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_asks_as_the_how_to_says() {
    let site = Site::with(Settings { longest_wait: Duration::ZERO, ..Settings::default() }).await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let page = std::fs::read_to_string(workspace().join("docs/how-to/ask-over-http.md")).unwrap();
    let (_, script) = page.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let mut command = python();
    command
        .args(["-c", &script.replace("https://jobs.example.com", &site.url)])
        .env("TASKCLUSTER_CLIENT_ID", &ann.id)
        .env("TASKCLUSTER_ACCESS_TOKEN", &ann.token);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (id, state) = said.trim().split_once(' ').unwrap_or_else(|| panic!("{said}{output:?}", output = output.stderr));
    assert_eq!(state, "received");
    let asked = site.journal.get(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((asked.asker.name.as_str(), asked.asked.action.as_str()), ("project/lander/ann", "add-new-jobs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_can_wait_for_the_result() {
    let site = Site::start().await;
    let path = format!("{BASE}/requests");
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let unfinished = site.signed(&ann, &format!("{path}?wait=0"), Some("a"), &wanted()).await;
    assert_eq!((unfinished.status, &unfinished.body["state"]), (202, &json!("received")));
    // Somebody carries it out meanwhile.
    let id = id(&unfinished.body);
    let journal = site.journal.clone();
    let carried = id.clone();
    let carry = tokio::spawn(async move {
        journal.apply(&carried, Event::Allowed, Change::default()).await.unwrap();
        journal.apply(&carried, Event::Sent, Change::default()).await.unwrap();
        let report = Change { report: Some(json!({"result": "done"})), ..Change::default() };
        journal.apply(&carried, Event::Succeeded, report).await.unwrap();
    });
    let finished = site.get(&format!("{path}/{id}?wait=30")).await;
    assert_eq!((finished.status, &finished.body["state"]), (200, &json!("done")));
    assert_eq!(finished.body["report"], json!({"result": "done"}));
    carry.await.unwrap();
    assert_eq!(site.signed(&ann, &format!("{path}?wait=30"), Some("a"), &wanted()).await.status, 200);
    let headers = HeaderMap::from_iter([("prefer".parse().unwrap(), "respond-async, wait=30".parse().unwrap())]);
    let preferred = site.call(Method::GET, &format!("{path}/{id}"), headers, None).await;
    assert_eq!(preferred.body["state"], "done");
    assert_eq!(site.get(&format!("{path}/{id}?wait=soon")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_without_what_is_large_and_their_logs_are_read() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let path = format!("{BASE}/requests");
    for key in ["a", "b", "c"] {
        site.signed(&ann, &path, Some(key), &wanted()).await;
    }
    let first = site.get(&format!("{path}?limit=2&state=received&asker=project/lander/ann")).await.body;
    assert_eq!(first["requests"].as_array().unwrap().len(), 2);
    assert!(first["requests"][0].get("input").is_none());
    let cursor = first["next"].as_str().unwrap();
    let second = site.get(&format!("{path}?limit=2&cursor={cursor}")).await.body;
    assert_eq!(second["requests"].as_array().unwrap().len(), 1);
    assert!(second.get("next").is_none());
    assert_eq!(site.get(&format!("{path}?project=other")).await.body, json!({"requests": []}));
    assert_eq!(site.get(&format!("{path}?state=green")).await.status, 400);
    let keyed = site.get(&format!("{path}?key=b")).await.body;
    assert_eq!(keyed["requests"].as_array().unwrap().len(), 1);
    let pushed = async |push: &str| site.get(&format!("{path}?push={push}")).await;
    assert_eq!(pushed("lander@aaaaaaaa").await.body["requests"].as_array().unwrap().len(), 3);
    assert_eq!(pushed("lander@ffffff").await.body, json!({"requests": []}));
    let wrong = pushed("lander").await;
    assert_eq!((wrong.status, &wrong.body["place"]), (400, &"push".into()));
    let id = id(&second["requests"][0]);
    let line =
        |text: &str| NewLine { request: id.clone(), at: Millis::from(jiff::Timestamp::now()), text: text.to_owned() };
    site.journal.log(vec![line("one"), line("two")]).await.unwrap();
    let log = site.get(&format!("{path}/{id}/log?limit=1")).await.body;
    assert_eq!(log["lines"][0]["text"], "one");
    let rest = site.get(&format!("{path}/{id}/log?cursor={}", log["next"].as_str().unwrap())).await.body;
    assert_eq!(rest["lines"][0]["text"], "two");
    for missing in [format!("{path}/nothing"), format!("{path}/nothing/log"), format!("{path}/a%20b")] {
        assert_eq!(site.get(&missing).await.status, 404, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_taken_back_by_its_asker_and_by_whoever_may() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let bob = site.somebody("project/lander/bob", &["taskgraft:requests:other"], 3600).await;
    let sheriff = site.somebody("project/lander/sheriff", &["taskgraft:requests:lander"], 3600).await;
    let path = format!("{BASE}/requests");
    let ask = async |key: &str| id(&site.signed(&ann, &path, Some(key), &wanted()).await.body);
    let (first, second) = (ask("a").await, ask("b").await);
    let cancel = |id: &RequestId| format!("{path}/{id}/cancel");
    let refused = site.signed(&bob, &cancel(&first), None, &json!({})).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("urn:taskgraft:problem:forbidden")));
    assert_eq!(site.journal.get(&first).await.unwrap().unwrap().state, State::Received);
    let entry = site.refusals().await.remove(0).entry;
    assert_eq!((entry.who.as_str(), entry.what.starts_with(&format!("cancel {first}"))), ("project/lander/bob", true));
    let own = site.signed(&ann, &cancel(&first), None, &json!({"withDependencies": true})).await;
    assert_eq!(
        (own.status, &own.body["state"], &own.body["withDependencies"]),
        (202, &json!("cancelling"), &json!(true))
    );
    let again = site.signed(&sheriff, &cancel(&first), None, &json!({})).await;
    assert_eq!((again.status, &again.body["withDependencies"]), (202, &json!(true)), "once wanted it stays so");
    assert_eq!(site.signed(&sheriff, &cancel(&second), None, &json!({})).await.status, 202);
    site.journal.apply(&second, Event::Cancelled, Change::default()).await.unwrap();
    let over = site.signed(&ann, &cancel(&second), None, &json!({})).await;
    assert_eq!((over.status, &over.body["type"]), (409, &json!("urn:taskgraft:problem:wrong-state")));
    assert_eq!(site.signed(&ann, &format!("{path}/nothing/cancel"), None, &json!({})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_only_named_by_a_message_can_not_be_impersonated() {
    let site = Site::start().await;
    let asked = Asked {
        project: None,
        push: PushName::Decision(TaskId::from_bytes([1; 16])),
        resultset: None,
        action: "cancel-all".into(),
        subject: None,
        input: Value::Null,
    };
    let asker = Asker { name: "project/lander/ann".into(), authority: Authority::Nobody("a test".into()) };
    let by_pulse = NewRequest { key: "m".into(), door: Door::Pulse, asker, asked };
    let id = site.journal.receive(by_pulse).await.unwrap().request().id.clone();
    let ann = site.somebody("project/lander/ann", &["taskgraft:requests:lander"], 3600).await;
    let cancel = format!("{BASE}/requests/{id}/cancel");
    assert_eq!(site.signed(&ann, &cancel, None, &json!({})).await.status, 403, "its project is not known yet");
    let all = site.somebody("project/lander/all", &["taskgraft:requests:*"], 3600).await;
    assert_eq!(site.signed(&all, &cancel, None, &json!({})).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_understood_is_refused_with_its_place() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let path = format!("{BASE}/requests");
    let with = |name: &str, value: Value| {
        let mut wanted = wanted();
        wanted[name] = value;
        wanted
    };
    for (body, key, place) in [
        (json!({"action": "add-new-jobs"}), Some("k"), "push"),
        (with("push", json!("nonsense")), Some("k"), "push"),
        (with("action", json!("")), Some("k"), "action"),
        (with("taskId", json!("short")), Some("k"), "taskId"),
        (with("labels", json!([])), Some("k"), "labels"),
        (wanted(), None, "Idempotency-Key"),
        (with("key", json!("other")), Some("k"), "Idempotency-Key"),
        (with("key", json!("ä")), None, "Idempotency-Key"),
        (json!([]), Some("k"), "."),
    ] {
        let answer = site.signed(&ann, &path, key, &body).await;
        assert_eq!((answer.status, &answer.body["place"]), (400, &json!(place)), "{body}: {}", answer.body);
    }
    assert_eq!((site.requests().await, site.refusals().await.len()), (0, 9));
    let task = TaskId::from_bytes([1; 16]);
    let of_task = site.signed(&ann, &path, Some("t"), &json!({"action": "retrigger", "taskId": task})).await;
    assert_eq!((&of_task.body["push"], &of_task.body["subject"]), (&json!({"of_task": task}), &json!({"task": task})));
}
