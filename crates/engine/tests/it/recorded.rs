//! `--policy reference` over HTTP: the requests that the reference made, with the same bodies, in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_client::{Client, Clock, Config};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Policy, Request, Role};
use taskgraft_core::report::Terminal;
use taskgraft_core::time::Millis;
use taskgraft_engine::action::{self, Action, Keep, Means};
use taskgraft_engine::{Artifacts, Cache, Plans, reference};
use taskgraft_testkit::recorded::{IndexMode, indexed, status, unpacked};

/// One request, with what doesn't count taken out: lists in bodies are sets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: String,
    path: String,
    body: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Answers as recorded, and notes what was asked.
#[derive(Clone)]
struct Replay {
    answers: Arc<Vec<(Asked, Value)>>,
    files: Arc<BTreeMap<&'static str, PathBuf>>,
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    created: Arc<Mutex<BTreeMap<String, Value>>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn add_new_jobs_asks_and_creates_what_the_reference_did() {
    let mut checked = 0;
    for (archive, name) in [("graph-nss", "nss"), ("graph-translations-2024", "translations-2024")] {
        let Some(data) = unpacked(archive) else { return };
        let project = data.join("graph-only").join(name);
        for case in std::fs::read_dir(project.join("actions")).unwrap() {
            let case = case.unwrap().path();
            if case.file_name().unwrap().to_string_lossy().starts_with("add-new-jobs") {
                check(&project, &case).await;
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 14);
}

async fn check(project: &Path, case: &Path) {
    let name = case.display().to_string();
    let invocation = json_file(&case.join("invocation.json"));
    let env = |key: &str| invocation["env"][key].as_str().unwrap().to_owned();
    let input: Value = serde_json::from_str(&env("ACTION_INPUT")).unwrap();
    let rows: Vec<Value> = std::fs::read_to_string(case.join("requests.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_create = |row: &&Value| row["method"] == "PUT";
    let scheduler = rows.iter().find(is_create).unwrap()["body"]["schedulerId"].as_str().unwrap();
    let domain = scheduler.rsplit_once("-level-").unwrap().0;
    let replay = Replay::start(project, &rows).await;

    let dir = tempfile::tempdir().unwrap();
    let now = invocation["frozen_now"].as_str().unwrap().parse().unwrap();
    let config = Config { clock: Arc::new(Fixed(now)), ..Config::new(&replay.url) };
    let client = Client::new(config).unwrap();
    let cache = Cache::open(&dir.path().join("cache")).unwrap();
    let artifacts = Artifacts::Queue(client.clone(), cache.clone());
    let group: TaskId = env("ACTION_TASK_GROUP_ID").parse().unwrap();
    let push = reference::load(&client, &artifacts, group, domain, Some("generic")).await.unwrap();
    let labels: Vec<String> = serde_json::from_value(input["tasks"].clone()).unwrap();
    let task: TaskId = env("TASK_ID").parse().unwrap();
    let mut request = Request::add(task.into(), push.decision, push.group, &labels);
    request.action_task = Some(task);
    request = request.repeated(u32::try_from(input["times"].as_u64().unwrap_or(1)).unwrap());
    let keep = Keep::Plans(Plans::open(&dir.path().join("plans")).unwrap());
    let action = Action {
        request,
        policy: Policy::Reference,
        keep,
        out: dir.path().join("artifacts"),
        max_new: taskgraft_core::plan::MAX_NEW,
    };
    let means = Means { client, cache };
    let report = action::run(&means, &push, &action, std::future::pending(), |_| ()).await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{name}");

    assert_eq!(*replay.asked.lock().unwrap(), distinct(&rows), "{name}");
    let ours: BTreeMap<String, String> = report
        .tasks
        .iter()
        .filter_map(|task| {
            let Role::Reference { iteration, duplicate: 0 } = task.role else { return None };
            Some((task.task_id.to_string(), format!("<{}@{iteration}>", task.label)))
        })
        .collect();
    let recorded = rows.iter().filter(is_create).map(|row| row["body"].clone());
    let created = replay.created.lock().unwrap().values().cloned().collect::<Vec<_>>();
    let (created, recorded) = (named(created, &ours), named(recorded, &recorded_names(case)));
    assert_eq!(created.len(), recorded.len(), "{name}");
    for (created, recorded) in created.iter().zip(&recorded) {
        assert_eq!(created, recorded, "{name}");
    }
}

/// What the recording asked apart from creations, each thing once: the reference asks anew for each of `times`, and
/// asks for no statuses too. We don't, and the answers can't differ.
fn distinct(rows: &[Value]) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for row in rows.iter().filter(|row| row["method"] != "PUT") {
        let asked = Asked::new(row["method"].as_str().unwrap(), row["path"].as_str().unwrap(), row.get("body"));
        let empty = asked.body.as_ref().is_some_and(BTreeSet::is_empty);
        if !empty && !all.contains(&asked) {
            all.push(asked);
        }
    }
    all
}

/// Bodies as texts in which new ids are told by label, in order. Dependencies stand in the order of their ids, which
/// are others here.
fn named(bodies: impl IntoIterator<Item = Value>, names: &BTreeMap<String, String>) -> Vec<String> {
    let name = |body: Value| {
        let text = names.iter().fold(body.to_string(), |text, (id, name)| text.replace(id, name));
        let mut body: Value = serde_json::from_str(&text).unwrap();
        let dependencies = body["dependencies"].as_array_mut().unwrap();
        dependencies.sort_unstable_by_key(ToString::to_string);
        body.to_string()
    };
    let mut texts: Vec<_> = bodies.into_iter().map(name).collect();
    texts.sort_unstable();
    texts
}

/// The recording's new ids by label and iteration.
fn recorded_names(case: &Path) -> BTreeMap<String, String> {
    let artifacts = case.join("artifacts");
    let mut names = BTreeMap::new();
    let one = artifacts.join("task-graph-0.json").exists();
    for iteration in 0.. {
        let suffix = if one { format!("-{iteration}") } else { String::new() };
        let path = artifacts.join(format!("task-graph{suffix}.json"));
        if !path.exists() || (!one && iteration > 0) {
            return names;
        }
        for (id, task) in json_file(&path).as_object().unwrap() {
            names.insert(id.clone(), format!("<{}@{iteration}>", task["label"].as_str().unwrap()));
        }
    }
    names
}

impl Asked {
    fn new(method: &str, path: &str, body: Option<&Value>) -> Self {
        let texts =
            |list: &Value| list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect();
        let body = body.and_then(Value::as_object).and_then(|body| body.values().next()).map(texts);
        Self { method: method.into(), path: path.into(), body }
    }
}

impl Replay {
    async fn start(project: &Path, rows: &[Value]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answered = rows.iter().filter(|row| row["method"] != "PUT").map(|row| {
            let asked = Asked::new(row["method"].as_str().unwrap(), row["path"].as_str().unwrap(), row.get("body"));
            (asked, row.clone())
        });
        let decision = project.join("decision-artifacts");
        let files = [
            ("full-task-graph.json", project.join("full-task-graph.json")),
            ("label-to-taskid.json", decision.join("label-to-taskid.json")),
            ("parameters.yml", decision.join("parameters.yml")),
        ];
        let replay = Self {
            answers: Arc::new(answered.collect()),
            files: Arc::new(files.into()),
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            created: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(replay.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        replay
    }
}

async fn answer(State(replay): State<Replay>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().replace("%2F", "/");
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap());
    if parts.method == "PUT" {
        let id = path.rsplit('/').next().unwrap().to_owned();
        let status = created(&id, body.as_ref().unwrap());
        replay.created.lock().unwrap().insert(id, body.unwrap());
        return respond(200, status.to_string());
    }
    let asked = Asked::new(parts.method.as_str(), &path, body.as_ref());
    replay.asked.lock().unwrap().push(asked.clone());
    if path.starts_with("/raw/") {
        let file = &replay.files[path.rsplit('/').next().unwrap()];
        return respond(200, std::fs::read(file).unwrap());
    }
    match replay.answers.iter().find(|(recorded, _)| *recorded == asked) {
        Some((recorded, row)) => {
            let text = row.get("response").map_or_else(|| made_up(recorded), Value::to_string);
            let status = u16::try_from(row["status"].as_u64().unwrap()).unwrap();
            // What the recording's own server pointed to is here.
            let at = text.find("http://127.0.0.1:").map(|at| (at, at + text[at + 7..].find('/').unwrap() + 7));
            respond(
                status,
                at.map_or(text.clone(), |(from, to)| format!("{}{}{}", &text[..from], replay.url, &text[to..])),
            )
        }
        None => respond(404, "{}".to_owned()),
    }
}

fn respond(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// The answer to a long list, which recordings leave out.
fn made_up(asked: &Asked) -> String {
    let expires = "2099-01-01T00:00:00.000Z";
    let each = asked.body.iter().flatten();
    if asked.path.ends_with("/indexes") {
        let found = each.filter_map(|path| Some((path, indexed(IndexMode::Half, path)?)));
        let tasks: Vec<_> = found
            .map(|(path, id)| json!({"namespace": path, "taskId": id, "rank": 0, "data": {}, "expires": expires}))
            .collect();
        return json!({"tasks": tasks}).to_string();
    }
    let statuses: Vec<_> = each
        .map(|id| {
            let status = status(id.parse().unwrap());
            json!({"taskId": id, "status": {"state": status.state, "expires": Millis::from(status.expires)}})
        })
        .collect();
    json!({"statuses": statuses}).to_string()
}

fn created(id: &str, body: &Value) -> Value {
    json!({"status": {
        "taskId": id, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w",
        "schedulerId": body["schedulerId"], "taskGroupId": body["taskGroupId"], "deadline": body["deadline"],
        "expires": body["expires"], "retriesLeft": 5, "state": "unscheduled", "runs": [],
    }})
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
