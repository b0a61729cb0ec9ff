//! Attempts to act that must not succeed: each is refused, in the audit log, and without effect.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;
use taskgraft_service::http::Settings;

use super::site::{ASKS, Answer, BASE, Site};

const BODY: &str = r#"{"push": "lander@aaaaaaaa", "action": "cancel-all", "key": "k"}"#;

fn path() -> String {
    format!("{BASE}/requests")
}

async fn send(site: &Site, authorization: Option<&str>, body: &str) -> Answer {
    let headers = authorization.map(|value| (AUTHORIZATION, value.parse().unwrap()));
    site.call(Method::POST, &path(), headers.into_iter().collect::<HeaderMap>(), Some(body.to_owned())).await
}

/// The newest refusal is this one, and nothing was written down as a request.
async fn assert_refused(site: &Site, answer: Answer, (status, kind): (u16, &str), who: &str) {
    assert_eq!(
        (answer.status, &answer.body["type"]),
        (status, &json!(format!("urn:taskgraft:problem:{kind}"))),
        "{}",
        answer.body
    );
    if status == 401 {
        assert_eq!(answer.headers["www-authenticate"], "Hawk");
    }
    let entry = site.refusals().await.remove(0).entry;
    assert!(entry.why.starts_with(kind), "{}", entry.why);
    assert!(entry.who.contains(who), "{}", entry.who);
    assert!(entry.what.starts_with("ask"), "{}", entry.what);
    assert_eq!(site.requests().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_without_a_signature_or_with_a_wrong_one() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", &["*"], 3600).await;
    let now = SystemTime::now();
    let good = site.sign(&ann, Method::POST, &path(), BODY, now);
    let stranger = super::site::Signer { token: "wrong".into(), ..ann.clone() };
    let unknown = super::site::Signer { id: "project/lander/nobody".into(), ..ann.clone() };
    let who = "claims to be project/lander/ann";
    assert_refused(&site, send(&site, None, BODY).await, (401, "unsigned"), "127.0.0.1").await;
    for (header, who) in [
        ("Bearer abc".to_owned(), "127.0.0.1"),
        ("Hawk".to_owned(), "127.0.0.1"),
        (site.sign(&stranger, Method::POST, &path(), BODY, now), who),
        (site.sign(&unknown, Method::POST, &path(), BODY, now), "claims to be project/lander/nobody"),
        // Signed for something else.
        (site.sign(&ann, Method::GET, &path(), BODY, now), who),
        (site.sign(&ann, Method::POST, &format!("{}/x/cancel", path()), BODY, now), who),
        (site.sign(&ann, Method::POST, &path(), "{}", now), who),
        (site.sign(&ann, Method::POST, &path(), BODY, now - Duration::from_secs(3600)), who),
        (site.sign(&ann, Method::POST, &path(), BODY, now + Duration::from_secs(3600)), who),
        (good.replace(", hash=", ", xhash="), who),
    ] {
        assert_refused(&site, send(&site, Some(&header), BODY).await, (401, "bad-signature"), who).await;
    }
    assert_eq!(send(&site, Some(&good), BODY).await.status, 202, "and rightly signed it is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_have_nothing_done_at_all_is_told_so_at_once() {
    let site = Site::start().await;
    for (id, scopes) in [("none", &[][..]), ("others", &["queue:cancel-task:*", "hooks:list-hooks:*"])] {
        let somebody = site.somebody(&format!("project/lander/{id}"), scopes, 3600).await;
        let header = site.sign(&somebody, Method::POST, &path(), BODY, SystemTime::now());
        let answer = send(&site, Some(&header), BODY).await;
        assert!(answer.body["wayOut"][0].as_str().unwrap().contains("hooks:trigger-hook:"), "{}", answer.body);
        assert_refused(&site, answer, (403, "forbidden"), id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_counts_once() {
    let site = Site::start().await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let header = site.sign(&ann, Method::POST, &path(), BODY, SystemTime::now());
    assert_eq!(send(&site, Some(&header), BODY).await.status, 202);
    // With another key in a header, which no signature covers, it would be another request.
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, header.parse().unwrap()),
        ("idempotency-key".parse().unwrap(), "k".parse().unwrap()),
    ]);
    let replayed = site.call(Method::POST, &path(), headers, Some(BODY.to_owned())).await;
    assert_eq!((replayed.status, &replayed.body["type"]), (401, &json!("urn:taskgraft:problem:bad-signature")));
    assert!(site.refusals().await[0].entry.why.starts_with("bad-signature"));
    assert_eq!(site.requests().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_ended_or_are_shut_out_do_not_count() {
    let site = Site::start().await;
    let late = site.somebody("project/lander/late", &["*"], -10).await;
    let header = site.sign(&late, Method::POST, &path(), BODY, SystemTime::now());
    assert_refused(&site, send(&site, Some(&header), BODY).await, (401, "bad-signature"), "project/lander/late").await;
    let out = site.somebody("project/lander/out", &["*"], 3600).await;
    site.client().auth().disable_client("project/lander/out").await.unwrap();
    let header = site.sign(&out, Method::POST, &path(), BODY, SystemTime::now());
    assert_refused(&site, send(&site, Some(&header), BODY).await, (401, "bad-signature"), "project/lander/out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_signatures_are_for_what_the_client_called() {
    let public_url = Some("https://jobs.example.com/taskgraft".parse().unwrap());
    let site = Site::with(Settings { public_url, ..Settings::default() }).await;
    let ann = site.somebody("project/lander/ann", ASKS, 3600).await;
    let direct = site.sign(&ann, Method::POST, &path(), BODY, SystemTime::now());
    assert_refused(&site, send(&site, Some(&direct), BODY).await, (401, "bad-signature"), "ann").await;
    let url = format!("https://jobs.example.com/taskgraft{}", path()).parse().unwrap();
    let hash = hawk::PayloadHasher::hash("application/json", hawk::SHA256, BODY.as_bytes()).unwrap();
    let key = hawk::Key::new(&ann.token, hawk::SHA256).unwrap();
    let request = hawk::RequestBuilder::from_url("POST", &url).unwrap().hash(&hash[..]).request();
    let header = request.make_header(&hawk::Credentials { id: ann.id.clone(), key }).unwrap();
    assert_eq!(send(&site, Some(&format!("Hawk {header}")), BODY).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_path_can_not_be_read_is_in_the_audit_log() {
    let site = Site::start().await;
    let path = format!("{}/%ff/cancel", path());
    let headers = HeaderMap::from_iter([(AUTHORIZATION, "Hawk id=\"project/lander/ann\"".parse().unwrap())]);
    let answer = site.call(Method::POST, &path, headers, Some("{}".to_owned())).await;
    assert_eq!((answer.status, &answer.body["type"]), (400, &json!("urn:taskgraft:problem:bad-parameter")));
    let entry = site.refusals().await.remove(0).entry;
    assert_eq!(entry.who, "somebody at 127.0.0.1 who claims to be project/lander/ann");
    assert_eq!(entry.what, format!("cancel {path}"));
    assert!(entry.why.starts_with("bad-parameter"), "{}", entry.why);
}
