//! The journal of a service from outside: another process has it open, as a service would.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use taskgraft_client::SystemClock;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_service::journal::{Change, Entry, Journal, NewLetter, NewLine, Settings, Settled, Window};
use taskgraft_service::{Asked, Asker, Authority, Door, Event, NewRequest, PushName, State};

use crate::run::{Ran, command, taskgraft};

/// A service that does nothing by itself.
struct Service {
    file: PathBuf,
    journal: Journal,
    dir: tempfile::TempDir,
}

impl Service {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("journal.sqlite");
        let settings = Settings { look: Some(Duration::from_millis(10)), ..Settings::default() };
        let journal = Journal::open(&file, settings, Arc::new(SystemClock)).await.unwrap();
        Self { file, journal, dir }
    }

    async fn receive(&self, key: &str) -> RequestId {
        let new = NewRequest {
            key: key.to_owned(),
            door: Door::Http,
            asker: Asker { name: "ann".to_owned(), authority: Authority::Nobody("a test".to_owned()) },
            asked: Asked {
                project: Some("lander".to_owned()),
                push: PushName::Decision(TaskId::from_bytes([7; 16])),
                resultset: None,
                action: "add-new-jobs".to_owned(),
                subject: None,
                input: serde_json::json!({"jobs": ["test-1"]}),
            },
        };
        self.journal.receive(new).await.unwrap().request().id.clone()
    }

    async fn state(&self, id: &RequestId) -> State {
        self.journal.get(id).await.unwrap().unwrap().state
    }

    async fn apply(&self, id: &RequestId, event: Event) {
        let error = (event == Event::Failed).then(|| "no such job".to_owned());
        self.journal.apply(id, event, Change { error, ..Change::default() }).await.unwrap();
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["requests", "--journal", self.file.to_str().unwrap()];
        all.extend(args);
        all
    }

    fn requests(&self, args: &[&str]) -> Ran {
        taskgraft(self.args(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.requests(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Keeps a message with this id, and gives its number.
    async fn dead_letter(&self, id: &str) -> i64 {
        let window = Window { window: Duration::from_secs(60), again: false };
        self.journal.dead_letter(letter(id), window).await.unwrap()
    }
}

fn letter(id: &str) -> NewLetter {
    NewLetter {
        exchange: "exchange/treeherder/v1/job-actions".to_owned(),
        routing_key: "a.b.c".to_owned(),
        message_id: Some(id.to_owned()),
        reason: "it is no JSON".to_owned(),
        body: b"{".to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_and_shown_while_the_service_runs() {
    let service = Service::new().await;
    let (open, failed) = (service.receive("click-1").await, service.receive("click-2").await);
    service.apply(&failed, Event::Failed).await;
    let text = service.requests(&["list"]).stdout;
    assert_eq!(text.lines().count(), 2, "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.starts_with(&format!("{failed}  failed")) && first.ends_with(": no such job"), "{text}");
    assert!(!text.lines().last().unwrap().contains("no such job"), "{text}");
    let ids = |args: &[&str]| -> Vec<String> {
        let list = service.json(args);
        list.as_array().unwrap().iter().map(|request| request["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["list", "--json"]), [failed.as_str(), open.as_str()]);
    assert_eq!(ids(&["list", "--json", "--limit", "1"]), [failed.as_str()]);
    assert_eq!(ids(&["list", "--json", "--state", "received", "--since", "1h"]), [open.as_str()]);
    assert_eq!(ids(&["list", "--json", "--asker", "bob"]).len(), 0);
    let push = TaskId::from_bytes([7; 16]).to_string();
    assert_eq!(ids(&["list", "--json", "--push", &push]), [failed.as_str(), open.as_str()]);
    assert_eq!(ids(&["list", "--json", "--push", "lander@a1b2c3"]).len(), 0);
    assert_eq!(ids(&["list", "--json", "--key", "click-1"]), [open.as_str()]);
    // The whole of a long reason is for those who ask for one request.
    let long = service.receive("click-3").await;
    let why = format!("line 1\n{}end", "x".repeat(500));
    let change = Change { error: Some(why.clone()), ..Change::default() };
    service.journal.apply(&long, Event::Refused, change).await.unwrap();
    let text = service.requests(&["list", "--state", "refused"]).stdout;
    assert!(text.lines().count() == 1 && text.contains(": line 1 xxx") && !text.contains("end"), "{text}");
    assert_eq!(service.json(&["show", long.as_str(), "--json"])["error"], why);
    assert!(service.requests(&["show", long.as_str()]).stdout.contains("xend"));
    let shown = service.json(&["show", failed.as_str(), "--json"]);
    assert_eq!((&shown["error"], &shown["steps"][1]["what"]), (&"no such job".into(), &"failed".into()));
    let text = service.requests(&["show", failed.as_str()]).stdout;
    assert!(text.contains("ann over http") && text.contains("no such job"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_or_cancelled_reaches_the_service_that_runs() {
    let service = Service::new().await;
    let id = service.receive("click-1").await;
    service.apply(&id, Event::Failed).await;
    let mut steps = service.journal.subscribe();
    steps.mark_unchanged();
    let ran = service.requests(&["retry", id.as_str()]);
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), &*format!("request {id} is to be tried again")));
    steps.changed().await.unwrap();
    assert_eq!(service.state(&id).await, State::Received);

    let args = service.args(&["cancel", id.as_str(), "--with-dependencies", "--wait", "60"]);
    let mut waiting = command(args);
    let waiting = tokio::task::spawn_blocking(move || Ran::from(waiting.output().unwrap()));
    steps.changed().await.unwrap();
    let request = service.journal.get(&id).await.unwrap().unwrap();
    assert_eq!((request.state, request.with_dependencies), (State::Cancelling, true));
    service.apply(&id, Event::Cancelled).await;
    let ran = waiting.await.unwrap();
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), &*format!("request {id} is cancelled")), "{}", ran.stderr);

    let audit = service.json(&["audit", "--json", "--request", id.as_str()]);
    let by: Vec<_> =
        audit.as_array().unwrap().iter().map(|entry| (entry["outcome"].as_str().unwrap(), entry)).collect();
    assert_eq!(
        by.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(),
        ["cancelled", "cancel_asked", "retried", "failed", "received"]
    );
    assert!(by[1].1["who"].as_str().unwrap().starts_with("local user"), "{audit}");
    let nobody = service.requests(&["audit", "--who", "an"]);
    assert_eq!((nobody.code, &*nobody.stdout), (Some(0), ""));
    assert!(nobody.stderr.contains("no such entries"), "{}", nobody.stderr);
    assert_eq!(service.json(&["audit", "--who", "an", "--json"]), serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_told_of_a_bad_end_and_of_none() {
    let service = Service::new().await;
    let id = service.receive("click-1").await;
    service.apply(&id, Event::Failed).await;
    let mut steps = service.journal.subscribe();
    steps.mark_unchanged();
    let ran = service.requests(&["cancel", id.as_str(), "--wait", "0"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("has not ended in 0 s"), "{}", ran.stderr);
    steps.changed().await.unwrap();
    let mut waiting = command(service.args(&["cancel", id.as_str(), "--wait", "60"]));
    let waiting = tokio::task::spawn_blocking(move || Ran::from(waiting.output().unwrap()));
    steps.changed().await.unwrap();
    service.apply(&id, Event::Failed).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("is failed: no such job"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_nobody_understood_are_shown_and_tried_again() {
    let service = Service::new().await;
    let number = service.dead_letter("m-1").await;
    let dead = service.json(&["dead", "--json"]);
    assert_eq!(
        (&dead[0]["number"], &dead[0]["body"], &dead[0]["reason"]),
        (&number.into(), &"{".into(), &"it is no JSON".into())
    );
    let mut wishes = service.journal.subscribe_letters();
    let ran = service.requests(&["retry", "--message", &number.to_string()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    wishes.changed().await.unwrap();
    assert_eq!(service.journal.wanted_letters(10).await.unwrap()[0].n, number);
    assert!(service.requests(&["dead"]).stdout.contains("to be tried again"));
    let audit = service.json(&["audit", "--json"]);
    let outcomes = [&audit[0], &audit[1]].map(|entry| entry["outcome"].as_str().unwrap());
    assert_eq!(outcomes, ["retried", "refused"]);
    assert!(audit[0]["who"].as_str().unwrap().starts_with("local user "), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_message_is_told_what_came_of_it() {
    let service = Service::new().await;
    let (one, other) = (service.dead_letter("m-1").await, service.dead_letter("m-2").await);
    let became = service.receive("click-1").await;
    let mut wishes = service.journal.subscribe_letters();
    let waiting = |more: &[&str]| {
        let number = one.to_string();
        let mut retry = command(service.args(&[&["retry", "--message", &number, "--wait"], more].concat()));
        tokio::task::spawn_blocking(move || Ran::from(retry.output().unwrap()))
    };
    let ran = waiting(&["0"]).await.unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("was not read in 0 s"), "{}", ran.stderr);
    wishes.changed().await.unwrap();
    service.journal.settle_letter(one, Settled::Dead("it is no JSON".to_owned())).await.unwrap();
    let mut settle = async |more: &[&str], settled| {
        let ran = waiting(&[&["60"], more].concat());
        wishes.changed().await.unwrap();
        service.journal.settle_letter(one, settled).await.unwrap();
        ran.await.unwrap()
    };
    let dead = || Settled::Dead("it is still no JSON".to_owned());
    let ran = settle(&[], dead()).await;
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("can't be understood: it is still no JSON"), "{}", ran.stderr);
    assert_eq!(ran.stdout.trim(), format!("message {one} was read again, and still can't be understood"));
    let told = |ran: &Ran| serde_json::from_str::<Value>(&ran.stdout).unwrap()["messages"][0].clone();
    let ran = settle(&["--json"], dead()).await;
    let letter = told(&ran);
    assert_eq!(
        (ran.code, &letter["number"], &letter["reason"], &letter["request"], &letter["to_be_retried"]),
        (Some(6), &one.into(), &"it is still no JSON".into(), &Value::Null, &false.into())
    );
    let ran = settle(&[], Settled::Request(became.clone())).await;
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), &*format!("message {one} is request {became}")));
    let ran = settle(&["--json"], Settled::Request(became.clone())).await;
    assert_eq!((ran.code, &told(&ran)["request"]), (Some(0), &became.as_str().into()));
    assert!(!service.journal.letter(other).await.unwrap().wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_exported_whether_the_service_runs_or_not() {
    let service = Service::new().await;
    let (one, other) = (service.receive("click-1").await, service.receive("click-2").await);
    let line = NewLine { request: one.clone(), at: jiff::Timestamp::now().into(), text: "planned".to_owned() };
    service.journal.log(vec![line]).await.unwrap();
    service.dead_letter("m-1").await;
    let turned_away = Entry {
        who: "mallory".to_owned(),
        what: "POST".to_owned(),
        why: String::new(),
        outcome: "refused".to_owned(),
        door: Some(Door::Http),
        request: None,
    };
    service.journal.audit(vec![turned_away]).await.unwrap();
    let records = |args: &[&str]| -> Vec<(String, Value)> {
        let ran = service.requests(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let parsed = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.map(|record| (record["record"].as_str().unwrap().to_owned(), record)).collect()
    };
    let names = |records: &[(String, Value)]| records.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let running = records(&["export"]);
    assert_eq!(
        names(&running),
        ["request", "step", "audit", "request", "step", "log", "audit", "audit", "audit", "message"]
    );
    assert_eq!((&running[0].1["id"], &running[7].1["who"]), (&other.as_str().into(), &"mallory".into()));
    let alone = records(&["export", one.as_str()]);
    assert_eq!(names(&alone), ["request", "step", "log", "audit"]);
    assert!(alone[1..].iter().all(|(_, record)| record["request"] == one.as_str()), "{alone:?}");
    drop(service.journal);
    let file = service.file.to_str().unwrap();
    let stopped = taskgraft(["requests", "--journal", file, "export"]);
    assert_eq!(stopped.stdout.lines().count(), running.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_printed_as_they_are_kept_and_the_last_one_is_awaited() {
    let service = Service::new().await;
    let id = service.receive("click-1").await;
    let line = |message: &str| NewLine {
        request: id.clone(),
        at: jiff::Timestamp::now().into(),
        text: serde_json::json!({"message": message}).to_string(),
    };
    // No terminal is to see the second as it is, and no terminal of that locale has the first.
    let texts = ["half way … →", "\u{9b}2J\u{202e}"];
    service.journal.log(vec![line(texts[0])]).await.unwrap();
    let mut follow = command(service.args(&["log", id.as_str(), "--follow", "--json"]));
    let mut following = follow.env("LANG", "C").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(following.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    service.apply(&id, Event::Failed).await;
    // Whoever keeps the lines may be slow: it has seen the end by then.
    assert_eq!(notes.next().unwrap().unwrap(), format!("request {id} is failed"));
    service.journal.log(vec![line(texts[1])]).await.unwrap();
    let all: Vec<String> = std::iter::once(first).chain(lines.map(Result::unwrap)).collect();
    let messages: Vec<Value> =
        all.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone()).collect();
    assert_eq!(messages, texts);
    assert!(following.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_change_nothing_and_name_the_way_out() {
    let service = Service::new().await;
    let id = service.receive("click-1").await;
    let failed = |args: &[&str], code, says: &str| {
        let ran = service.requests(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{args:?}: {}", ran.stdout);
    };
    failed(&["show", "nobody"], 3, "no request `nobody` is in the journal");
    failed(&["retry", id.as_str()], 3, "a request that is received can't be retried");
    failed(&["retry", "--message", "9"], 3, "no message 9");
    failed(&["retry"], 2, "REQUEST");
    failed(&["retry", id.as_str(), "--wait", "9999999999999999999"], 2, "86400");
    failed(&["show", "../x"], 2, "no request's id");
    failed(&["list", "--state", "lost"], 2, "it is one of received, ready");
    failed(&["list", "--push", "lander"], 2, "PROJECT@REVISION");
    assert_eq!(service.state(&id).await, State::Received);
    // All or nothing, whichever of them is the mistake.
    service.apply(&id, Event::Failed).await;
    let number = service.dead_letter("m-1").await.to_string();
    failed(&["retry", id.as_str(), "nobody", "--message", &number], 3, "nothing was changed");
    failed(&["retry", id.as_str(), "--message", "9"], 3, "nothing was changed");
    assert_eq!(service.state(&id).await, State::Failed);
    assert!(service.journal.wanted_letters(10).await.unwrap().is_empty());
    let nowhere = taskgraft(["requests", "list", "--journal", "/nonexistent/journal"]);
    assert_eq!(nowhere.code, Some(3));
    assert!(nowhere.stderr.contains("there is no journal at /nonexistent/journal"), "{}", nowhere.stderr);
    // What can't be looked at may well be there.
    let looped = service.dir.path().join("looped");
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    let unseen = taskgraft(["requests", "list", "--journal", looped.to_str().unwrap()]);
    assert_eq!(unseen.code, Some(3));
    assert!(unseen.stderr.contains("levels of symbolic links"), "{}", unseen.stderr);
    let config = service.dir.path().join("service.toml");
    let config_path = config.to_str().unwrap();
    std::fs::write(&config, format!("journal = {:?}\n", service.file)).unwrap();
    let by_config = taskgraft(["requests", "list", "--config", config_path, "--json"]);
    assert!(by_config.stdout.contains(id.as_str()), "{}", by_config.stderr);
    std::fs::write(&config, "jurnal = 3\n").unwrap();
    let mistaken = taskgraft(["requests", "list", "--config", config_path]);
    assert_eq!(mistaken.code, Some(3));
    assert!(mistaken.stderr.contains("`jurnal`"), "{}", mistaken.stderr);
}
