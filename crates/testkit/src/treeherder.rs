//! A Treeherder, as far as its REST API tells what pushes and jobs are.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::port::Port;

/// As of when it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// With `push/`, as since 2018.
    Now,
    /// With `resultset/`, as in 2016.
    Then,
}

/// What all connections share.
struct Shared {
    age: Age,
    /// Answers by path.
    known: Mutex<HashMap<String, Value>>,
    asked: Mutex<Vec<String>>,
    /// So many requests are answered with 503 first.
    failing: AtomicUsize,
}

/// One on this machine. Its thread ends with it.
pub struct Treeherder {
    port: Port,
    shared: Arc<Shared>,
}

impl Treeherder {
    /// Listens on a port of its own; knows nothing.
    ///
    /// # Panics
    ///
    /// It can't listen.
    #[must_use]
    pub fn start(age: Age) -> Self {
        let shared =
            Arc::new(Shared { age, known: Mutex::default(), asked: Mutex::default(), failing: AtomicUsize::new(0) });
        let serving = Arc::clone(&shared);
        let port = Port::open(move |client| {
            // A client that goes away needs no answer.
            let _ = serving.answer(client);
        });
        Self { port, shared }
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// It knows a push of this revision.
    pub fn push(&self, project: &str, id: u64, revision: &str) {
        let name = if self.shared.age == Age::Now { "push" } else { "resultset" };
        let answer = json!({
            "id": id, "revision": revision, "author": "ann@lander.example", "repository_id": 1, "revision_count": 1,
            "push_timestamp": 1_767_261_600,
            "revisions": [{"result_set_id": id, "repository_id": 1, "revision": revision, "author": "Ann", "comments": ""}],
        });
        self.knows(format!("/api/project/{project}/{name}/{id}/"), answer);
    }

    /// It knows a job of a push, with this guid.
    pub fn job(&self, project: &str, id: u64, push: u64, system: &str, guid: &str) {
        let mut answer = json!({
            "id": id, "result_set_id": push, "job_guid": guid, "build_system_type": system, "state": "completed",
            "result": "testfailed", "resource_uri": format!("/api/project/{project}/jobs/{id}/"), "logs": [],
        });
        if self.shared.age == Age::Now {
            answer["push_id"] = json!(push);
        }
        self.knows(format!("/api/project/{project}/jobs/{id}/"), answer);
    }

    /// It answers this at a path.
    pub fn knows(&self, path: String, answer: Value) {
        lock(&self.shared.known).insert(path, answer);
    }

    /// The next `count` requests are answered with 503.
    pub fn fail(&self, count: usize) {
        self.shared.failing.store(count, Ordering::SeqCst);
    }

    /// The paths that were asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}

impl Shared {
    fn answer(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut header = String::new();
        while reader.read_line(&mut header)? > 0 && !header.trim().is_empty() {
            header.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        lock(&self.asked).push(path.clone());
        let fails = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let known = lock(&self.known).get(&path).cloned();
        let (status, body) = match known {
            _ if fails => ("503 Service Unavailable", Value::Null),
            Some(answer) => ("200 OK", answer),
            // Django leads to the path with a slash.
            None if !path.ends_with('/') => ("301 Moved Permanently", Value::Null),
            None => ("404 Not Found", json!("No such thing")),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        write!(reader.get_mut(), "{head}\r\nconnection: close\r\n\r\n{body}")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
