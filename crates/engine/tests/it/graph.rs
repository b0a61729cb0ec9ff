//! Small graphs in the shape of full-task-graph.json.

use serde_json::{Map, Value, json};

/// Which dependencies a task has, by label; a dependency is named like what it depends on.
pub(crate) struct Job {
    pub(crate) label: String,
    pub(crate) needs: Vec<String>,
}

pub(crate) fn job(label: &str, needs: &[&str]) -> Job {
    Job { label: label.into(), needs: needs.iter().map(ToString::to_string).collect() }
}

/// A layered graph: two toolchains, `builds` builds that need both, and `tests` tests of each build.
pub(crate) fn layered(builds: usize, tests: usize) -> Vec<Job> {
    let mut jobs = vec![job("toolchain-a", &[]), job("toolchain-b", &["toolchain-a"])];
    for build in 0..builds {
        jobs.push(job(&format!("build-{build}"), &["toolchain-a", "toolchain-b"]));
        for test in 0..tests {
            jobs.push(job(&format!("test-{build}-{test}"), &[&format!("build-{build}")]));
        }
    }
    jobs
}

/// full-task-graph.json.
pub(crate) fn full_graph(jobs: &[Job]) -> String {
    let entries: Map<String, Value> = jobs.iter().map(|job| (job.label.clone(), entry(job))).collect();
    serde_json::to_string_pretty(&Value::from(entries)).unwrap()
}

fn entry(job: &Job) -> Value {
    let dependencies: Map<String, Value> = job.needs.iter().map(|label| (label.clone(), json!(label))).collect();
    json!({
        "label": job.label, "kind": "job", "description": "a job", "attributes": {"kind": "job"},
        "dependencies": dependencies, "soft_dependencies": [], "if_dependencies": [], "optimization": null,
        "task": definition(&job.label),
    })
}

fn definition(label: &str) -> Value {
    json!({
        "provisionerId": "proj-lander", "workerType": "linux", "priority": "low",
        "created": {"relative-datestamp": "0 seconds"},
        "deadline": {"relative-datestamp": "1 day"},
        "expires": {"relative-datestamp": "1 year"},
        "scopes": [], "routes": [], "tags": {"kind": "job"}, "extra": {},
        "payload": {"command": [["true"]], "maxRunTime": 60},
        "metadata": {
            "name": label, "description": "a job", "owner": "ann@lander.example",
            "source": "https://github.com/example/lander",
        },
    })
}
