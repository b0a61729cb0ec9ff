//! schemathesis makes up calls from the OpenAPI document, sound ones and others: none may break the service, and every answer
//! has to be one that the document describes.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use taskgraft_service::http::Settings;
use taskgraft_testkit::python::python;
use taskgraft_testkit::recorded::workspace;

use super::site::{BASE, Site};

/// What every answer has to be. What schemathesis thinks should be refused is left to other tests: a header that is none,
/// say, is no key, and a cursor is a text like any other to it.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn no_call_breaks_the_service_or_gets_an_answer_that_is_not_described() {
    let settings = Settings { per_minute: 1_000_000, longest_wait: Duration::ZERO, ..Settings::default() };
    let site = Site::with(settings).await;
    let (decision, _) = site.push("aaaaaaaaaaaaaaaaaaaa", &["build-0"]).await;
    let signer = site.root();
    let body = json!({"push": decision, "action": "add-new-jobs", "key": "k"});
    let request = site.signed(&signer, &format!("{BASE}/requests"), None, &body).await.body;
    // Made-up names are no push's and no request's: the signed calls are about some that there are.
    let known = format!("[parameters]\n\"path.push\" = \"{decision}\"\n\"path.id\" = {}\n", request["id"]);
    std::fs::write(site.dir.path().join("known.toml"), known).unwrap();
    let hooks = workspace().join("tests");
    for (name, signed) in [("unsigned", false), ("signed", true)] {
        let mut command = python();
        command.args(["-m", "schemathesis.cli"]);
        if signed {
            command.args(["--config-file", "known.toml"]);
        }
        command
            .args(["run", &format!("{}{BASE}/openapi.json", site.url)])
            // It never ends: events.rs has it.
            .args(["--exclude-operation-id", "events"])
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "30"])
            .args(["--seed", "1", "--request-timeout", "20", "--no-color", "--continue-on-failure"])
            .args(["--generation-database", "none"])
            .current_dir(site.dir.path())
            .stdin(Stdio::null());
        if signed {
            command
                .env("PYTHONPATH", &hooks)
                .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
                .env("TASKCLUSTER_CLIENT_ID", &signer.id)
                .env("TASKCLUSTER_ACCESS_TOKEN", &signer.token);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}:\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(site.requests().await > 1, "some of the signed ones were taken");
}
