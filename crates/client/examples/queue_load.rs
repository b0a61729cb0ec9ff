//! The load of `bench/bench_queue.py`: creates tasks with many calls in flight, or lists a whole group.
//!
//! ```text
//! queue_load create GROUP COUNT IN_FLIGHT
//! queue_load list GROUP
//! ```
//!
//! Takes TASKCLUSTER_ROOT_URL, TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN; prints `{"tasks": N, "seconds": S}`,
//! timed from the first call to the last answer.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_client::{Client, Config, Credentials};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::format_ms;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let credentials =
        Credentials::new(std::env::var("TASKCLUSTER_CLIENT_ID")?, std::env::var("TASKCLUSTER_ACCESS_TOKEN")?);
    let config = Config::new(std::env::var("TASKCLUSTER_ROOT_URL")?).with_credentials(credentials);
    let client = Client::new(config)?;
    let start = Instant::now();
    let tasks = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["create", group, count, in_flight] => {
            create(&client, group.parse()?, count.parse()?, in_flight.parse()?).await?
        }
        ["list", group] => list(&client, group.parse()?).await?,
        _ => return Err("usage: queue_load create GROUP COUNT IN_FLIGHT | list GROUP".into()),
    };
    println!("{}", json!({"tasks": tasks, "seconds": start.elapsed().as_secs_f64()}));
    Ok(())
}

async fn create(client: &Client, group: TaskId, count: usize, in_flight: usize) -> Result<usize, Box<dyn Error>> {
    let now = Timestamp::now();
    let definition = Bytes::from(serde_json::to_vec(&definition(group, now)?)?);
    stream::iter(0..count)
        .map(|_| client.queue().create_task(TaskId::from_bytes(rand::random()), definition.clone()))
        .buffer_unordered(in_flight)
        .try_fold(0, async |done, _| Ok(done + 1))
        .await
        .map_err(Into::into)
}

async fn list(client: &Client, group: TaskId) -> Result<usize, Box<dyn Error>> {
    let pages = client.queue().list_task_group(group, 1000);
    pages.try_fold(0, async |tasks, page| Ok(tasks + page.tasks.len())).await.map_err(Into::into)
}

/// About what a decision task sends for one test: 2 kB.
fn definition(group: TaskId, now: Timestamp) -> Result<Value, jiff::Error> {
    let after = |hours: u64| now.checked_add(Duration::from_secs(hours * 3600)).map(format_ms);
    Ok(json!({
        "taskQueueId": "bench/linux",
        "schedulerId": "bench-level-1",
        "taskGroupId": group,
        "priority": "low",
        "created": format_ms(now),
        "deadline": after(24)?,
        "expires": after(24 * 28)?,
        "metadata": {"name": "test-linux64-unit-3", "description": "Unit tests, chunk 3", "owner": "ann@example.com",
            "source": "https://example.com/lander/file/taskcluster/kinds/test"},
        "payload": {"command": [["/bin/sh", "-c", "true"]], "maxRunTime": 3600,
            "env": (0..30).map(|n| (format!("LANDER_SETTING_{n}"), json!("a value of usual length"))).collect::<serde_json::Map<_, _>>()},
        "tags": {"kind": "test", "label": "test-linux64-unit-3"},
        "extra": {"treeherder": {"symbol": "3", "groupSymbol": "U", "machine": {"platform": "linux64"}, "tier": 1}},
    }))
}
