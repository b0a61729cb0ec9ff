//! Artifacts that are another push's.

use std::collections::BTreeMap;

use taskgraft_engine::{Artifacts, Push, PushError};

use crate::graph::{full_graph, layered};
use crate::site::{SCHEDULER, Site, parameters};

async fn load(site: &Site, parameters: &str) -> Result<Push, PushError> {
    let decision = site.decision(SCHEDULER).await;
    site.finish_decision(decision, &full_graph(&layered(1, 1)), &BTreeMap::new(), parameters).await;
    let machine = site.machine("ann");
    let artifacts = Artifacts::Queue(site.client(), machine.means.cache.clone());
    Push::load(&site.client(), &artifacts, decision).await
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_another_push_are_refused() {
    let site = Site::start().await;
    assert!(load(&site, &parameters("3")).await.is_ok());
    for (foreign, named) in
        [(parameters("1"), "level 1"), (parameters("3").replace("example/lander", "example/other"), "example/other")]
    {
        let error = load(&site, &foreign).await.err().expect("they don't belong together");
        assert!(matches!(error, PushError::Authority(_)), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_artifacts_are_refused_with_their_name() {
    let site = Site::start().await;
    let decision = site.decision(SCHEDULER).await;
    site.finish_decision(decision, "{\"a\": {", &BTreeMap::new(), &parameters("3")).await;
    let machine = site.machine("ann");
    let artifacts = Artifacts::Queue(site.client(), machine.means.cache.clone());
    let error = Push::load(&site.client(), &artifacts, decision).await.err().expect("it is cut off");
    assert!(error.to_string().contains("full-task-graph.json"), "{error}");
}
