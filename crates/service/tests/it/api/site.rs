//! An embedded Taskcluster with a push on it, a journal, and the API before them.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};
use taskgraft_client::{Client, Config, Credentials, SystemClock, Upload};
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::api::index::InsertTaskRequest;
use taskgraft_core::api::queue::{ClaimTaskRequest, CreateArtifactRequest, CreateArtifactResponse};
use taskgraft_core::ids::TaskId;
use taskgraft_core::time::Millis;
use taskgraft_engine::Cache;
use taskgraft_local::{Running, Server};
use taskgraft_service::Live;
use taskgraft_service::buildbot::Masters;
use taskgraft_service::http::{Parts, Settings, serve};
use taskgraft_service::journal::{self, AuditFilter, Audited, Filter, Journal, Page};
use taskgraft_service::reach::{Need, Pace, Reach};
use taskgraft_testkit::LATE;
use tokio::net::TcpListener;
use tokio::sync::watch;

const SCHEDULER: &str = "lander-level-3";
const REPOSITORY: &str = "assume:repo:github.com/example/lander:branch:main";
/// What the service says of itself.
pub(super) const DOCUMENT: &str = include_str!("../../../src/http/openapi.json");
/// Enough to ask for something.
pub(super) const ASKS: &[&str] = &["hooks:trigger-hook:project-lander/*"];
pub(super) const BASE: &str = "/api/taskgraft/v1";

/// All of it; it ends when this is dropped.
pub(super) struct Site {
    running: Running,
    pub(super) url: String,
    pub(super) journal: Journal,
    pub(super) live: Live,
    /// What `/ready` says.
    pub(super) trouble: Arc<Mutex<Option<String>>>,
    http: reqwest::Client,
    document: Value,
    stop: watch::Sender<bool>,
    pub(super) dir: tempfile::TempDir,
}

/// An answer, as it came and as the document describes it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// Who signs, and when.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) token: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Site {
    pub(super) async fn start() -> Self {
        // Tests look at what they have just changed, and call more often than people.
        Self::with(Settings { fresh: Duration::ZERO, per_minute: 1_000_000, ..Settings::default() }).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        Self::beside(Masters::default(), settings).await
    }

    /// With these masters.
    pub(super) async fn beside(masters: Masters, settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Server::start(taskgraft_local::Config::new(dir.path().join("data"))).await.unwrap();
        let root = running.credentials();
        let config = Config::new(running.root_url());
        let client =
            Client::new(config.with_credentials(Credentials::new(&root.client_id, &root.access_token))).unwrap();
        let file = dir.path().join("journal.sqlite");
        let journal = Journal::open(&file, journal::Settings::default(), Arc::new(SystemClock)).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let trouble = Arc::new(Mutex::new(None::<String>));
        let live = Live::default();
        let pace = Pace { every: Duration::from_millis(20), lately: Duration::from_millis(40), ..Pace::default() };
        let mut needs = Need::all(&journal, &client, &pace);
        let broker = Arc::clone(&trouble);
        needs.push(Need::new("broker", move || ready(broker.lock().unwrap().clone().map_or(Ok(()), Err))));
        let parts = Parts {
            client,
            cache: Cache::remembering(&dir.path().join("cache"), 1 << 30, 1 << 30).unwrap(),
            journal: journal.clone(),
            masters: Arc::new(masters),
            live: live.clone(),
            listened: None,
            reach: Reach::watch(needs, pace, stopping.clone()),
            stopping,
            settings,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, parts));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let document = serde_json::from_str(DOCUMENT).unwrap();
        Self { running, url, journal, live, trouble, http, document, stop, dir }
    }

    pub(super) fn root(&self) -> Signer {
        let root = self.running.credentials();
        Signer { id: root.client_id.clone(), token: root.access_token.clone() }
    }

    pub(super) fn client(&self) -> Client {
        let Signer { id, token } = self.root();
        Client::new(Config::new(self.running.root_url()).with_credentials(Credentials::new(id, token))).unwrap()
    }

    /// A Taskcluster client that ends after so many seconds.
    pub(super) async fn somebody(&self, id: &str, scopes: &[&str], seconds: i64) -> Signer {
        let request = CreateClientRequest {
            description: String::new(),
            expires: (Timestamp::now() + SignedDuration::from_secs(seconds)).into(),
            scopes: Some(scopes.iter().map(ToString::to_string).collect()),
            delete_on_expiration: false,
        };
        let made = self.client().auth().create_client(id, &request).await.unwrap();
        Signer { id: id.to_owned(), token: made.access_token }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, HeaderMap::new(), None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, HeaderMap::new(), Some(body.to_string())).await
    }

    /// The same signed, with an idempotency key.
    pub(super) async fn signed(&self, signer: &Signer, path: &str, key: Option<&str>, body: &Value) -> Answer {
        let body = body.to_string();
        let header = self.sign(signer, Method::POST, path, &body, SystemTime::now());
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
        if let Some(key) = key {
            headers.insert("idempotency-key", key.parse().unwrap());
        }
        self.call(Method::POST, path, headers, Some(body)).await
    }

    /// The Authorization header of a call.
    pub(super) fn sign(&self, signer: &Signer, method: Method, path: &str, body: &str, at: SystemTime) -> String {
        let url = format!("{}{path}", self.url).parse().unwrap();
        let hash = hawk::PayloadHasher::hash("application/json", hawk::SHA256, body.as_bytes()).unwrap();
        let key = hawk::Key::new(&signer.token, hawk::SHA256).unwrap();
        let credentials = hawk::Credentials { id: signer.id.clone(), key };
        let request = hawk::RequestBuilder::from_url(method.as_str(), &url).unwrap().hash(&hash[..]).request();
        let nonce = TaskId::from_bytes(rand::random()).to_string();
        format!("Hawk {}", request.make_header_full(&credentials, at, nonce).unwrap())
    }

    /// A call; the answer has to be one that the document describes.
    pub(super) async fn call(&self, method: Method, path: &str, headers: HeaderMap, body: Option<String>) -> Answer {
        let mut call = self.http.request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            call = call.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = call.headers(headers).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        self.answered(&method, path, (status, headers, &bytes))
    }

    /// The beginning of an answer that has no end, and what is to come of it; likewise.
    pub(super) async fn begin(&self, path: &str) -> (Answer, Response) {
        let mut rest = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        let (status, headers) = (rest.status().as_u16(), rest.headers().clone());
        let first = tokio::time::timeout(LATE, rest.chunk()).await.expect("its beginning in time").unwrap().unwrap();
        (self.answered(&Method::GET, path, (status, headers, &first)), rest)
    }

    fn answered(&self, method: &Method, path: &str, (status, headers, bytes): (u16, HeaderMap, &[u8])) -> Answer {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let is_json = headers[CONTENT_TYPE].to_str().unwrap().contains("json");
        let body = if is_json { serde_json::from_str(&text).unwrap() } else { Value::from(text) };
        let answer = Answer { status, headers, body };
        self.compare(method, path.split('?').next().unwrap(), &answer);
        answer
    }

    fn compare(&self, method: &Method, path: &str, answer: &Answer) {
        assert!(answer.headers.contains_key("x-request-id"), "{method} {path}");
        let described = self.document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(template, item)| item.get(method.as_str().to_lowercase()).is_some() && is_like(path, template));
        let Some((_, item)) = described else {
            assert!(matches!(answer.status, 404 | 405), "{method} {path} is not described");
            return self.fits(&json!({"$ref": "#/components/schemas/Problem"}), &answer.body);
        };
        let status = answer.status.to_string();
        let mut response = &item[method.as_str().to_lowercase()]["responses"][&status];
        if let Some(at) = response["$ref"].as_str() {
            response = self.document.pointer(at.strip_prefix('#').unwrap()).unwrap();
        }
        assert!(response.is_object(), "{method} {path}: {status} is not described: {}", answer.body);
        let content_type = answer.headers[CONTENT_TYPE].to_str().unwrap().split(';').next().unwrap();
        let schema = &response["content"][content_type]["schema"];
        assert!(schema.is_object(), "{method} {path}: {content_type} is not described");
        for name in response["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
            let is_optional = name == "Retry-After" && !matches!(answer.status, 202 | 429 | 503);
            assert!(is_optional || answer.headers.contains_key(name), "{method} {path}: {status} without {name}");
        }
        self.fits(schema, &answer.body);
    }

    /// Fails unless a value is what a schema of the document describes.
    pub(super) fn fits(&self, schema: &Value, value: &Value) {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?} in {value:#}");
    }

    /// The audit log's refusals, the newest first.
    pub(super) async fn refusals(&self) -> Vec<Audited> {
        let filter = AuditFilter { outcome: Some("refused".to_owned()), ..AuditFilter::default() };
        self.journal.audited(filter, Page::first(1000)).await.unwrap().items
    }

    /// Stops serving, and gives the audit log's refusals of calls above a rate, each with how many it counts, as soon as
    /// there are so many of these altogether.
    pub(super) async fn stopped(&self, calls: u64) -> Vec<(Audited, u64)> {
        self.stop.send_replace(true);
        self.counted(calls).await
    }

    /// The same while it is served.
    pub(super) async fn counted(&self, calls: u64) -> Vec<(Audited, u64)> {
        let count = |entry: &Audited| match entry.entry.what.split(' ').nth(1).unwrap() {
            "once" => 1,
            times => times.parse().unwrap(),
        };
        let entered = async {
            loop {
                let all = self.refusals().await.into_iter().filter(|entry| entry.entry.why.starts_with("too-many"));
                let counted: Vec<_> = all.map(|entry| (count(&entry), entry)).map(|(n, entry)| (entry, n)).collect();
                if counted.iter().map(|(_, n)| n).sum::<u64>() >= calls {
                    return counted;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LATE, entered).await.expect("the count in time")
    }

    /// How many requests there are.
    pub(super) async fn requests(&self) -> usize {
        self.journal.list(Filter::default(), Page::first(1000)).await.unwrap().items.len()
    }

    /// A push whose decision task is complete and indexed: builds, and tests of them. The labels in `scheduled` are tasks.
    pub(super) async fn push(&self, revision: &str, scheduled: &[&str]) -> (TaskId, BTreeMap<String, TaskId>) {
        let (client, decision) = (self.client(), TaskId::from_bytes(rand::random()));
        create(&client, decision, decision, "Decision Task").await;
        let mut labels = BTreeMap::new();
        for label in scheduled {
            let id = TaskId::from_bytes(rand::random());
            create(&client, id, decision, label).await;
            labels.insert(label.to_string(), id);
        }
        claim(&client, decision).await;
        for (name, contents) in [
            ("public/full-task-graph.json", graph()),
            ("public/label-to-taskid.json", json!(labels).to_string()),
            ("public/parameters.yml", parameters(revision)),
            ("public/actions.json", actions()),
        ] {
            publish(&client, decision, name, contents).await;
        }
        client.queue().report_completed(decision, 0).await.unwrap();
        let path = format!("lander.v2.lander.revision.{revision}.taskgraph.decision");
        let expires = Millis::from(Timestamp::now() + SignedDuration::from_hours(24));
        let entry = InsertTaskRequest { task_id: decision, rank: 0, data: json!({}), expires };
        client.index().insert_task(&path, &entry).await.unwrap();
        (decision, labels)
    }
}

fn is_like(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(&template).all(|(part, wanted)| wanted.starts_with('{') || part == wanted)
}

async fn create(client: &Client, id: TaskId, group: TaskId, name: &str) {
    let now = Timestamp::now();
    let task = json!({
        "provisionerId": "proj-lander", "workerType": "linux", "schedulerId": SCHEDULER, "taskGroupId": group,
        "created": Millis::from(now), "deadline": Millis::from(now + SignedDuration::from_hours(24)),
        "expires": Millis::from(now + SignedDuration::from_hours(24 * 400)),
        "payload": {}, "scopes": [REPOSITORY], "metadata": metadata(name),
    });
    client.queue().create_task(id, task.to_string().into()).await.unwrap();
}

pub(super) async fn claim(client: &Client, id: TaskId) {
    let request = ClaimTaskRequest { worker_group: "here".into(), worker_id: "w".into() };
    client.queue().claim_task(id, 0, &request).await.unwrap();
}

async fn publish(client: &Client, id: TaskId, name: &str, contents: String) {
    let expires = Millis::from(Timestamp::now() + SignedDuration::from_hours(24));
    let request = CreateArtifactRequest::S3 { expires, content_type: "text/plain".into(), content_length: None };
    let CreateArtifactResponse::S3 { put_url, content_type, .. } =
        client.queue().create_artifact(id, 0, name, &request).await.unwrap()
    else {
        panic!("an s3 artifact is uploaded");
    };
    client.upload(&put_url, &content_type, Upload::Bytes(contents.into())).await.unwrap();
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "description": "d", "owner": "ann@lander.example", "source": "https://github.com/example/lander"})
}

fn parameters(revision: &str) -> String {
    format!(
        "base_repository: https://github.com/example/lander\nhead_repository: https://github.com/example/lander\n\
         head_rev: {revision}\nlevel: '3'\nowner: ann@lander.example\nproject: lander\npushlog_id: '1'\n\
         repository_type: git\n"
    )
}

fn actions() -> String {
    let action = json!({
        "kind": "hook", "name": "add-new-jobs", "title": "Add new jobs", "description": "Adds jobs.", "context": [],
        "hookGroupId": "project-lander", "hookId": "in-tree-action-3-generic/0123456789", "hookPayload": {},
        "schema": {"type": "object"},
    });
    json!({"version": 1, "variables": {}, "actions": [action]}).to_string()
}

/// build-0 to build-4, each with test-N-0 to test-N-2 that need it, on two platforms.
fn graph() -> String {
    let mut graph = Map::new();
    for build in 0..5 {
        let platform = if build % 2 == 0 { "linux64" } else { "win64" };
        graph.insert(format!("build-{build}"), entry(&format!("build-{build}"), "build", platform, None));
        for test in 0..3 {
            let label = format!("test-{build}-{test}");
            graph.insert(label.clone(), entry(&label, "test", platform, Some(&format!("build-{build}"))));
        }
    }
    serde_json::to_string_pretty(&Value::from(graph)).unwrap()
}

fn entry(label: &str, kind: &str, platform: &str, needs: Option<&str>) -> Value {
    let dependencies: Map<String, Value> = needs.into_iter().map(|needs| ("build".to_owned(), json!(needs))).collect();
    let shown =
        json!({"symbol": "S", "groupSymbol": "G", "machine": {"platform": platform}, "collection": {"opt": true}});
    json!({
        "label": label, "kind": kind, "description": "a job", "attributes": {"kind": kind},
        "dependencies": dependencies, "soft_dependencies": [], "if_dependencies": [], "optimization": null,
        "task": {
            "provisionerId": "proj-lander", "workerType": "linux", "priority": "low",
            "created": {"relative-datestamp": "0 seconds"}, "deadline": {"relative-datestamp": "1 day"},
            "expires": {"relative-datestamp": "1 year"}, "scopes": [], "routes": [], "tags": {"kind": kind},
            "extra": {"treeherder": shown}, "payload": {"command": [["true"]], "maxRunTime": 60},
            "metadata": metadata(label),
        },
    })
}

pub(super) fn header(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
}
