//! A request from its push to its tasks, with nothing going wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::Value;
use taskgraft_client::Credentials;
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::plan::{Policy, Verdict};
use taskgraft_core::report::Terminal;
use taskgraft_core::time::Millis;
use taskgraft_engine::recheck::recheck;
use taskgraft_engine::{Artifacts, Lookups, PlannerError, Project, plan, preflight};

use crate::graph::{full_graph, job, layered};
use crate::site::{SCHEDULER, Site, assert_whole, counts, parameters, request};

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_made_as_often_as_asked_and_what_they_need_once() {
    let site = Site::start().await;
    let jobs = layered(2, 2);
    let (decision, scheduled) = site.push(&jobs, &["toolchain-a"]).await;
    site.complete(scheduled["toolchain-a"]).await;
    let machine = site.machine("ann");
    let report = machine.add_times(decision, &["test-0-0", "test-0-1"], "R1", 3).await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    let group = site.group(decision).await;
    assert_eq!(
        counts(&group).into_iter().collect::<Vec<_>>(),
        [("build-0", 1), ("test-0-0", 3), ("test-0-1", 3), ("toolchain-a", 1), ("toolchain-b", 1)]
    );
    assert_whole(&group, decision);
    // The same request again: the same tasks.
    let again = machine.add_times(decision, &["test-0-0", "test-0-1"], "R1", 3).await.unwrap();
    assert_eq!(again.result, Terminal::Done);
    assert_eq!(counts(&site.group(decision).await), counts(&group));
    // And by somebody whose machine knows nothing of it.
    let other = site.machine("bob").add_times(decision, &["test-0-0", "test-0-1"], "R1", 3).await.unwrap();
    assert_eq!(other.result, Terminal::Done);
    assert_eq!(counts(&site.group(decision).await), counts(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    let artifacts = Artifacts::Queue(site.client(), machine.means.cache.clone());
    let lookups = Lookups::Online(site.client(), artifacts);
    let planned = plan(&lookups, &push, &request(&push, &["test-0-0"], "R1"), Policy::Graft).await.unwrap();
    assert_eq!(planned.plan.tasks.len(), 4);
    assert!(matches!(planned.plan.verdict("test-0-0"), Some(Verdict::New { .. })));
    assert!(site.group(decision).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_label_names_the_nearest_and_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 2), &[]).await;
    let machine = site.machine("ann");
    let error = machine.add(decision, &["tset-0-0", "test-0-1"], "R1").await.unwrap_err();
    let taskgraft_engine::action::ActionError::Planner(PlannerError::UnknownLabels(unknown)) = &error else {
        panic!("{error}");
    };
    assert_eq!(unknown["tset-0-0"].first().map(String::as_str), Some("test-0-0"));
    assert!(site.group(decision).await.is_empty());
    // With `partial` the rest is made.
    let push = machine.load(decision).await;
    let mut partial = request(&push, &["tset-0-0", "test-0-1"], "R2");
    partial.partial = true;
    let report = machine.carry_out(&push, partial).await.unwrap();
    assert_eq!(report.result, Terminal::Partial);
    assert_eq!(counts(&site.group(decision).await).get("test-0-1"), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_good_for_one_request() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 2), &[]).await;
    let machine = site.machine("ann");
    machine.add(decision, &["test-0-0"], "R1").await.unwrap();
    let before = counts(&site.group(decision).await).values().sum::<usize>();
    let error = machine.add(decision, &["test-0-1"], "R1").await.unwrap_err();
    assert!(error.to_string().contains("R1"), "{error}");
    assert_eq!(counts(&site.group(decision).await).values().sum::<usize>(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_scopes_are_said_before_anything_is_sent() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let scopes = ["queue:get-artifact:*", "queue:scheduler-id:*", "queue:create-task:project:*"];
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let created = CreateClientRequest {
        description: "ann".into(),
        expires,
        scopes: Some(scopes.map(str::to_owned).to_vec()),
        delete_on_expiration: false,
    };
    let created = site.client().auth().create_client("ann", &created).await.unwrap();
    let mut machine = site.machine("ann");
    machine.means.client = site.client_as(Credentials::new("ann", created.access_token));
    let error = machine.add(decision, &["test-0-0"], "R1").await.unwrap_err();
    let taskgraft_engine::action::ActionError::Forbidden(missing) = &error else { panic!("{error}") };
    assert_eq!(missing.tasks(), 4);
    let named: Vec<_> = missing.scopes.keys().map(String::as_str).collect();
    assert_eq!(named, ["queue:create-task:low:proj-lander/linux"]);
    assert!(site.group(decision).await.is_empty());
    assert!(preflight::missing(&["*".into()], [], "x").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_made_anew_and_what_completed_is_used() {
    let site = Site::start().await;
    let jobs = [job("fetch", &[]), job("build", &["fetch"]), job("test", &["build"])];
    let (decision, scheduled) = site.push(&jobs, &["fetch", "build"]).await;
    site.complete(scheduled["fetch"]).await;
    site.fail(scheduled["build"]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    let mut asked = request(&push, &["test"], "R1");
    asked = asked.repeated(2);
    machine.carry_out(&push, asked).await.unwrap();
    let group = site.group(decision).await;
    assert_eq!(counts(&group).into_iter().collect::<Vec<_>>(), [("build", 2), ("fetch", 1), ("test", 2)]);
    let fresh = group["build"].iter().find(|task| task.status.task_id != scheduled["build"]).unwrap();
    assert!(fresh.task.dependencies.contains(&scheduled["fetch"]));
    for test in &group["test"] {
        assert!(test.task.dependencies.contains(&fresh.status.task_id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_an_index_task_is_finished_where_there_is_no_checkout() {
    let site = Site::start().await;
    let mut graph: Value = serde_json::from_str(&full_graph(&layered(1, 1))).unwrap();
    graph["test-0-0"]["task"]["routes"] = (0..70).map(|n| format!("index.lander.v2.lander.latest.x-{n}")).collect();
    let decision = site.decision(SCHEDULER).await;
    site.finish_decision(decision, &graph.to_string(), &BTreeMap::new(), &parameters("3")).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    let root = tempfile::tempdir().unwrap();
    let config = "trust-domain: lander\nworkers: {aliases: {misc: {provisioner: p, worker-type: misc}}}\n";
    std::fs::write(root.path().join("config.yml"), config).unwrap();
    let configured = push.clone().of_project(&Project::read(root.path()).unwrap()).unwrap();
    let lookups = Lookups::Online(site.client(), Artifacts::Queue(site.client(), machine.means.cache.clone()));
    let planned = plan(&lookups, &configured, &request(&push, &["test-0-0"], "R1"), Policy::Graft).await.unwrap();
    assert!(planned.plan.tasks.iter().any(|task| task.label == "index-task-test-0-0"));
    let (moved, _) = recheck(&lookups, &push, &planned.plan, &BTreeSet::new()).await.unwrap();
    assert!(moved.is_empty(), "{moved:?}");
}
