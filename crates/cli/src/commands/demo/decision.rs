//! A decision task, from its creation to its end: the demo plays its worker and its program.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use taskgraft_client::{Client, Credentials, Upload};
use taskgraft_core::api::queue::{ClaimWorkRequest, Claimed, CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::frontier::{Frontier, Limits};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Purpose, Request, Verdict};
use taskgraft_core::time::Millis;
use taskgraft_engine::{Artifacts, Cache, Lookups, Push};

use super::lander::{ARTIFACTS, DECISION_QUEUE, Lander, PushFacts, later};
use crate::asking;
use crate::creating;
use crate::exit::Failure;

/// What became of a push's decision task.
#[derive(Debug)]
pub(super) struct Decided {
    /// The decision task, and its group.
    pub(super) id: TaskId,
    /// How many labels its graph has.
    pub(super) labels: usize,
    /// The tasks that it created.
    pub(super) created: Vec<(String, TaskId)>,
    /// Its label-to-taskid.json: those, and the ones that it reuses.
    pub(super) ids: BTreeMap<String, TaskId>,
}

/// Makes a push: its decision task is created, runs, schedules what it targets, and completes.
pub(super) async fn decide(lander: &Lander, push: &str, client: &Client, scratch: &Path) -> Result<Decided, Failure> {
    let facts: PushFacts = lander.read(push, "push.json")?;
    let now = client.clock().now();
    let definition = lander.decision_task(push, now)?;
    let id = facts.decision_task_id;
    client.queue().create_task(id, serde_json::to_vec(&definition)?.into()).await?;
    let claimed = claim(client).await?;
    let run = Run { client: task_client(client, &claimed), id, run: claimed.run_id, expires: Millis(later(now, 20)) };
    let archive = scratch.join(format!("push-{push}.tar.gz"));
    lander.pack(push, &archive).await?;
    run.upload("public/lander-source.tar.gz", "application/gzip", Upload::File(&archive)).await?;
    for name in ARTIFACTS {
        let kind = if name.ends_with(".json") { "application/json" } else { "text/plain" };
        let path = lander.push_dir(push).join(name);
        run.upload(&format!("public/{name}"), kind, Upload::File(&path)).await?;
    }
    let pushed = as_push(lander, push, claimed).await?;
    let frontier = schedule(&run, lander, push, &pushed, scratch).await?;
    let report = frontier.report();
    creating::judge(&report)?;
    let files = frontier.artifacts().map_err(|why| Failure::other(why.to_string()))?;
    for name in ["task-graph.json", "label-to-taskid.json"] {
        let text = files.get(name).cloned().unwrap_or_default();
        run.upload(&format!("public/{name}"), "application/json", Upload::Bytes(Bytes::from(text))).await?;
    }
    run.client.queue().report_completed(id, run.run).await?;
    Ok(Decided {
        id,
        labels: pushed.graph.len(),
        created: report.tasks.iter().map(|task| (task.label.clone(), task.task_id)).collect(),
        ids: files.get("label-to-taskid.json").map_or(Ok(BTreeMap::new()), |text| serde_json::from_str(text))?,
    })
}

/// The decision task's own run.
struct Run {
    /// With the task's credentials.
    client: Client,
    id: TaskId,
    run: u16,
    expires: Millis,
}

impl Run {
    async fn upload(&self, name: &str, kind: &str, content: Upload<'_>) -> Result<(), Failure> {
        let content_type = kind.to_owned();
        let request = CreateArtifactRequest::S3 { expires: self.expires, content_type, content_length: None };
        let answer = self.client.queue().create_artifact(self.id, self.run, name, &request).await?;
        let CreateArtifactResponse::S3 { put_url, content_type, .. } = answer else {
            return Err(Failure::other(format!("the queue doesn't take {name}")));
        };
        Ok(self.client.upload(&put_url, &content_type, content).await?)
    }
}

async fn claim(client: &Client) -> Result<Claimed, Failure> {
    let worker = ClaimWorkRequest { worker_group: "demo".to_owned(), worker_id: "decision".to_owned(), tasks: 1 };
    let claimed = client.queue().claim_work(DECISION_QUEUE, &worker).await?.into_iter().next();
    claimed.ok_or_else(|| Failure::other("the queue doesn't hand out the decision task"))
}

/// From here on everything is done with the rights of the task alone.
fn task_client(client: &Client, claimed: &Claimed) -> Client {
    let given = &claimed.credentials;
    let credentials = Credentials::new(&given.client_id, &given.access_token);
    client.as_credentials(Some(Credentials { certificate: Some(given.certificate.clone()), ..credentials }))
}

/// The push as its decision task knows it: nothing is scheduled yet.
async fn as_push(lander: &Lander, push: &str, claimed: Claimed) -> Result<Push, Failure> {
    let recorded = Artifacts::Directory(lander.push_dir(push));
    let id = claimed.status.task_id;
    let read = Push::offline(&recorded, Some(id)).await?;
    let task = Some((claimed.task, claimed.status));
    Ok(Push { labels: std::sync::Arc::default(), task, trust_domain: Some("lander".to_owned()), ..read })
}

/// Optimises the targets as decision tasks do, and creates those that stay, with what they need.
async fn schedule(run: &Run, lander: &Lander, name: &str, push: &Push, scratch: &Path) -> Result<Frontier, Failure> {
    let cache = Cache::open(&scratch.join("cache"))?;
    let lookups = Lookups::Online(run.client.clone(), Artifacts::Queue(run.client.clone(), cache));
    let targets: Vec<String> = lander.read(name, "target-tasks.json")?;
    let mut request = Request::add(run.id.into(), push.decision, push.group, &targets);
    request.purpose = Purpose::Optimize { do_not_optimize: Vec::new() };
    let optimized = asking::plan(&lookups, push, &request, Policy::Graft).await?.plan;
    let stays = |label: &String| matches!(optimized.verdict(label), Some(Verdict::New { .. }));
    let targets: Vec<String> = targets.into_iter().filter(stays).collect();
    let request = Request::add(run.id.into(), push.decision, push.group, &targets);
    let plan = asking::plan(&lookups, push, &request, Policy::Graft).await?.plan;
    let frontier = Frontier::new(plan, Limits::default()).map_err(|why| Failure::other(why.to_string()))?;
    Ok(taskgraft_engine::create(&run.client, frontier, None, std::future::pending(), |_| {}).await?)
}
