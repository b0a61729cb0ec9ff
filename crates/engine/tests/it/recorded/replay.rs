//! A server that answers as recorded, and notes what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use taskgraft_client::Clock;
use taskgraft_core::time::Millis;
use taskgraft_serve::{Bounds, serve_router};
use taskgraft_testkit::recorded::{IndexMode, indexed, status};

use super::Recorded;

const EXPIRES: &str = "2099-01-01T00:00:00.000Z";

/// One request, with what doesn't count taken out: lists in bodies are sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Option<BTreeSet<String>>,
}

impl Asked {
    pub(super) fn new(method: &str, path: &str, body: Option<&Value>) -> Self {
        let texts =
            |list: &Value| list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect();
        let body = body.and_then(Value::as_object).and_then(|body| body.values().next()).map(texts);
        Self { method: method.into(), path: path.into(), body }
    }

    pub(super) fn of(row: &Value) -> Self {
        let method = row["method"].as_str().unwrap();
        // A definition is no list, and is compared apart.
        Self::new(method, row["path"].as_str().unwrap(), row.get("body").filter(|_| method != "PUT"))
    }
}

/// The moment at which it was recorded.
#[derive(Debug)]
pub(super) struct Fixed(pub(super) Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[derive(Clone)]
pub(super) struct Replay {
    answers: Arc<Vec<(Asked, Value)>>,
    files: Arc<BTreeMap<&'static str, PathBuf>>,
    state: Arc<Value>,
    index: IndexMode,
    pub(super) url: String,
    seen: Arc<Mutex<Seen>>,
}

/// What came, in the order in which it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Everything; creations without their bodies.
    pub(super) asked: Vec<Asked>,
    /// The creations.
    pub(super) created: Vec<Creation>,
}

/// A createTask.
#[derive(Debug, Clone)]
pub(super) struct Creation {
    pub(super) id: String,
    pub(super) body: Value,
}

impl Replay {
    pub(super) async fn start(recorded: &Recorded, index: Option<&str>, rows: &[Value]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answered = rows.iter().filter(|row| row["method"] != "PUT").map(|row| (Asked::of(row), row.clone()));
        let replay = Self {
            answers: Arc::new(answered.collect()),
            files: Arc::new(recorded.files.iter().cloned().collect()),
            state: Arc::new(recorded.state.clone()),
            index: if index == Some("half") { IndexMode::Half } else { IndexMode::Empty },
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(replay.clone());
        tokio::spawn(serve_router(listener, app, Bounds::default(), std::future::pending()));
        replay
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    fn body(&self, asked: &Asked, row: &Value) -> String {
        let acted = ["/rerun", "/cancel"].iter().find_map(|verb| asked.path.strip_suffix(verb));
        match (acted.and_then(|path| path.rsplit('/').next()), row.get("response")) {
            // Recorded answers have only what the reference reads.
            (Some(id), _) => json!({"status": self.status(id)}).to_string(),
            (None, Some(response)) => response.to_string(),
            (None, None) if asked.path.ends_with("/list") => self.group(asked.path.rsplit('/').nth(1).unwrap()),
            (None, None) => self.left_out(asked),
        }
    }

    fn status(&self, id: &str) -> Value {
        json!({
            "taskId": id, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "s-level-1",
            "taskGroupId": id, "deadline": EXPIRES, "expires": EXPIRES, "retriesLeft": 5,
            "state": self.state["statuses"][id]["state"], "runs": [],
        })
    }

    fn group(&self, group: &str) -> String {
        let task = json!({
            "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "s-level-1",
            "taskGroupId": group, "created": EXPIRES, "deadline": EXPIRES, "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        });
        let ids = self.state["statuses"].as_object().unwrap().keys();
        let tasks: Vec<Value> = ids.map(|id| json!({"status": self.status(id), "task": task})).collect();
        json!({"taskGroupId": group, "schedulerId": "s-level-1", "expires": EXPIRES, "tasks": tasks}).to_string()
    }

    /// The answer to a long list, which recordings leave out.
    fn left_out(&self, asked: &Asked) -> String {
        let each = asked.body.iter().flatten();
        if asked.path.ends_with("/indexes") {
            let found = each.filter_map(|path| Some((path, indexed(self.index, path)?)));
            let tasks: Vec<_> = found
                .map(|(path, id)| json!({"namespace": path, "taskId": id, "rank": 0, "data": {}, "expires": EXPIRES}))
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
}

async fn answer(State(replay): State<Replay>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().replace("%2F", "/");
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap());
    if parts.method == "PUT" {
        let id = path.rsplit('/').next().unwrap().to_owned();
        let mut status = replay.status(&id);
        status["state"] = json!("unscheduled");
        let mut seen = replay.seen.lock().unwrap();
        seen.asked.push(Asked::new("PUT", &path, None));
        seen.created.push(Creation { id, body: body.unwrap() });
        return respond(200, json!({"status": status}).to_string());
    }
    let asked = Asked::new(parts.method.as_str(), &path, body.as_ref());
    replay.seen.lock().unwrap().asked.push(asked.clone());
    if path.starts_with("/raw/") {
        let file = &replay.files[path.rsplit('/').next().unwrap()];
        return respond(200, std::fs::read(file).unwrap());
    }
    match replay.answers.iter().find(|(recorded, _)| *recorded == asked) {
        Some((_, row)) => {
            let text = replay.body(&asked, row);
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
