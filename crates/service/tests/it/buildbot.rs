//! Jobs of a real Buildbot: a master and its worker.

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

#[tokio::test(flavor = "multi_thread")]
async fn builders_are_forced_once_and_followed_to_their_end() {
    let buildbot = Buildbot::start(&[("good", OK), ("bad", BAD), ("unserved", OK)], &["unserved"]);
    let master = master(config::Buildbot { follow: Duration::from_secs(60), ..settings(buildbot.url()) });
    assert_eq!(sorted(master.builders().await.unwrap()), ["bad", "good"]);
    let wanted = wanted("R1", &["good", "bad"], 2);
    let reports = carry(&master, &wanted).await;
    let forced = Outcome::Forced;
    assert_eq!(outcomes(&reports), [("good", 1, forced), ("bad", 1, forced), ("good", 2, forced), ("bad", 2, forced)]);
    assert!(reports.iter().all(|report| report.waits), "nobody has waited for them");
    let reports = to_the_end(&master, &wanted, reports).await;
    assert!(reports.iter().all(|report| report.outcome == forced), "{reports:?}");
    let results: Vec<_> = reports.iter().map(|report| report.result.as_deref().unwrap()).collect();
    assert_eq!(results, ["success", "failure", "success", "failure"]);
    for report in &reports {
        let url = report.url.as_ref().unwrap();
        assert!(url.starts_with(&format!("{}/#/builders/", buildbot.url())) && url.contains("/builds/"), "{url}");
    }
    // Again, and by a process that has forgotten everything: what is there is found.
    for master in [&master, &self::master(settings(buildbot.url()))] {
        assert!(carry(master, &wanted).await.iter().all(|report| report.outcome == Outcome::Found));
    }
    let reasons = reasons(&buildbot).await;
    let mut marks: Vec<String> = reasons.iter().map(|reason| Mark::find(reason).unwrap().to_string()).collect();
    marks.sort();
    assert_eq!(marks, ["taskgraft request R1 copy 1", "taskgraft request R1 copy 2"]);
    assert!(reasons[0].contains(USER), "Buildbot says who forced it: {reasons:?}");
    // Another request whose id differs only where SQL's LIKE doesn't look closely.
    assert!(master.find(&request("r1"), wanted.received).await.unwrap().is_empty());
    assert!(master.find(&request("R_"), wanted.received).await.unwrap().is_empty());
    let later = wanted.received + SignedDuration::from_hours(48);
    assert!(master.find(&wanted.request, later).await.unwrap().is_empty(), "older than the request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_whose_answer_is_lost_is_found_and_not_repeated() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    for (id, fault) in [("LOST", Fault::LostAnswer), ("GATEWAY", Fault::BadGateway)] {
        proxy.rule(move |method, _| if method == "POST" { fault } else { Fault::None });
        let reports = carry(&master, &wanted(id, &["good"], 1)).await;
        assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced)], "{fault:?}: {reports:?}");
    }
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_between_force_and_answer_has_the_build_when_it_is_back() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let patient = Retry { tries: 1000, cap: Duration::from_millis(50), ..Retry::default() };
    let config = Config { retry: patient, ..Config::new("http://unused.example.com") };
    let master = Arc::new(Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), config).unwrap());
    proxy.rule(|method, _| if method == "POST" { Fault::LateAnswer } else { Fault::None });
    let carrying = tokio::spawn(async move { carry(&master, &wanted("KILLED", &["good"], 1)).await });
    tokio::task::block_in_place(|| assert!(proxy.held(|| carrying.is_finished())));
    // The build is asked for, and its answer on the way.
    tokio::task::block_in_place(|| {
        buildbot.kill();
        proxy.rule(|_, _| Fault::Reset);
        buildbot.restart();
        proxy.forward_to(buildbot.address());
        proxy.heal();
    });
    let reports = carrying.await.unwrap();
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced)], "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_that_may_be_on_its_way_is_reported_as_unclear_and_settled_when_tried_again() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let wanted = wanted("UNCLEAR", &["good"], 1);
    let mut posts = 0;
    proxy.rule(move |method, _| {
        posts += usize::from(method == "POST");
        assert!(posts <= 1, "forced again without a word");
        if method == "POST" { Fault::Reset } else { Fault::None }
    });
    let reports = carry(&master, &wanted).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Unclear)]);
    assert!(reports[0].reason.as_ref().unwrap().contains("not forced again by itself"), "{reports:?}");
    proxy.heal();
    assert_eq!(outcomes(&carry(&master, &wanted).await), [("good", 1, Outcome::Forced)]);
    assert_eq!(reasons(&buildbot).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_down_is_said_to_be() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let master = master(settings(buildbot.url()));
    buildbot.kill();
    let offers = buildbot::offers(std::slice::from_ref(&master)).await;
    assert!(matches!(offers.as_slice(), [Builders::Silent(_)]));
    let names = ["good".to_owned(), "label".to_owned()];
    let split = buildbot::split(&names, |name| name == "label", &offers);
    assert_eq!(split.builders, BTreeMap::from([(0, vec!["good".to_owned()])]), "it may be its builder");
    let wanted = wanted("DOWN", &["good"], 1);
    let reports = carry(&master, &wanted).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], true));
    assert!(reports[0].reason.as_ref().unwrap().contains("no connection to http://127.0.0.1"), "{reports:?}");
    // Who comes next is not kept waiting.
    let begun = Instant::now();
    assert_eq!(again(&master, &wanted, &reports).await, reports);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_comes_back_is_asked_for_what_waits_and_only_for_that() {
    let buildbot = Buildbot::start(&[("good", OK), ("other", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let wanted = wanted("BACK", &["good", "other"], 1);
    proxy.rule(|_, _| Fault::Status(503));
    let mut reports = carry(&master, &wanted).await;
    assert!(reports.iter().all(|report| report.waits && report.outcome == Outcome::Failed), "{reports:?}");
    // Of one the last word was said before.
    reports[1].waits = false;
    proxy.heal();
    let reports = to_the_end(&master, &wanted, reports).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced), ("other", 1, Outcome::Failed)]);
    assert_eq!(reasons(&buildbot).await.len(), 1);
    // What was told stands while the master is away.
    proxy.rule(|_, _| Fault::Status(503));
    assert_eq!(again(&master, &wanted, &reports).await, reports);
    // And when it is in the configuration no more.
    assert_eq!(buildbot::carry(&[], &wanted, &reports, &|_| Box::pin(async { true })).await, reports);
    let gone = buildbot::carry(&[], &wanted, &[], &|_| Box::pin(async { true })).await;
    assert!(gone.iter().all(|report| report.outcome == Outcome::Refused && !report.waits), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forced_any_more_once_the_request_is_not_to_go_on() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let (master, wanted) = (master(settings(buildbot.url())), wanted("STOP", &["good"], 5));
    let asked = AtomicUsize::new(0);
    let go_on = |_| -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(std::future::ready(asked.fetch_add(1, SeqCst) < 2))
    };
    let reports = buildbot::carry(std::slice::from_ref(&master), &wanted, &[], &go_on).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced), ("good", 2, Outcome::Forced)]);
    assert!(!wanted.builds.are_settled(&reports));
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_about_to_be_forced_when_it_was_cut_off_is_waited_for_and_not_forced_again() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK), ("long", LONG)], &[]));
    proxy.forward_to(buildbot.address());
    let (slow, direct) = (master(settings(proxy.url())), master(settings(buildbot.url())));
    let (wanted, unwanted) = (wanted("CUT", &["good"], 1), wanted("BACK", &["long"], 1));
    let written = about(&slow, &wanted).await;
    assert_eq!((outcomes(&written), written[0].waits), (vec![("good", 1, Outcome::Unclear)], true));
    assert_eq!(reasons(&buildbot).await.len(), 0, "it is only written down");
    // What was on its way comes after whoever goes on, or takes it back, has looked once.
    let coming = written[0].clone();
    for (wanted, takes_back) in [(&wanted, false), (&unwanted, true)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let looks = Arc::clone(&seen);
        proxy.rule(move |_, path| {
            looks.fetch_add(usize::from(path == "/api/v2/buildsets"), SeqCst);
            Fault::None
        });
        let builders = wanted.builds.builders["old"].clone();
        let told = BuildReport { builder: builders[0].clone(), ..coming.clone() };
        let mark = Mark { request: wanted.request.clone(), copy: 1, undone: 0 };
        let comes = async {
            while seen.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            direct.force(&mark, wanted.received, &builders, &wanted.builds.build).await.unwrap();
        };
        if takes_back {
            let coming = [(builders[0].as_str(), 1)];
            let (cancelled, ()) = tokio::join!(slow.cancel(wanted, &coming), comes);
            assert_eq!(cancelled.unwrap().len(), 1);
        } else {
            let (reports, ()) = tokio::join!(again(&slow, wanted, std::slice::from_ref(&told)), comes);
            assert_eq!(outcomes(&reports), [("good", 1, Outcome::Found)], "{reports:?}");
        }
    }
    assert_eq!(reasons(&buildbot).await.len(), 2);
    // What never comes is nobody's to force again but who tries the request again.
    let lost = self::wanted("LOST", &["good"], 1);
    let reports = again(&slow, &lost, &written).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Unclear)], false));
    assert!(reports[0].reason.as_ref().unwrap().ends_with("is not forced again by itself"), "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_build_of_the_same_copy_does_not_settle_a_force() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK), ("other", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    carry(&master, &wanted("PART", &["good"], 1)).await;
    proxy.rule(|method, _| if method == "POST" { Fault::Reset } else { Fault::None });
    let reports = carry(&master, &wanted("PART", &["good", "other"], 1)).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Found), ("other", 1, Outcome::Unclear)], "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_that_succeeded_is_never_called_a_failure() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let (master, wanted) = (master(settings(proxy.url())), wanted("NAMES", &["good"], 1));
    proxy.rule(|_, path| if path == "/api/v2/builders" { Fault::Status(503) } else { Fault::None });
    let mark = Mark { request: wanted.request.clone(), copy: 1, undone: 0 };
    let names = &wanted.builds.builders["old"];
    let forced = master.force(&mark, wanted.received, names, &wanted.builds.build).await;
    assert!(matches!(&forced, Err(Error::Unlooked { .. })), "{forced:?}");
    assert_eq!(reasons(&buildbot).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_builds_are_looked_for_at_once() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("one", OK), ("two", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let (first, second) = (wanted("FIRST", &["one", "two"], 2), wanted("SECOND", &["one"], 2));
    // One copy each in turn, so that none has its builds in a row.
    for copies in 1..=2 {
        for wanted in [&first, &second] {
            let builds = Builds { copies: copies.min(wanted.builds.copies), ..wanted.builds.clone() };
            carry(&master, &Wanted { builds, ..wanted.clone() }).await;
        }
    }
    for (wanted, count) in [(&first, 4), (&second, 2)] {
        until(&master, wanted, |builds| builds.iter().all(|build| build.ended.is_some())).await;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        proxy.rule(move |_, path| {
            seen.lock().unwrap().push(path.to_owned());
            Fault::None
        });
        let builds = master.find(&wanted.request, wanted.received).await.unwrap();
        assert_eq!(builds.len(), count, "{builds:?}");
        assert!(builds.iter().all(|build| build.url.contains("/builds/")), "{builds:?}");
        let calls = calls.lock().unwrap();
        assert_eq!(*calls, ["/api/v2/buildsets", "/api/v2/buildrequests", "/api/v2/builds"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_is_not_waited_for_by_who_wants_to_know_its_builders() {
    let proxy = Proxy::start();
    proxy.rule(|_, _| Fault::Silence);
    // For longer than this test may take.
    let config = Config { timeout: LONGEST * 10, ..patient(1) };
    let master = Arc::new(Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), config).unwrap());
    for _ in 0..2 {
        let offers = tokio::time::timeout(LONGEST, buildbot::offers(std::slice::from_ref(&master))).await;
        assert!(matches!(offers.unwrap().as_slice(), [Builders::Silent(_)]));
    }
    // Who wants something built waits as little.
    let reports = tokio::time::timeout(LONGEST, carry(&master, &wanted("HANGS", &["good"], 1))).await.unwrap();
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], true));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_leads_elsewhere_is_not_followed_there() {
    let (elsewhere, visits) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned());
    let leads = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}/x?s3cret\r\ncontent-length: 0\r\n\r\n");
    let master = self::master(settings(answering(leads).0));
    let reports = carry(&master, &wanted("AWAY", &["good"], 1)).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], false));
    let reason = reports[0].reason.as_ref().unwrap();
    assert!(reason.ends_with(&format!("302: the answer leads elsewhere, to {elsewhere}")), "{reason}");
    assert_eq!(visits.load(SeqCst), 0, "somebody else was asked, with a password");
    // One that leads elsewhere only who wants something of it has forced nothing.
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK)], &[]));
    proxy.forward_to(buildbot.address());
    proxy.rule(|method, _| if method == "POST" { Fault::Status(307) } else { Fault::None });
    let master = self::master(settings(proxy.url()));
    let reports = carry(&master, &wanted("FORCE", &["good"], 1)).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], false), "{reports:?}");
    assert!(reports[0].reason.as_ref().unwrap().contains("307"), "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_master_says_is_cut_and_shows_no_login() {
    let login = "Authorization: Basic Zm9yY2VyOnMzY3JldA==";
    let said = format!("{{\"message\": \"{login} {}\"}}", "x".repeat(1 << 20));
    let answer = format!("HTTP/1.1 404 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}", said.len());
    let master = master(settings(answering(answer).0));
    let reports = carry(&master, &wanted("HOSTILE", &["good"], 1)).await;
    let reason = reports[0].reason.as_ref().unwrap();
    assert!(reason.len() < 1000 && reason.contains("Basic …") && !reason.contains("Zm9yY2Vy"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_refuses_is_told_in_its_words() {
    let buildbot = Buildbot::start(&[("good", OK), ("unserved", OK)], &["unserved"]);
    let master = master(settings(buildbot.url()));
    for builder in ["unserved", "nothing-like-it"] {
        let reports = carry(&master, &wanted("REFUSED", &[builder], 1)).await;
        assert_eq!(outcomes(&reports), [(builder, 1, Outcome::Refused)], "{reports:?}");
    }
    // One that can be forced beside one that can't.
    let reports = carry(&master, &wanted("BOTH", &["unserved", "good"], 1)).await;
    assert_eq!(outcomes(&reports), [("unserved", 1, Outcome::Refused), ("good", 1, Outcome::Forced)]);
    assert!(reports[0].reason.as_ref().unwrap().contains("doesn't serve it"), "{reports:?}");
    let nobody = Arc::new(Master::new(settings(buildbot.url()), None, patient(1)).unwrap());
    let reports = carry(&nobody, &wanted("NOBODY", &["good"], 1)).await;
    assert!(reports[0].reason.as_ref().unwrap().contains("403: you need to have role"), "{reports:?}");
    let wrong = Arc::new(Master::new(settings(buildbot.url()), Some("wrong".into()), patient(1)).unwrap());
    let reports = carry(&wrong, &wanted("WRONG", &["good"], 1)).await;
    assert_eq!(reports[0].reason.as_deref(), Some("failed to log in as `forcer`: 401"));
    let elsewhere = self::master(config::Buildbot { scheduler: "none".into(), ..settings(buildbot.url()) });
    assert!(matches!(elsewhere.builders().await, Err(Error::NoScheduler(_))));
    assert_eq!(reasons(&buildbot).await.len(), 1, "nothing else was forced");
}

#[tokio::test(flavor = "multi_thread")]
async fn builders_with_hostile_names_are_builders() {
    let commands: Vec<(&str, &[&str])> = HOSTILE.iter().map(|name| (*name, OK)).collect();
    let buildbot = Buildbot::start(&commands, &[]);
    let master = master(settings(buildbot.url()));
    assert_eq!(sorted(master.builders().await.unwrap()), sorted(HOSTILE.map(str::to_owned).to_vec()));
    for (n, name) in HOSTILE.iter().enumerate() {
        let reports = carry(&master, &wanted(&format!("H{n}"), &[name], 1)).await;
        assert_eq!(outcomes(&reports), [(*name, 1, Outcome::Forced)], "{reports:?}");
        let found = master.find(&request(&format!("H{n}")), Timestamp::now()).await.unwrap();
        assert_eq!(found.iter().map(|found| found.builder.as_str()).collect::<Vec<_>>(), [*name]);
    }
    // Names are texts, not patterns: one `*` is one builder.
    assert_eq!(reasons(&buildbot).await.len(), HOSTILE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_leaves_no_build_running() {
    let buildbot = Buildbot::start(&[("long", LONG), ("waits", LONG)], &[]);
    let master = master(settings(buildbot.url()));
    let wanted = wanted("CANCEL", &["long", "waits"], 2);
    assert!(carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Forced));
    assert_eq!(master.cancel(&self::wanted("OTHER", &["long"], 1), &[]).await.unwrap(), []);
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 4);
    until(&master, &wanted, |builds| builds.iter().all(|build| build.ended == Some("cancelled"))).await;
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 4, "who asks again is told of all of them");
    assert_eq!(master.cancel(&Wanted { undone: 1, ..wanted.clone() }, &[]).await.unwrap(), []);
    // Wanted after all, all of it is built anew, once.
    assert!(
        carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Found),
        "nobody wanted it undone"
    );
    let wanted = Wanted { undone: 1, ..wanted };
    for outcome in [Outcome::Forced, Outcome::Found] {
        let reports = carry(&master, &wanted).await;
        assert_eq!(reports.len(), 4);
        assert!(reports.iter().all(|report| (report.outcome, &report.result) == (outcome, &None)), "{reports:?}");
    }
    // Also while what was taken back goes on.
    let wanted = Wanted { undone: 2, ..wanted };
    assert!(carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Forced));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_does_not_cancel_keeps_no_other_build_from_it() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("one", LONG), ("two", LONG), ("three", LONG)], &[]));
    proxy.forward_to(buildbot.address());
    let (master, wanted) = (master(settings(proxy.url())), wanted("KEPT", &["one", "two", "three"], 1));
    carry(&master, &wanted).await;
    let builds = master.find(&wanted.request, wanted.received).await.unwrap();
    let kept = format!("/api/v2/buildrequests/{}", builds[0].request);
    proxy.rule(move |_, path| if path == kept { Fault::Status(403) } else { Fault::None });
    let refused = master.cancel(&wanted, &[]).await.unwrap_err();
    assert!(refused.to_string().starts_with("cancel 1 of 3 builds: 403"), "{refused}");
    let builds = until(&master, &wanted, |builds| builds[1..].iter().all(|build| build.ended.is_some())).await;
    assert_eq!(builds[0].ended, None);
    // Who is away may do it later.
    proxy.rule(|method, _| if method == "POST" { Fault::Status(503) } else { Fault::None });
    assert!(master.cancel(&wanted, &[]).await.unwrap_err().passes());
    proxy.heal();
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_is_refused_once() {
    let (url, calls) = answering("HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let nobody = Master::new(settings(url), None, patient(1)).unwrap();
    assert!(nobody.find(&request("NOBODY"), Timestamp::now()).await.is_err());
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_is_not_tried_by_each_who_waits_for_it() {
    let (proxy, logins) = (Proxy::start(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&logins);
    proxy.rule(move |_, path| {
        seen.fetch_add(usize::from(path == "/auth/login"), SeqCst);
        Fault::Status(503)
    });
    let master = Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), patient(1)).unwrap();
    let (id, now) = (request("MANY"), Timestamp::now());
    let found = futures_util::future::join_all((0..10).map(|_| master.find(&id, now))).await;
    assert!(found.iter().all(Result::is_err), "{found:?}");
    assert_eq!(logins.load(SeqCst), 1);
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
