//! `taskgraft listen` before a real RabbitMQ, ended with SIGKILL wherever it can be.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taskgraft_client::SystemClock;
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_service::journal::{Filter, Journal, Page, Settings};
use taskgraft_testkit::LATE;
use taskgraft_testkit::clicks::{self, EXCHANGE, QUEUE};
use taskgraft_testkit::rabbit::Rabbit;
use taskgraft_testkit::relay::Relay;

use crate::run::{command, taskgraft};
use crate::server::wait_for;

const COUNT: usize = 400;

struct Place {
    rabbit: Rabbit,
    relay: Relay,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let rabbit = Rabbit::start();
        let relay = Relay::start(rabbit.address());
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "journal = \"journal\"\nhttp.listen = \"127.0.0.1:0\"\n[pulse]\nurl = \"amqp://{}\"\nuser = \"guest\"\nprefetch = 50\n\
             [[pulse.handler]]\nexchange = \"{EXCHANGE}\"\n",
            relay.address()
        );
        std::fs::write(directory.path().join("service.toml"), text).unwrap();
        Self { rabbit, relay, directory }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("service.toml")
    }

    fn listen(&self) -> Child {
        let mut listen = command([Path::new("listen"), Path::new("--config"), &self.config()]);
        listen.env("TASKGRAFT_PULSE_PASSWORD", "guest").stdout(Stdio::null()).stderr(Stdio::piped());
        listen.spawn().unwrap()
    }

    /// Publishes messages, into the queue as the listener will declare it.
    fn publish(&self, which: std::ops::Range<usize>) {
        let broker = Broker::new(self.rabbit.url().parse().unwrap(), b"").unwrap();
        let mut publisher = broker.publisher(Topology::of_all(EXCHANGE, QUEUE));
        let messages: Vec<_> = which.map(click).collect();
        wait_for(publisher.publish(&messages)).unwrap();
    }

    fn keys(&self) -> BTreeSet<String> {
        wait_for(async {
            let file = self.directory.path().join("journal");
            let settings = Settings { look: None, ..Settings::default() };
            let journal = Journal::open(&file, settings, Arc::new(SystemClock)).await.unwrap();
            let listed = journal.list(Filter::default(), Page::first(1000)).await.unwrap().items;
            let keys: BTreeSet<_> = listed.iter().map(|request| request.key.clone()).collect();
            assert_eq!(keys.len(), listed.len(), "none is there twice");
            keys
        })
    }
}

fn click(n: usize) -> Outgoing {
    Outgoing {
        exchange: EXCHANGE.to_owned(),
        routing_key: "try".to_owned(),
        // Half of them are told from each other by what they say.
        message_id: n.is_multiple_of(2).then(|| format!("click-{n}")),
        body: clicks::body(n, &["test-unit-1"]),
        ..Outgoing::default()
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LATE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_listener_killed_at_any_point_loses_nothing_and_writes_nothing_twice() {
    let place = Place::new();
    place.publish(0..COUNT);
    let kill = |mut listener: Child| {
        listener.kill().unwrap();
        listener.wait().unwrap();
    };
    // While it writes: what it was sent is neither in the journal nor acknowledged.
    let listener = place.listen();
    until("the journal", || place.directory.path().join("journal").is_file());
    kill(listener);
    // Written down, and killed in its first acknowledgement.
    place.relay.cut_after_acks(0);
    let (listener, cuts) = (place.listen(), place.relay.cuts());
    until("a cut", || place.relay.cuts() > cuts);
    kill(listener);
    assert!(!place.keys().is_empty(), "what is acknowledged was written down before");
    // And after so many.
    for acks in [1, 2, 10, 49, 50, 51, 100] {
        let (listener, before) = (place.listen(), place.relay.acks());
        until("acknowledgements", || place.relay.acks() >= before + acks || place.keys().len() == COUNT);
        kill(listener);
        assert!(place.keys().len() <= COUNT);
    }
    // One more, which it can only have taken when it runs: a signal that comes before that ends any process.
    place.publish(COUNT..COUNT + 1);
    let mut listener = place.listen();
    until("all", || place.keys().len() == COUNT + 1);
    let id = listener.id().to_string();
    std::process::Command::new("kill").arg(&id).status().unwrap();
    assert!(listener.wait().unwrap().success());
    assert_eq!(place.keys().len(), COUNT + 1);
}

/// A dry run; killed when the test ends.
struct Dry {
    child: Child,
    lines: Receiver<String>,
}

impl Dry {
    fn start(place: &Place, more: &[&str]) -> Self {
        let mut listen = command([Path::new("listen"), Path::new("--dry-run"), Path::new("--config"), &place.config()]);
        listen.args(more).env("TASKGRAFT_PULSE_PASSWORD", "guest").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = listen.spawn().unwrap();
        let (told, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| told.send(line).is_ok()));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LATE).expect("a line in time")
    }

    /// Ctrl-C, and all that it says after that.
    fn interrupt(&mut self) -> Vec<String> {
        let id = self.child.id().to_string();
        std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().collect()
    }
}

impl Drop for Dry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_dry_run_tells_what_comes_and_leaves_it_to_the_listener() {
    let place = Place::new();
    // Into the listener's queue, before anybody looks.
    place.publish(0..1);
    let (mut told, mut read) = (Dry::start(&place, &["--json"]), Dry::start(&place, &[]));
    // Before a queue is bound nobody hears: clicks are sent until both do.
    let (mut sent, mut heard) = (1, [None, None]);
    until("a line of both", || {
        place.publish(sent..sent + 1);
        sent += 1;
        for (dry, first) in [&told, &read].into_iter().zip(&mut heard) {
            *first = first.take().or_else(|| dry.lines.recv_timeout(Duration::from_millis(100)).ok());
        }
        heard.iter().all(Option::is_some)
    });
    place.publish(sent..sent + 1);
    sent += 1;
    let [Some(mut line), Some(mut sentence)] = heard else { panic!("both were heard") };
    let first: Value = serde_json::from_str(&line).unwrap();
    let first = first["asked"]["push"]["resultset"]["id"].as_u64().unwrap();
    assert!(first > 1, "what the queue held before is nobody else's");
    // Each from then on, in their order.
    for (number, push) in (1..).zip(first..=sent as u64) {
        let said: Value = serde_json::from_str(&line).unwrap();
        let refused = "the project try is not configured";
        let expected = json!({
            "line": number, "kind": "add-new-jobs", "outcome": "refused", "reason": refused,
            "policy": {"verdict": "refused", "why": refused},
            "asked": {
                "requester": "ann@lander.example", "project": "try", "action": "add-new-jobs",
                "input": {"tasks": ["test-unit-1"]}, "push": {"resultset": {"project": "try", "id": push}},
            },
        });
        assert_eq!(said, expected);
        if push < sent as u64 {
            line = told.line();
        }
    }
    assert_eq!(told.interrupt(), [""; 0]);
    let mut count = 1;
    while !sentence.contains(&format!("on push {sent} of try, ")) {
        (sentence, count) = (read.line(), count + 1);
    }
    assert!(sentence.starts_with(&format!("{count:>5} add-new-jobs (1 job) on push {sent} of try")), "{sentence}");
    let messages = if count == 1 { "message" } else { "messages" };
    let closing =
        [String::new(), format!("add-new-jobs  refused  {count}"), format!("{count} {messages}; nothing was created")];
    assert_eq!(read.interrupt(), closing);
    // Nothing was written down, and nothing is missing.
    assert!(!place.directory.path().join("journal").exists());
    let mut listener = place.listen();
    until("all in the journal", || place.directory.path().join("journal").is_file() && place.keys().len() == sent);
    listener.kill().unwrap();
    listener.wait().unwrap();
}

#[test]
fn what_the_broker_refuses_for_good_ends_the_service_with_the_reason() {
    let place = Place::new();
    let data = place.directory.path().join("tc");
    let data = data.to_str().unwrap();
    for command in [&["serve"][..], &["up", "--no-worker", "--data-dir", data]] {
        let ended = |password: &str| {
            let mut service = self::command(command);
            service.arg("--config").arg(place.config()).env("TASKGRAFT_PULSE_PASSWORD", password);
            service.env("TASKCLUSTER_ROOT_URL", "https://tc.example.com").env("TASKCLUSTER_CLIENT_ID", "ann");
            service.env("TASKCLUSTER_ACCESS_TOKEN", "none").env("HOME", place.directory.path());
            let mut child = service.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let deadline = Instant::now() + LATE;
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > deadline {
                    child.kill().unwrap();
                    panic!("{command:?} goes on without pulse");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8(output.stderr).unwrap()
        };
        let wrong = ended("s3cret");
        assert!(wrong.contains("error: failed to listen to pulse") && wrong.contains("ACCESS_REFUSED"), "{wrong}");
        assert!(!wrong.contains("s3cret"), "{wrong}");
        let missing = ended("guest");
        assert!(missing.contains("error: failed to listen to pulse") && missing.contains(EXCHANGE), "{missing}");
    }
}

#[test]
fn what_the_broker_refuses_ends_it_with_the_reason() {
    let place = Place::new();
    let listen = |password: &str| {
        let mut listen = command([Path::new("listen"), Path::new("--config"), &place.config()]);
        let output = listen.env("TASKGRAFT_PULSE_PASSWORD", password).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let wrong = listen("s3cret");
    assert!(wrong.contains("ACCESS_REFUSED") && !wrong.contains("s3cret"), "{wrong}");
    let missing = listen("guest");
    assert!(missing.contains(EXCHANGE), "{missing}");
    for args in [&["listen"][..], &["listen", "--dry-run"]] {
        let neither = taskgraft(args);
        assert!(neither.code == Some(2) && neither.stderr.contains("--config"), "{}", neither.stderr);
    }
}
