//! Jobs of a real Buildbot: a master and its worker.

mod cancelling;
mod forcing;
mod looking;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use taskgraft_client::{Config, Retry, Site};
use taskgraft_core::ids::RequestId;
use taskgraft_service::buildbot::{
    self, Build, BuildReport, Builders, Builds, Error, Forced, Mark, Master, Outcome, Wanted,
};
use taskgraft_service::config;
use taskgraft_testkit::buildbot::{Buildbot, PASSWORD, SCHEDULER, USER};
use taskgraft_testkit::proxy::{Fault, Proxy};

const OK: &[&str] = &["true"];
const BAD: &[&str] = &["false"];
/// Ends only when it is stopped.
const LONG: &[&str] = &["sleep", "3600"];
/// Nothing here takes longer.
const LONGEST: Duration = Duration::from_secs(120);
/// What no builder should be called.
const HOSTILE: [&str; 4] = ["a/b%2F..?x=y#z", "\"}, \"$(touch /tmp/x)\" é\u{202e}", "..", "*"];

fn settings(url: String) -> config::Buildbot {
    config::Buildbot {
        name: "old".to_owned(),
        url,
        scheduler: SCHEDULER.to_owned(),
        builders: vec!["*".to_owned()],
        user: Some(USER.to_owned()),
        follow: Duration::ZERO,
    }
}

fn patient(tries: u32) -> Config {
    let retry = Retry { tries, base: Duration::from_millis(10), ..Retry::default() };
    Config { retry, ..Config::new("http://unused.example.com") }
}

fn master(settings: config::Buildbot) -> Arc<Master> {
    Arc::new(Master::new(settings, Some(PASSWORD.to_owned()), patient(3)).unwrap())
}

fn request(id: &str) -> RequestId {
    id.parse().unwrap()
}

fn wanted(id: &str, builders: &[&str], copies: u32) -> Wanted {
    let build = Build { revision: "a1b2c3".into(), branch: "try".into(), project: "try".into(), ..Build::default() };
    let builders = builders.iter().map(|name| (*name).to_owned()).collect();
    let builds = Builds { copies, build, builders: BTreeMap::from([("old".to_owned(), builders)]) };
    let now = Timestamp::now();
    Wanted { request: request(id), undone: 0, received: now, sent: now, builds }
}

/// One turn of a request of which nothing is known yet.
async fn carry(master: &Arc<Master>, wanted: &Wanted) -> Vec<BuildReport> {
    again(master, wanted, &[]).await
}

/// The next turn.
async fn again(master: &Arc<Master>, wanted: &Wanted, told: &[BuildReport]) -> Vec<BuildReport> {
    buildbot::carry(std::slice::from_ref(master), wanted, told, &|_| Box::pin(async { true })).await
}

/// Turns until nothing is waited for.
async fn to_the_end(master: &Arc<Master>, wanted: &Wanted, told: Vec<BuildReport>) -> Vec<BuildReport> {
    let (begun, mut told) = (Instant::now(), told);
    while !wanted.builds.are_settled(&told) {
        assert!(begun.elapsed() < LONGEST, "{told:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = again(master, wanted, &told).await;
    }
    told
}

/// Looks until a request's builds are as they should be.
async fn until(master: &Master, wanted: &Wanted, are: impl Fn(&[Forced]) -> bool) -> Vec<Forced> {
    let begun = Instant::now();
    loop {
        let builds = master.find(&wanted.request, wanted.received).await.unwrap();
        if are(&builds) {
            return builds;
        }
        assert!(begun.elapsed() < LONGEST, "{builds:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is written down of a request's builds before they are forced; nothing is.
async fn about(master: &Arc<Master>, wanted: &Wanted) -> Vec<BuildReport> {
    let written = Mutex::new(Vec::new());
    let go_on = |about: Vec<BuildReport>| -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        written.lock().unwrap().extend(about);
        Box::pin(std::future::ready(false))
    };
    assert_eq!(buildbot::carry(std::slice::from_ref(master), wanted, &[], &go_on).await, []);
    written.into_inner().unwrap()
}

/// What the master has, by another way than the one that is tested: the reasons of all buildsets.
async fn reasons(buildbot: &Buildbot) -> Vec<String> {
    let site = Site::new(Config::new(buildbot.url())).unwrap();
    let reply = site.get("buildsets", &["api", "v2", "buildsets"], &[], &Default::default()).await.unwrap();
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    let sets = answer["buildsets"].as_array().unwrap();
    sets.iter().map(|set| set["reason"].as_str().unwrap().to_owned()).collect()
}

fn outcomes(reports: &[BuildReport]) -> Vec<(&str, u32, Outcome)> {
    reports.iter().map(|report| (report.builder.as_str(), report.copy, report.outcome)).collect()
}

/// A server that answers each connection like this and nothing else; how many there were.
fn answering(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (url, count) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            seen.fetch_add(1, SeqCst);
            // A client that has gone is no matter.
            let _ = stream.read(&mut [0; 8192]).and_then(|_| stream.write_all(answer.as_bytes()));
        }
    });
    (url, count)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
