//! The official Taskcluster client for Python drives the server.

use taskgraft_testkit::recorded::workspace;

use crate::support::Deployment;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_is_served() {
    let deployment = Deployment::start().await;
    let root = deployment.server.credentials();
    let mut command = taskgraft_testkit::python::python();
    command.arg(workspace().join("tests/python/test_official_client.py"));
    command.env_remove("TASKCLUSTER_PROXY_URL").env_remove("TASKCLUSTER_CERTIFICATE");
    command.env("TASKCLUSTER_ROOT_URL", deployment.server.root_url());
    command.env("TASKCLUSTER_CLIENT_ID", &root.client_id).env("TASKCLUSTER_ACCESS_TOKEN", &root.access_token);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    // A test that ran nothing proves nothing.
    assert!(said.contains("\nOK") && !said.contains("Ran 0 tests"), "{said}");
}
