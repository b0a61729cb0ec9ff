//! What earlier actions on a push made: where it is looked for, and what happens when it isn't there.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::json;
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Verdict};
use taskgraft_core::time::Millis;
use taskgraft_engine::{Artifacts, Lookups, Notice, plan};

use crate::graph::{Job, full_graph, layered};
use crate::site::{Machine, SCHEDULER, Site, counts, parameters, request};

/// Where the push of [`parameters`] is indexed.
fn path(what: &str) -> String {
    format!("lander.v2.lander.revision.{}.{what}", "a".repeat(40))
}

/// An action task that somebody else's tool ran; `made` is its label-to-taskid.json, if it left one.
async fn earlier_action(site: &Site, group: TaskId, made: Option<&BTreeMap<String, TaskId>>, place: &str) -> TaskId {
    let id = site.task(group, SCHEDULER, "Action: Add new jobs", &[]).await;
    site.claim(id).await;
    if let Some(made) = made {
        site.artifact(id, "public/label-to-taskid.json", &json!(made).to_string()).await;
    }
    site.client().queue().report_completed(id, 0).await.unwrap();
    index(site, &path(&format!("{place}.{id}")), id).await;
    id
}

async fn index(site: &Site, path: &str, task_id: TaskId) {
    let expires = Millis::from(site.now() + SignedDuration::from_hours(24));
    let entry = InsertTaskRequest { task_id, rank: 0, data: json!({}), expires };
    site.client().index().insert_task(path, &entry).await.unwrap();
}

/// A task that is done under an id that nobody could derive.
async fn done(site: &Site, group: TaskId, label: &str) -> TaskId {
    let id = site.task(group, SCHEDULER, label, &[]).await;
    site.complete(id).await;
    id
}

async fn verdict(machine: &Machine, site: &Site, decision: TaskId, policy: Policy) -> (Option<Verdict>, Vec<Notice>) {
    let push = machine.load(decision).await;
    let artifacts = Artifacts::Queue(site.client(), machine.means.cache.clone());
    let lookups = Lookups::Online(site.client(), artifacts);
    let planned = plan(&lookups, &push, &request(&push, &["test-0-0"], "R1"), policy).await.unwrap();
    (planned.plan.verdict("build-0").cloned(), planned.notices)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_found_where_git_projects_publish_theirs() {
    let site = Site::start().await;
    let jobs = layered(1, 1);
    let (decision, _) = site.push(&jobs, &[]).await;
    let build = done(&site, decision, "build-0").await;
    let made = BTreeMap::from([("build-0".to_owned(), build)]);
    earlier_action(&site, decision, Some(&made), "taskgraph.actions").await;

    let machine = site.machine("ann");
    let (graft, notices) = verdict(&machine, &site, decision, Policy::Graft).await;
    assert!(matches!(&graft, Some(Verdict::Reuse(reuse)) if reuse.task_id == build), "{graft:?}");
    assert_eq!(notices, []);
    let (reference, _) = verdict(&machine, &site, decision, Policy::Reference).await;
    assert!(matches!(reference, Some(Verdict::New { .. })), "{reference:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_left_no_artifact_is_noticed_and_stops_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let build = done(&site, decision, "build-0").await;
    let made = BTreeMap::from([("build-0".to_owned(), build)]);
    earlier_action(&site, decision, Some(&made), "actions").await;
    let silent = earlier_action(&site, decision, None, "actions").await;

    let machine = site.machine("ann");
    let (graft, notices) = verdict(&machine, &site, decision, Policy::Graft).await;
    assert!(matches!(&graft, Some(Verdict::Reuse(reuse)) if reuse.task_id == build), "{graft:?}");
    assert!(matches!(&notices[..], [Notice::NoLabels { task, .. }] if *task == silent), "{notices:?}");

    let push = machine.load(decision).await;
    let artifacts = Artifacts::Queue(site.client(), machine.means.cache.clone());
    let lookups = Lookups::Online(site.client(), artifacts);
    let asked = request(&push, &["test-0-0"], "R1");
    assert!(plan(&lookups, &push, &asked, Policy::Reference).await.is_err(), "the reference stops here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_that_was_meant_is_worked_on_whatever_the_index_names() {
    let site = Site::start().await;
    let (meant, _) = site.push(&layered(1, 1), &[]).await;
    // The same revision once more, with another graph, and the index names that one.
    let other = site.decision(SCHEDULER).await;
    let jobs: Vec<Job> = layered(2, 1);
    site.finish_decision(other, &full_graph(&jobs), &BTreeMap::new(), &parameters("3")).await;
    index(&site, &path("taskgraph.decision"), other).await;

    let machine = site.machine("ann");
    machine.add(meant, &["test-0-0"], "R1").await.unwrap();
    assert_eq!(counts(&site.group(meant).await).get("test-0-0"), Some(&1));
    assert!(site.group(other).await.is_empty());
    assert!(machine.add(meant, &["test-1-0"], "R2").await.is_err(), "only the other one has it");
}
