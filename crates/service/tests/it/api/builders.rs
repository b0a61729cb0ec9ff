//! Previews that name builders of a real Buildbot.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use taskgraft_client::Config;
use taskgraft_service::buildbot::Masters;
use taskgraft_service::config::{self, Secrets};
use taskgraft_service::http::Settings;
use taskgraft_testkit::buildbot::{Buildbot, PASSWORD, SCHEDULER, USER};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::site::{BASE, Site};

const REVISION: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";

async fn site(url: &str) -> Site {
    let text = format!(
        "[project.lander]\nlevel = \"3\"\n[[project.lander.buildbot]]\nname = \"old\"\nurl = \"{url}\"\n\
         scheduler = \"{SCHEDULER}\"\nbuilders = [\"old-*\"]\nuser = \"{USER}\"\n"
    );
    let config = config::Config::read(&text).unwrap();
    let secrets = Secrets { pulse: None, buildbot: BTreeMap::from([("old".to_owned(), PASSWORD.to_owned())]) };
    let masters = Masters::new(&config.project, &secrets, &Config::new("http://unused.example.com")).unwrap();
    Site::beside(masters, Settings { fresh: Duration::ZERO, per_minute: 1_000_000, ..Settings::default() }).await
}

fn build(builder: &str, known: bool) -> Value {
    json!({"master": "old", "builder": builder, "copies": 2, "known": known})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_the_builds_that_would_be_forced() {
    let buildbot = Buildbot::start(&[("old-linux", &["true"]), ("old-mac", &["true"]), ("other", &["true"])], &[]);
    let site = site(&buildbot.url()).await;
    let (decision, _) = site.push(REVISION, &["build-0"]).await;
    let plan = |labels: Value| {
        let wishes = json!({"push": decision, "labels": labels, "times": 2, "requestId": "R1"});
        let site = &site;
        async move { site.post(&format!("{BASE}/plan"), &wishes).await }
    };
    let both = plan(json!(["old-linux", "test-0-*", "old-mac", "old-linux"])).await;
    let builds = json!({"builds": [build("old-linux", true), build("old-mac", true)], "away": []});
    assert_eq!((both.status, &both.body["buildbot"]), (200, &builds), "{}", both.body);
    assert_eq!(both.body["request"]["labels"], json!(["test-0-0", "test-0-1", "test-0-2"]));
    // What the plan says is what it says without them.
    let alone = plan(json!(["test-0-*"])).await.body;
    assert!(alone.get("buildbot").is_none(), "{alone}");
    assert_eq!(both.body["verdicts"], alone["verdicts"]);
    let builders = plan(json!(["old-linux"])).await;
    let only = json!({"buildbot": {"builds": [build("old-linux", true)], "away": []}});
    assert_eq!((builders.status, builders.body), (200, only));
    // Neither a label, nor a builder that the configuration allows.
    assert_eq!(plan(json!(["old-linux", "other"])).await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_that_a_master_is_away() {
    let proxy = Proxy::start();
    proxy.rule(|_, _| Fault::Silence);
    let site = site(&proxy.url()).await;
    let (decision, _) = site.push(REVISION, &["build-0"]).await;
    let wishes = json!({"push": decision, "labels": ["old-linux", "test-0-0"], "times": 2});
    let answer = site.post(&format!("{BASE}/plan"), &wishes).await;
    let builds = json!({"builds": [build("old-linux", false)], "away": ["old"]});
    assert_eq!((answer.status, &answer.body["buildbot"]), (200, &builds), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_bounds_builds_as_a_request_does() {
    let proxy = Proxy::start();
    proxy.rule(|_, _| Fault::Status(503));
    let site = site(&proxy.url()).await;
    let (decision, _) = site.push(REVISION, &["build-0"]).await;
    for (builders, status) in [(10, 200), (11, 422)] {
        let labels: Vec<String> = (0..builders).map(|n| format!("old-{n}")).collect();
        let wishes = json!({"push": decision, "labels": labels, "times": 100});
        let answer = site.post(&format!("{BASE}/plan"), &wishes).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert_eq!(detail.contains("force 1100 builds: 1000 are the most"), status == 422, "{detail}");
    }
}
