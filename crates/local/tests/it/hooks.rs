//! Hooks over HTTP: what the recorded answers don't show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_local::{Clock, Config, Server};

use crate::published::Published;
use crate::requests::{Answer, Up};

const HOOK: &str = "/api/hooks/v1/hooks/project-lander/in-tree%2F1";

/// A hook whose task carries `payload` in all the ways that templates have.
fn hook(changes: Value) -> Value {
    let mut hook = json!({
        "metadata": {"name": "n", "description": "d", "owner": "ann@example.org"},
        "task": {
            "taskQueueId": "proj-lander/b-linux",
            "schedulerId": "lander-level-1",
            "payload": {
                "env": {"INPUT": {"$json": {"$eval": "payload"}}, "NOW": "${now}", "BY": "${firedBy}"},
                "command": ["run", {"$if": "'text' in payload", "then": "${payload.text}", "else": "none"}],
            },
            "metadata": {"name": "n", "description": "d", "owner": "ann@example.org", "source": "https://example.org"},
        },
        "triggerSchema": {"type": "object", "additionalProperties": true},
    });
    for (key, value) in changes.as_object().unwrap() {
        hook[key] = value.clone();
    }
    hook
}

/// What makes a hook fire by itself, with a task that needs no payload: a schedule's fires have none.
fn scheduled(patterns: &[&str]) -> Value {
    let mut task = hook(json!({}))["task"].clone();
    task["payload"] = json!({"now": "${now}", "by": "${firedBy}", "id": "${taskId}", "more": "${defined('payload')}"});
    json!({"schedule": patterns, "task": task})
}

/// What the tasks of [`hook`] need.
const ROLE_SCOPES: [&str; 3] = [
    "queue:create-task:lowest:proj-lander/b-linux",
    "queue:create-task:project:none",
    "queue:scheduler-id:lander-level-1",
];

/// A server with one hook, its role and a role for its schedule.
async fn up_with(changes: Value) -> Up {
    let up = Up::start().await;
    let role = json!({"description": "", "scopes": ROLE_SCOPES});
    let target = "/api/auth/v1/roles/hook-id%3Aproject-lander%2Fin-tree%2F1";
    assert_eq!(up.call("PUT", target, &up.root(), &role).await.status, 200);
    assert_eq!(up.call("PUT", HOOK, &up.root(), &hook(changes)).await.status, 200);
    up
}

async fn trigger(up: &Up, payload: &Value) -> Answer {
    up.call("POST", &format!("{HOOK}/trigger"), &up.root(), payload).await
}

async fn task(up: &Up, id: &Value) -> Value {
    let answer = up.anonymous("GET", &format!("/api/queue/v1/task/{}", id.as_str().unwrap()), &Value::Null).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The hook's fires, the latest first.
async fn fires(up: &Up) -> Vec<Value> {
    let answer = up.anonymous("GET", &format!("{HOOK}/last-fires"), &Value::Null).await;
    match answer.status {
        200 => answer.json()["lastFires"].as_array().unwrap().clone(),
        _ => Vec::new(),
    }
}

/// Waits until the hook has fired so many times.
async fn fired(up: &Up, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let fires = fires(up).await;
        if fires.len() >= count {
            return fires;
        }
        assert!(Instant::now() < until, "waited in vain for fire {count}: {fires:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn input_changes_nothing_but_its_own_value() {
    let up = up_with(json!({})).await;
    let parentheses = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = "x\"$\n".repeat(250_000);
    for text in
        ["it's \"quoted\"", "two\nlines", "$(rm -rf /)", "{{task_labels}}", "${payload} $${x}", &parentheses, &long]
    {
        let payload = json!({"text": text, "labels": [text], "$eval": "now", "${nosuch}": {"$if": "x"}});
        let answer = trigger(&up, &payload).await;
        assert_eq!(answer.status, 200, "{text:.60}: {:?}", answer.refusal());
        let task = task(&up, &answer.json()["taskId"]).await;
        assert_eq!(task["payload"]["command"], json!(["run", text]));
        let input: Value = serde_json::from_str(task["payload"]["env"]["INPUT"].as_str().unwrap()).unwrap();
        assert_eq!(input, payload, "{text:.60}");
    }
    let labels: Vec<String> = (0..1000).map(|at| format!("{at:04}{}", "l".repeat(1020))).collect();
    let answer = trigger(&up, &json!({"labels": labels})).await.json();
    let task = task(&up, &answer["taskId"]).await;
    let input: Value = serde_json::from_str(task["payload"]["env"]["INPUT"].as_str().unwrap()).unwrap();
    assert_eq!(input["labels"], json!(labels));
    for (body, code) in [(r#"{"text": "\u0000"}"#, "InputError"), (r#"{"text": "\ud800"}"#, "MalformedPayload")] {
        let target = format!("{HOOK}/trigger");
        let header = up.sign(&up.root(), "POST", &target, 0, None);
        let answer = up.send_bytes("POST", &target, &[("Authorization", &header)], body.as_bytes()).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(code)));
    }
}

#[tokio::test]
async fn templates_that_cannot_be_rendered_are_said_so_and_noted() {
    let deep = "(".repeat(10_000);
    for (text, why) in [
        (format!("${{{deep}}}"), "LimitError at template.text: the depth of nesting is more than 128 allowed"),
        ("${range(0, 900000000)}".into(), "LimitError at template.text: the size of a rendered value"),
        ("${nosuch}".into(), "InterpreterError at template.text: unknown context value nosuch"),
        ("${1 +}".into(), "SyntaxError at template.text: Found: } token"),
    ] {
        let up = up_with(json!({"task": {"text": text}})).await;
        let answer = trigger(&up, &json!({})).await;
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400);
        assert!(message.starts_with(&format!("While firing hook:\n\n{why}")), "{message}");
        let fires = fires(&up).await;
        assert!(fires[0]["error"].as_str().unwrap().starts_with(why), "{fires:?}");
        assert_eq!((&fires[0]["result"], &fires[0]["taskState"]), (&json!("error"), &json!("unknown")));
        let status = up.anonymous("GET", &format!("{HOOK}/status"), &Value::Null).await.json();
        assert!(status["lastFire"]["error"]["message"].as_str().unwrap().starts_with(why), "{status}");
    }
}

#[tokio::test]
async fn a_hook_acts_with_the_scopes_of_its_role_and_no_others() {
    let up = up_with(json!({})).await;
    // Whoever triggers needs one scope and lends none.
    let caller = up.temporary(&["hooks:trigger-hook:project-lander/in-tree/*"], Some("lander/ann"));
    let answer = up.call("POST", &format!("{HOOK}/trigger"), &caller, &json!({})).await;
    assert_eq!(answer.status, 200);
    let wide = hook(json!({"task": {"$merge": [hook(json!({}))["task"], {"scopes": ["secrets:get:lander"]}]}}));
    assert_eq!(up.call("POST", HOOK, &up.root(), &wide).await.status, 200);
    let answer = trigger(&up, &json!({})).await;
    assert_eq!(answer.json()["code"], "InsufficientScopes");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("The role `hook-id:project-lander/in-tree/1` does not have"), "{message}");
    assert!(message.contains("secrets:get:lander"), "{message}");
    // Nothing of it is there but the note.
    let fires = fires(&up).await;
    assert_eq!((fires.len(), &fires[0]["taskState"]), (2, &json!("unknown")));
}

#[tokio::test]
async fn a_payload_that_the_schema_refuses_fires_nothing() {
    let schema = json!({
        "type": "object", "properties": {"text": {"type": "string", "default": "x"}, "n": {"type": "integer"}},
        "required": ["n"], "additionalProperties": false,
    });
    let up = up_with(json!({"triggerSchema": schema})).await;
    let token = up.get(&format!("{HOOK}/token"), &up.root()).await.json()["token"].as_str().unwrap().to_owned();
    let with_token = format!("{HOOK}/trigger/{token}");
    for (payload, wrong) in [
        (json!({}), "data must have required property 'n'"),
        (json!({"n": "1"}), "data/n must be integer"),
        (json!({"n": 1, "more": 1}), "data must NOT have additional properties"),
    ] {
        for answer in [trigger(&up, &payload).await, up.anonymous("POST", &with_token, &payload).await] {
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("InputError")), "{payload}");
            assert!(answer.json()["message"].as_str().unwrap().contains(wrong), "{}", answer.json());
        }
    }
    assert!(fires(&up).await.is_empty());
    // What it takes comes as it was given: defaults are not filled in.
    for answer in [trigger(&up, &json!({"n": 1})).await, up.anonymous("POST", &with_token, &json!({"n": 1})).await] {
        assert_eq!(answer.status, 200);
        let made = task(&up, &answer.json()["taskId"]).await;
        assert_eq!(made["payload"]["env"]["INPUT"], "{\"n\":1}");
    }
    assert_eq!(fires(&up).await.len(), 2);
}

#[tokio::test]
async fn a_trigger_token_never_comes_back_in_an_error() {
    let up = up_with(json!({})).await;
    let token = up.get(&format!("{HOOK}/token"), &up.root()).await.json()["token"].as_str().unwrap().to_owned();
    let target = format!("{HOOK}/trigger/{token}");
    assert_eq!(up.anonymous("POST", &target, &json!({})).await.status, 200);
    for body in [json!([]), json!({"taskId": "x"})] {
        let answer = up.anonymous("POST", &target, &body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["requestInfo"]["params"]["token"], "<secret>");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&token));
    }
    let answer = up.send_bytes("POST", &target, &[], b"{").await;
    assert!(answer.status == 400 && !String::from_utf8_lossy(&answer.body).contains(&token));
}

#[tokio::test]
async fn a_schedule_fires_each_moment_once() {
    let up = up_with(scheduled(&["0 * * * *", "0,30 * * * *"])).await;
    let next = async || {
        let status = up.anonymous("GET", &format!("{HOOK}/status"), &Value::Null).await.json();
        status["nextScheduledDate"].as_str().unwrap().to_owned()
    };
    let first = next().await;
    let wait = first.parse::<Timestamp>().unwrap().duration_since(up.clock.now());
    up.advance(wait.as_secs() + 1);
    let fires = fired(&up, 1).await;
    let made = task(&up, &fires[0]["taskId"]).await;
    assert_eq!((&fires[0]["firedBy"], &fires[0]["taskState"]), (&json!("schedule"), &json!("pending")));
    let expected = json!({"now": first, "by": "schedule", "id": fires[0]["taskId"], "more": "false"});
    assert_eq!((&made["payload"], &made["created"]), (&expected, &json!(first)));
    assert!(next().await > first);
    up.advance(7200);
    let fires = fired(&up, 2).await;
    assert_eq!(fires.len(), 2, "moments that were missed come to one fire");
}

#[tokio::test]
async fn a_schedule_goes_on_after_a_restart() {
    let up = up_with(scheduled(&["*/10 * * * *"])).await;
    up.advance(600);
    let first = fired(&up, 1).await;
    let Up { running, clock, dir } = up;
    running.stop().await;
    let mut config = Config::new(dir.path().join("data"));
    config.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let running = Server::start(config).await.unwrap();
    let up = Up { running, clock, dir };
    assert_eq!(fires(&up).await, first, "what fired has fired");
    up.advance(86_400);
    let fires = fired(&up, 2).await;
    // So long after its moment, the task is one of now: a queue takes none that was made a day ago.
    let made = task(&up, &fires[0]["taskId"]).await;
    assert!(made["created"].as_str().unwrap() >= up.date(-60).as_str(), "{made}");
    assert_eq!(fires.len(), 2);
}

#[tokio::test]
async fn a_scheduled_hook_whose_task_is_refused_goes_on_with_the_next_moment() {
    let up = up_with(json!({"schedule": ["*/10 * * * *"], "task": {"payload": {}}})).await;
    up.advance(600);
    let fires = fired(&up, 1).await;
    assert_eq!(fires[0]["result"], "error");
    assert!(fires[0]["error"].as_str().unwrap().contains("InputValidationError"), "{fires:?}");
    up.advance(600);
    assert_eq!(fired(&up, 2).await.len(), 2);
}

#[tokio::test]
async fn fires_are_listed_page_by_page_and_go_with_their_hook() {
    let up = up_with(json!({})).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(trigger(&up, &json!({})).await.json()["taskId"].clone());
    }
    made.reverse();
    let (mut listed, mut more) = (Vec::new(), String::new());
    loop {
        let target = format!("{HOOK}/last-fires?limit=2{more}");
        let page = up.anonymous("GET", &target, &Value::Null).await.json();
        listed.extend(page["lastFires"].as_array().unwrap().iter().map(|fire| fire["taskId"].clone()));
        let Some(token) = page["continuationToken"].as_str() else { break };
        more = format!("&continuationToken={token}");
    }
    assert_eq!(listed, made);
    assert_eq!(up.call("DELETE", HOOK, &up.root(), &Value::Null).await.status, 200);
    assert_eq!(up.call("PUT", HOOK, &up.root(), &hook(json!({}))).await.status, 200);
    assert!(fires(&up).await.is_empty());
}

#[tokio::test]
async fn a_hook_that_makes_no_sense_is_refused() {
    let up = Up::start().await;
    for (changes, message) in [
        (json!({"schedule": ["@fortnightly"]}), "Invalid characters, got value: @fortnightly in @fortnightly"),
        (json!({"schedule": vec!["@daily".to_owned(); 1]}), ""),
        (json!({"schedule": (0..101).map(|at| format!("{at} * * * *")).collect::<Vec<_>>()}), "a hook has at most 100"),
        (json!({"triggerSchema": {"$ref": "http://127.0.0.1:1/"}}), "triggerSchema is not a valid JSON schema:"),
        (json!({"task": {"x": "y".repeat(5 << 20)}}), "task: LimitError: the size of the template"),
        (json!({"bindings": [{"exchange": "", "routingKeyPattern": "#"}]}), "Schema Validation Failed!"),
        (json!({"bindings": [{"exchange": "e", "routingKeyPattern": "#"}]}), ""),
    ] {
        let answer = up.call("PUT", HOOK, &up.root(), &hook(changes)).await;
        if message.is_empty() {
            assert_eq!(answer.status, 200, "{:?}", answer.refusal());
            up.call("DELETE", HOOK, &up.root(), &Value::Null).await;
        } else {
            let (status, said) = answer.refusal();
            assert!(status == 400 && said.starts_with(message), "{said}");
        }
    }
}

#[tokio::test]
async fn answers_match_the_published_schemas() {
    let Some(published) = Published::read() else { return };
    let up = up_with(json!({"schedule": ["@daily"]})).await;
    let (root, hooks) = (up.root(), "/api/hooks/v1/hooks");
    let check = async |name: &str, method: &str, target: &str, body: Value| {
        let answer = up.call(method, target, &root, &body).await;
        published.check("hooks", name, &answer);
        answer.json()
    };
    let other = format!("{hooks}/project-lander/other");
    let failing = hook(json!({"task": {"$if": "'x' in payload", "then": {"$eval": "nosuch"}}}));
    check("createHook", "PUT", &other, failing).await;
    check("getHookStatus", "GET", &format!("{HOOK}/status"), Value::Null).await;
    check("triggerHook", "POST", &format!("{HOOK}/trigger"), json!({})).await;
    check("triggerHook", "POST", &format!("{other}/trigger"), json!({})).await;
    let failed = up.call("POST", &format!("{other}/trigger"), &root, &json!({"x": 1})).await;
    assert_eq!(failed.status, 400);
    for hook in [HOOK, &other] {
        check("getHookStatus", "GET", &format!("{hook}/status"), Value::Null).await;
        check("listLastFires", "GET", &format!("{hook}/last-fires?limit=1"), Value::Null).await;
        check("hook", "GET", hook, Value::Null).await;
    }
    check("listHookGroups", "GET", hooks, Value::Null).await;
    check("listHooks", "GET", &format!("{hooks}/project-lander"), Value::Null).await;
    let token = check("getTriggerToken", "GET", &format!("{HOOK}/token"), Value::Null).await;
    let target = format!("{HOOK}/trigger/{}", token["token"].as_str().unwrap());
    check("triggerHookWithToken", "POST", &target, json!({})).await;
    check("resetTriggerToken", "POST", &format!("{HOOK}/token"), Value::Null).await;
    check("updateHook", "POST", &other, hook(json!({}))).await;
}

#[tokio::test]
async fn a_trigger_that_failed_can_be_tried_again_with_its_task_id() {
    let up = up_with(json!({})).await;
    let role = "/api/auth/v1/roles/hook-id%3Aproject-lander%2Fin-tree%2F1";
    let scopes = |scopes: &[&str]| json!({"description": "", "scopes": scopes});
    assert_eq!(up.call("POST", role, &up.root(), &scopes(&[])).await.status, 200);
    let payload = json!({"taskId": "fN1SbArXTPSVFNUvaOlinQ"});
    assert_eq!(trigger(&up, &payload).await.status, 403);
    assert_eq!(trigger(&up, &payload).await.status, 403);
    let failed = fires(&up).await;
    assert_eq!((failed.len(), &failed[0]["result"]), (1, &json!("error")));
    assert_eq!(up.call("POST", role, &up.root(), &scopes(&ROLE_SCOPES)).await.status, 200);
    let answer = trigger(&up, &payload).await;
    assert_eq!(answer.status, 200, "{:?}", answer.refusal());
    let made = fires(&up).await;
    assert_eq!((made.len(), &made[0]["result"]), (1, &json!("success")));
}

#[tokio::test]
async fn hooks_that_always_end_in_a_fault_keep_no_other_from_firing() {
    let up = up_with(scheduled(&["*/10 * * * *"])).await;
    let database = rusqlite::Connection::open(up.dir.path().join("data/taskgraft.db")).unwrap();
    database.busy_timeout(Duration::from_secs(30)).unwrap();
    // A hundred more that sort first, and whose fires can't be written.
    let broken = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
                  INSERT INTO hooks SELECT 'broken', 'broken-' || i, metadata, bindings, schedule, task, \
                  trigger_schema, token, seed, next_fire FROM hooks, n; \
                  CREATE TRIGGER fault BEFORE INSERT ON hook_fires WHEN NEW.group_id = 'broken' \
                  BEGIN SELECT RAISE(ABORT, 'no'); END;";
    database.execute_batch(broken).unwrap();
    up.advance(600);
    assert_eq!(fired(&up, 1).await[0]["result"], "success");
}
