//! The same requests as a real deployment was asked, and the answers compared with its recorded ones.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use taskgraft_local::{Config, Server};
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::{shared, workspace};

/// The steps that docs/compatibility.md says differ.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(workspace().join("docs/compatibility.md")).unwrap();
    let (_, section) = text.split_once("## A real Taskcluster's answers").unwrap();
    let (_, table) = section.split_once("|---|---|---|---|\n").unwrap();
    table.lines().map_while(|row| row.strip_prefix("| ")?.split_once(" |")).map(|(step, _)| step.to_owned()).collect()
}

/// The steps that a comparison found to differ in more than wording.
fn differing(report: &str) -> BTreeSet<String> {
    let must = report.lines().filter_map(|line| line.strip_prefix("MUST   ")?.split_once(": ")).map(|(step, _)| step);
    let should =
        report.lines().filter_map(|line| line.strip_prefix("SHOULD ")?.split_once("   ")).map(|(step, _)| step);
    must.chain(should).map(|step| step.trim().to_owned()).collect()
}

#[tokio::test]
async fn answers_differ_from_a_real_deployments_only_where_documented() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path());
    // Long enough to count as a long poll there, and not as long as a real one.
    config.queue.long_poll = Duration::from_secs(6);
    let running = Server::start(config).await.unwrap();
    let mut compare = python();
    compare
        .arg(shared.join("tools/wire.py"))
        .arg("compare")
        .arg(shared.join("data/wire-core.json"))
        .args(["--skip", "secrets", "--no-may"])
        .env("TASKCLUSTER_ROOT_URL", running.root_url())
        .env("TASKCLUSTER_CLIENT_ID", &running.credentials().client_id)
        .env("TASKCLUSTER_ACCESS_TOKEN", &running.credentials().access_token);
    let output = tokio::process::Command::from(compare).output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("\nall "), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(differing(&report), documented(), "{report}");
    running.stop().await;
}
