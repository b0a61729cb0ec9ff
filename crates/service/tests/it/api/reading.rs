//! Pushes, jobs and plans.

use std::ops::Range;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Request};
use taskgraft_core::time::Millis;
use taskgraft_engine::{Artifacts, Cache, Lookups, Push};
use taskgraft_service::http::Settings;
use taskgraft_testkit::LATE;

use super::site::{BASE, DOCUMENT, Site, claim, header};

const REVISIONS: [&str; 3] = ["aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb", "abababababababababab"];

/// All pages of a list.
async fn pages(site: &Site, path: &str, name: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..100 {
        let page = site.get(&format!("{path}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        all.extend(page.body[name].as_array().unwrap().iter().cloned());
        let Some(next) = page.body["next"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
    panic!("{path} has no last page")
}

fn texts<'v>(rows: &'v [Value], name: &str) -> Vec<&'v str> {
    rows.iter().map(|row| row[name].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projects_pushes_are_listed_the_newest_first() {
    let site = Site::start().await;
    for revision in REVISIONS {
        site.push(revision, &[]).await;
    }
    let pushes = pages(&site, &format!("{BASE}/pushes?project=lander&limit=2"), "pushes").await;
    let newest_first: Vec<&str> = REVISIONS.into_iter().rev().collect();
    assert_eq!(texts(&pushes, "revision"), newest_first);
    let nothing = site.get(&format!("{BASE}/pushes?project=other")).await;
    assert_eq!(nothing.body, json!({"pushes": []}));
    for query in ["", "?project=a.b", "?project=lander&limit=0", "?project=lander&cursor=x", "?project=a&project=b"] {
        let answer = site.get(&format!("{BASE}/pushes{query}")).await;
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (400, &json!("urn:taskgraft:problem:bad-parameter")),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_more_revisions_than_are_looked_at_the_list_says_so() {
    let site = Site::with(Settings { index_pages: 1, fresh: Duration::ZERO, ..Settings::default() }).await;
    let client = &site.client();
    let expires = Millis::from(Timestamp::now() + SignedDuration::from_hours(24));
    let entry = &InsertTaskRequest { task_id: TaskId::from_bytes([1; 16]), rank: 0, data: json!({}), expires };
    let insert = async |revisions: Range<usize>| {
        let inserted = stream::iter(revisions).for_each_concurrent(50, |n| async move {
            let path = format!("lander.v2.lander.revision.{n:08}.taskgraph.decision");
            client.index().insert_task(&path, entry).await.unwrap();
        });
        inserted.await;
    };
    let listed = async |project: &str| {
        let listed = site.get(&format!("{BASE}/pushes?project={project}&limit=1000")).await.body;
        let rest = match listed["next"].as_str() {
            Some(next) => site.get(&format!("{BASE}/pushes?project={project}&limit=1000&cursor={next}")).await.body,
            None => json!({"pushes": []}),
        };
        let count = |page: &Value| page["pushes"].as_array().unwrap().len();
        (count(&listed) + count(&rest), listed["incomplete"] == true)
    };
    // A page of the index has 1000 of them.
    insert(0..2000).await;
    assert_eq!(listed("lander").await, (2000, false));
    insert(2000..2001).await;
    assert_eq!(listed("lander").await, (2000, true));
    assert_eq!(listed("other").await, (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_found_by_its_task_and_by_its_revision_and_says_what_it_offers() {
    let site = Site::start().await;
    let (decision, _) = site.push(REVISIONS[0], &["build-0"]).await;
    let (other, _) = site.push(REVISIONS[2], &[]).await;
    let by_id = site.get(&format!("{BASE}/pushes/{decision}")).await.body;
    assert_eq!((&by_id["labels"], &by_id["scheduled"]), (&json!(20), &json!(1)));
    assert_eq!(by_id["actions"][0]["name"], "add-new-jobs");
    assert_eq!(site.get(&format!("{BASE}/pushes/lander@{}", &REVISIONS[0][..8])).await.body, by_id);
    assert_eq!(site.get(&format!("{BASE}/pushes/lander@ababab")).await.body["decision"], json!(other));
    for (push, status, kind) in [
        ("lander@cccccccc".to_owned(), 404, "unknown-push"),
        ("AAAAAAAAQAGAAAAAAAAAAA".to_owned(), 404, "unknown-push"),
        ("nonsense".to_owned(), 400, "bad-parameter"),
        ("%FF".to_owned(), 400, "bad-parameter"),
    ] {
        let answer = site.get(&format!("{BASE}/pushes/{push}")).await;
        assert_eq!((answer.status, &answer.body["type"]), (status, &json!(format!("urn:taskgraft:problem:{kind}"))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_searched_chosen_counted_and_paged() {
    let site = Site::start().await;
    let (decision, labels) = site.push(REVISIONS[0], &["build-0", "build-1", "test-0-0"]).await;
    let client = site.client();
    claim(&client, labels["build-0"]).await;
    client.queue().report_completed(labels["build-0"], 0).await.unwrap();
    claim(&client, labels["build-1"]).await;
    let jobs = format!("{BASE}/pushes/{decision}/jobs?limit=3");
    let all = pages(&site, &jobs, "jobs").await;
    let names = texts(&all, "label");
    assert_eq!(names.len(), 20);
    assert!(names.is_sorted());
    assert_eq!(all[0]["state"], "completed");
    assert_eq!(all[0]["platform"], "linux64/opt");
    assert_eq!(all[0]["taskId"], json!(labels["build-0"]));
    assert_eq!(
        all[2],
        json!({"label": "build-2", "kind": "build", "platform": "linux64/opt", "group": "G", "symbol": "S",
        "state": "not-scheduled", "taskId": null})
    );
    for (query, wanted) in [
        ("&state=running", vec!["build-1"]),
        ("&search=TEST-0", vec!["test-0-0", "test-0-1", "test-0-2"]),
        ("&search=test-?-2&platform=win64/opt", vec!["test-1-2", "test-3-2"]),
        ("&search=b3&match=fuzzy", vec!["build-3"]),
        ("&kind=test&state=pending", vec!["test-0-0"]),
    ] {
        assert_eq!(texts(&pages(&site, &format!("{jobs}{query}"), "jobs").await, "label"), wanted, "{query}");
    }
    let facets = site.get(&format!("{BASE}/pushes/{decision}/facets?kind=build")).await.body;
    assert_eq!(
        facets,
        json!({
            "total": 5,
            "state": {"completed": 1, "running": 1, "not-scheduled": 3},
            "kind": {"build": 5, "test": 15},
            "platform": {"linux64/opt": 3, "win64/opt": 2},
        })
    );
    let wrong = site.get(&format!("{BASE}/pushes/{decision}/facets?state=green")).await;
    assert_eq!((wrong.status, &wrong.body["place"]), (400, &json!("state")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_the_one_that_the_command_line_makes_and_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(REVISIONS[0], &["build-0"]).await;
    let wishes = json!({"push": decision, "labels": ["test-0-*", "test-1-0"], "times": 2, "requestId": "R1"});
    let mut plan = site.post(&format!("{BASE}/plan"), &wishes).await.body;
    let client = site.client();
    let artifacts = Artifacts::Queue(client.clone(), Cache::open(&site.dir.path().join("mine")).unwrap());
    let push = Push::load(&client, &artifacts, decision).await.unwrap();
    let labels = ["test-0-0", "test-0-1", "test-0-2", "test-1-0"].map(str::to_owned);
    let request = Request::add("R1".parse().unwrap(), push.decision, push.group, &labels).repeated(2);
    let lookups = Lookups::Online(client.clone(), artifacts);
    let mut own: Value = serde_json::from_str(
        &taskgraft_engine::plan(&lookups, &push, &request, Policy::Graft).await.unwrap().plan.to_json(),
    )
    .unwrap();
    own["made"] = plan["made"].take();
    plan["made"] = own["made"].clone();
    assert_eq!(plan, own);
    assert_eq!(plan["tasks"].as_array().unwrap().len(), 9, "build-1 once, and each test twice");
    let tasks = plan["tasks"].as_array().unwrap().iter();
    let made: Vec<_> = tasks.map(|task| task["task_id"].as_str().unwrap().parse().unwrap()).collect();
    let there = client.queue().statuses::<Value>(&made).await.unwrap();
    assert!(there.is_empty(), "nothing was created");
    assert_eq!(site.requests().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_planned_is_said_with_the_way_out() {
    let site = Site::start().await;
    let (decision, _) = site.push(REVISIONS[0], &[]).await;
    let plan = format!("{BASE}/plan");
    for (wishes, status, kind, place) in [
        (json!({"push": decision, "labels": ["test-0-9"]}), 422, "unknown-labels", "labels"),
        (json!({"push": decision, "labels": ["nothing*"]}), 422, "unknown-labels", "labels"),
        (json!({"push": decision, "labels": []}), 400, "malformed-body", "labels"),
        (json!({"push": decision, "labels": vec!["*"; 101]}), 400, "malformed-body", "labels"),
        (json!({"push": decision, "labels": ["build-0"], "times": 101}), 400, "malformed-body", "times"),
        (json!({"push": decision, "labels": ["build-0", 7]}), 400, "malformed-body", "labels[1]"),
        (json!({"push": decision, "labels": ["build-0"], "tims": 1}), 400, "malformed-body", "tims"),
    ] {
        let answer = site.post(&plan, &wishes).await;
        assert_eq!((answer.status, &answer.body["place"]), (status, &json!(place)), "{}", answer.body);
        assert_eq!(answer.body["type"], format!("urn:taskgraft:problem:{kind}"));
    }
    let repeated = site.post(&plan, &json!({"push": decision, "labels": vec!["build-*"; 100]})).await;
    assert_eq!(repeated.status, 200, "what patterns mean together counts once: {}", repeated.body);
    let misspelt = site.post(&plan, &json!({"push": decision, "labels": ["test-0-9"]})).await.body;
    assert!(misspelt["wayOut"][0].as_str().unwrap().contains("test-0-"), "{misspelt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_over_the_service_sees_how_it_is() {
    let site = Site::start().await;
    let document = site.get(&format!("{BASE}/openapi.json")).await.body;
    assert_eq!(document, serde_json::from_str::<Value>(DOCUMENT).unwrap());
    assert_eq!(site.get("/live").await.body, json!({"live": true}));
    assert_eq!(site.get("/ready").await.body, json!({"ready": true}));
    *site.trouble.lock().unwrap() = Some("the broker is away".to_owned());
    let late = tokio::time::timeout(LATE, async {
        while site.get("/ready").await.status == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    late.await.unwrap();
    let not_ready = site.get("/ready").await;
    assert_eq!((not_ready.status, &not_ready.body["place"]), (503, &json!("broker")));
    assert_eq!(not_ready.body["type"], "urn:taskgraft:problem:not-ready");
    let detail = not_ready.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("broker: not there for ") && detail.ends_with("the broker is away"), "{detail}");
    let metrics = site.get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "taskgraft_http_answers_total{endpoint=\"ready\",status=\"503\"} 2",
        "taskgraft_http_answers_total{endpoint=\"openapi\",status=\"200\"} 1",
        "taskgraft_http_ready 0",
    ] {
        assert!(metrics.lines().any(|said| said == line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_and_what_is_called_wrongly_is_said() {
    let site = Site::start().await;
    let nothing = site.get("/api/taskgraft/v2/pushes").await;
    assert_eq!((nothing.status, &nothing.body["type"]), (404, &json!("urn:taskgraft:problem:not-found")));
    let wrong = site.call(Method::DELETE, &format!("{BASE}/requests"), header("x-request-id", "mine-1"), None).await;
    assert_eq!((wrong.status, wrong.headers["x-request-id"].to_str().unwrap()), (405, "mine-1"));
    assert_eq!(wrong.body["instance"], "urn:taskgraft:call:mine-1");
    let allowed = wrong.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    let hostile = site.call(Method::GET, "/live", header("x-request-id", "a b\"c"), None).await;
    assert_ne!(hostile.headers["x-request-id"], "a b\"c");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("x-frame-options", "DENY")]
    {
        assert_eq!(hostile.headers[name], value);
    }
    assert!(!hostile.headers.contains_key("access-control-allow-origin"));
}
