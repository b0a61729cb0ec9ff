//! Clicks on Treeherder's *Add New Jobs*, as they come by pulse.

use serde_json::json;

/// Where Treeherder publishes them.
pub const EXCHANGE: &str = "exchange/treeherder/v1/resultset-runnable-job-actions";

/// The queue that a listener of the user `guest` declares for them.
pub const QUEUE: &str = "queue/guest/taskgraft-resultset-runnable-job-actions";

/// What click number `n` says, from 0: each is about another push of the project `try`.
#[must_use]
pub fn body(n: usize, labels: &[&str]) -> Vec<u8> {
    let said = json!({
        "version": 1, "project": "try", "resultset_id": (n + 1).to_string(), "requester": "ann@lander.example",
        "requested_jobs": labels,
    });
    said.to_string().into_bytes()
}
