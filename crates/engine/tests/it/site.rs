//! An embedded Taskcluster with pushes on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use taskgraft_client::{Client, Clock, Config, Credentials, Retry, Upload};
use taskgraft_core::api::queue::{
    ClaimTaskRequest, CreateArtifactRequest, CreateArtifactResponse, TaskDefinitionAndStatus,
};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Request};
use taskgraft_core::report::Report;
use taskgraft_core::time::Millis;
use taskgraft_engine::action::{self, Action, ActionError, Keep, Means};
use taskgraft_engine::{Artifacts, Cache, Plans, Push};
use taskgraft_local::queue::Settings;
use taskgraft_local::{Running, Server};

use crate::graph::{Job, full_graph};
use crate::proxy::Proxy;

pub(crate) const SCHEDULER: &str = "lander-level-3";
const REPOSITORY: &str = "assume:repo:github.com/example/lander:branch:main";

/// A clock that tests move; sleeping only lets others go first.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_secs()).unwrap(), Ordering::SeqCst);
    }

    fn time(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.time()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::task::yield_now())
    }
}

impl taskgraft_local::Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.time()
    }
}

/// A Taskcluster behind a proxy that can be told to break.
pub(crate) struct Site {
    pub(crate) running: Running,
    pub(crate) proxy: Proxy,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) dir: tempfile::TempDir,
}

/// A user's machine: a cache and a state directory.
pub(crate) struct Machine {
    pub(crate) means: Means,
    pub(crate) plans: Plans,
    dir: PathBuf,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(queue: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let proxy = Proxy::start();
        let config = taskgraft_local::Config {
            root_url: Some(proxy.url().parse().unwrap()),
            clock: clock.clone(),
            queue,
            ..taskgraft_local::Config::new(dir.path().join("data"))
        };
        let running = Server::start(config).await.unwrap();
        proxy.forward_to(running.address());
        Self { running, proxy, clock, dir }
    }

    pub(crate) fn client(&self) -> Client {
        let root = self.running.credentials();
        self.client_as(Credentials::new(&root.client_id, &root.access_token))
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        let config = Config {
            retry: Retry { tries: 12, ..Retry::default() },
            timeout: Duration::from_secs(2),
            clock: self.clock.clone(),
            ..Config::new(self.proxy.url())
        };
        Client::new(config.with_credentials(credentials)).unwrap()
    }

    pub(crate) fn machine(&self, name: &str) -> Machine {
        let dir = self.dir.path().join(name);
        let cache = Cache::open(&dir.join("cache")).unwrap();
        let plans = Plans::open(&dir.join("plans")).unwrap();
        Machine { means: Means { client: self.client(), cache }, plans, dir }
    }

    /// A push: a completed decision task with artifacts. The labels in `scheduled` exist as tasks.
    pub(crate) async fn push(&self, jobs: &[Job], scheduled: &[&str]) -> (TaskId, BTreeMap<String, TaskId>) {
        self.push_with(jobs, scheduled, scheduled, &parameters("3")).await
    }

    /// The same with these targets and parameters.
    pub(crate) async fn push_with(
        &self,
        jobs: &[Job],
        scheduled: &[&str],
        targets: &[&str],
        parameters: &str,
    ) -> (TaskId, BTreeMap<String, TaskId>) {
        let decision = self.decision(SCHEDULER).await;
        let mut labels = BTreeMap::new();
        for label in scheduled {
            let job = jobs.iter().find(|job| job.label == *label).unwrap();
            let needs: Vec<_> = job.needs.iter().map(|label| labels[label]).collect();
            labels.insert(label.to_string(), self.task(decision, SCHEDULER, label, &needs).await);
        }
        self.claim(decision).await;
        self.artifact(decision, "public/target-tasks.json", &json!(targets).to_string()).await;
        self.leave(decision, &full_graph(jobs), &labels, parameters).await;
        (decision, labels)
    }

    pub(crate) async fn decision(&self, scheduler: &str) -> TaskId {
        let id = TaskId::from_bytes(rand::random());
        let mut task = definition(self.now(), id, scheduler, "Decision Task", &[]);
        task["scopes"] = json!([REPOSITORY]);
        self.client().queue().create_task(id, task.to_string().into()).await.unwrap();
        id
    }

    /// Runs a decision task: artifacts, then done.
    pub(crate) async fn finish_decision(
        &self,
        decision: TaskId,
        graph: &str,
        labels: &BTreeMap<String, TaskId>,
        parameters: &str,
    ) {
        self.claim(decision).await;
        self.leave(decision, graph, labels, parameters).await;
    }

    async fn leave(&self, decision: TaskId, graph: &str, labels: &BTreeMap<String, TaskId>, parameters: &str) {
        self.publish((decision, 0), graph, labels, parameters).await;
        self.client().queue().report_completed(decision, 0).await.unwrap();
    }

    /// What a run of a decision task leaves.
    pub(crate) async fn publish(
        &self,
        run: (TaskId, u16),
        graph: &str,
        labels: &BTreeMap<String, TaskId>,
        parameters: &str,
    ) {
        self.artifact_of(run, "public/full-task-graph.json", graph).await;
        self.artifact_of(run, "public/label-to-taskid.json", &json!(labels).to_string()).await;
        self.artifact_of(run, "public/parameters.yml", parameters).await;
    }

    /// A task that works for the repository, as action tasks do.
    pub(crate) async fn task(&self, group: TaskId, scheduler: &str, name: &str, needs: &[TaskId]) -> TaskId {
        let id = TaskId::from_bytes(rand::random());
        let mut task = definition(self.now(), group, scheduler, name, needs);
        task["scopes"] = json!([REPOSITORY]);
        self.client().queue().create_task(id, task.to_string().into()).await.unwrap();
        id
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.time()
    }

    pub(crate) async fn claim(&self, id: TaskId) {
        let request = ClaimTaskRequest { worker_group: "here".into(), worker_id: "w".into() };
        let run = self.client().queue().status(id).await.unwrap().runs.len() - 1;
        self.client().queue().claim_task(id, u16::try_from(run).unwrap(), &request).await.unwrap();
    }

    pub(crate) async fn complete(&self, id: TaskId) {
        self.claim(id).await;
        self.client().queue().report_completed(id, 0).await.unwrap();
    }

    pub(crate) async fn fail(&self, id: TaskId) {
        self.claim(id).await;
        self.client().queue().report_failed(id, 0).await.unwrap();
    }

    pub(crate) async fn artifact(&self, id: TaskId, name: &str, contents: &str) {
        self.artifact_of((id, 0), name, contents).await;
    }

    async fn artifact_of(&self, (id, run): (TaskId, u16), name: &str, contents: &str) {
        let client = self.client();
        let expires = Millis::from(self.now() + SignedDuration::from_hours(24));
        let request = CreateArtifactRequest::S3 { expires, content_type: "text/plain".into(), content_length: None };
        let CreateArtifactResponse::S3 { put_url, content_type, .. } =
            client.queue().create_artifact(id, run, name, &request).await.unwrap()
        else {
            panic!("an s3 artifact is uploaded");
        };
        let contents = Upload::Bytes(contents.to_owned().into());
        client.upload(&put_url, &content_type, contents).await.unwrap();
    }

    /// Everything in a group but its decision task, by name.
    pub(crate) async fn group(&self, group: TaskId) -> BTreeMap<String, Vec<TaskDefinitionAndStatus>> {
        let client = self.client();
        let pages: Vec<_> = client.queue().list_task_group(group, 1000).try_collect().await.unwrap();
        let mut tasks: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for task in pages.into_iter().flat_map(|page| page.tasks).filter(|task| task.status.task_id != group) {
            tasks.entry(task.task.metadata.name.clone()).or_default().push(task);
        }
        tasks
    }
}

impl Machine {
    pub(crate) async fn load(&self, decision: TaskId) -> Push {
        let artifacts = Artifacts::Queue(self.means.client.clone(), self.means.cache.clone());
        Push::load(&self.means.client, &artifacts, decision).await.unwrap()
    }

    /// Adds jobs, from reading the push to the report.
    pub(crate) async fn add(&self, decision: TaskId, labels: &[&str], id: &str) -> Result<Report, ActionError> {
        self.add_times(decision, labels, id, 1).await
    }

    pub(crate) async fn add_times(
        &self,
        decision: TaskId,
        labels: &[&str],
        id: &str,
        times: u32,
    ) -> Result<Report, ActionError> {
        let push = self.load(decision).await;
        let mut request = request(&push, labels, id);
        request = request.repeated(times);
        self.carry_out(&push, request).await
    }

    pub(crate) async fn carry_out(&self, push: &Push, request: Request) -> Result<Report, ActionError> {
        let action = Action {
            max_new: taskgraft_core::plan::MAX_NEW,
            request,
            policy: Policy::Graft,
            keep: Keep::Plans(self.plans.clone()),
            out: self.dir.join("artifacts"),
        };
        action::run(&self.means, push, &action, std::future::pending(), |_| ()).await
    }
}

pub(crate) fn request(push: &Push, labels: &[&str], id: &str) -> Request {
    let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
    Request::add(id.parse().unwrap(), push.decision, push.group, &labels)
}

pub(crate) fn parameters(level: &str) -> String {
    let revision = "a".repeat(40);
    format!(
        "base_repository: https://github.com/example/lander\nhead_repository: https://github.com/example/lander\n\
         head_rev: {revision}\nlevel: '{level}'\nproject: lander\npushlog_id: '1'\nrepository_type: git\n"
    )
}

pub(crate) fn definition(now: Timestamp, group: TaskId, scheduler: &str, name: &str, needs: &[TaskId]) -> Value {
    json!({
        "provisionerId": "proj-lander", "workerType": "linux", "schedulerId": scheduler, "taskGroupId": group,
        "dependencies": needs,
        "created": Millis::from(now),
        "deadline": Millis::from(now + SignedDuration::from_hours(24)),
        "expires": Millis::from(now + SignedDuration::from_hours(24 * 400)),
        "payload": {},
        "metadata": {
            "name": name, "description": "d", "owner": "ann@lander.example",
            "source": "https://github.com/example/lander",
        },
    })
}

/// Each label's tasks as counts.
pub(crate) fn counts(group: &BTreeMap<String, Vec<TaskDefinitionAndStatus>>) -> BTreeMap<&str, usize> {
    group.iter().map(|(name, tasks)| (name.as_str(), tasks.len())).collect()
}

/// Fails unless every dependency of every task is in the group, or its decision task.
pub(crate) fn assert_whole(group: &BTreeMap<String, Vec<TaskDefinitionAndStatus>>, decision: TaskId) {
    let ids: BTreeSet<_> = group.values().flatten().map(|task| task.status.task_id).collect();
    for task in group.values().flatten() {
        for dependency in &task.task.dependencies {
            assert!(*dependency == decision || ids.contains(dependency), "{} waits for nothing", task.status.task_id);
        }
    }
}
