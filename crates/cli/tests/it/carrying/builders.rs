//! Requests whose builders' masters are down, slow, or told otherwise meanwhile.

use std::sync::mpsc;

use serde_json::json;
use taskgraft_core::ids::RequestId;
use taskgraft_core::state::TaskState;
use taskgraft_service::State;
use taskgraft_service::buildbot::{BuildReport, Outcome};
use taskgraft_service::{Event, Request};
use taskgraft_testkit::LATE;
use taskgraft_testkit::buildbot::{Buildbot, PASSWORD, SCHEDULER, USER};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Book, Serving, TRIGGER, ann, made, state, wish};
use crate::builds::reasons;
use crate::hooked::{hooked, is_trigger, ours};
use crate::pushes::members;
use crate::server::Up;
use crate::waiting::until;

const FORCE: &str = "taskgraft:force-build:*";
/// Ends only when it is stopped.
const LONG: &[&str] = &["sleep", "3600"];

/// A service of the push's project with this master, of which it may force these builders; `more` goes to its top.
fn serving(up: &Up, root_url: &str, (url, builders): (&str, &str), more: &str, follow: &str) -> Serving {
    let config = format!(
        "journal = \"journal.sqlite\"\ncarry.longest_pause = \"200 ms\"\nhttp.listen = \"127.0.0.1:0\"\n{more}\n\
         [project.lander]\nlevel = \"3\"\n[[project.lander.buildbot]]\nname = \"old\"\nurl = \"{url}\"\n\
         scheduler = \"{SCHEDULER}\"\nbuilders = [\"{builders}\"]\nuser = \"{USER}\"\nfollow = \"{follow}\"\n"
    );
    let variables = [("TASKCLUSTER_ROOT_URL", root_url), ("TASKGRAFT_BUILDBOT_PASSWORD_OLD", PASSWORD)];
    Serving::told(up, &config, &variables)
}

fn up() -> Up {
    let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
    hooked(&up, &ours().0);
    up
}

fn asked(book: &Book, key: &str, tasks: &[&str]) -> RequestId {
    book.receive(wish(key, ann(&[TRIGGER, FORCE]), tasks))
}

fn told(request: &Request) -> Vec<BuildReport> {
    let reports = request.report.as_ref().and_then(|report| report.get("buildbot")).cloned();
    reports.map(|reports| serde_json::from_value(reports).unwrap()).unwrap_or_default()
}

#[test]
fn what_was_divided_stays_divided_whatever_its_master_loses_meanwhile() {
    let (up, buildbot, proxy) = (up(), Buildbot::start(&[("old-linux", &["true"])], &[]), Proxy::start());
    proxy.forward_to(up.address());
    // The action task is there, and the service dies before it hears so.
    proxy.rule(|method, path| if is_trigger(method, path) { Fault::LateAnswer } else { Fault::None });
    let book = Book::open(&up);
    let id = asked(&book, "both", &["lint-c", "old-linux"]);
    let first = serving(&up, &proxy.url(), (&buildbot.url(), "old-*"), "", "0 s");
    assert!(proxy.held(|| book.find(&id).state.is_terminal()), "{}", first.log());
    drop(first);
    proxy.heal();
    assert_eq!(book.find(&id).state, State::Ready);
    let _second = serving(&up, &proxy.url(), (&buildbot.url(), "other-*"), "", "0 s");
    let request = book.ended(&id);
    let why = request.error.as_deref().unwrap();
    assert_eq!(request.state, State::Failed, "{why}");
    assert!(why.starts_with("1 of 1 builds were not forced: old-linux"), "{why}");
    assert_eq!((told(&request)[0].outcome, told(&request).len()), (Outcome::Refused, 1));
    let members = members(&up);
    assert_eq!((members["lint-c"].len(), members["Action"].len()), (1, 1), "the push's half is done, once");
}

#[test]
fn builds_are_cancelled_that_their_master_does_not_offer_any_more() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-long", LONG)], &[]));
    let book = Book::open(&up);
    let id = asked(&book, "builds", &["old-long"]);
    let first = serving(&up, up.root_url(), (&buildbot.url(), "old-*"), "", "0 s");
    assert_eq!(book.ended(&id).state, State::Done);
    drop(first);
    let _second = serving(&up, up.root_url(), (&buildbot.url(), "other-*"), "", "0 s");
    book.apply(&id, Event::CancelAsked, <_>::default());
    let request = book.ended(&id);
    assert_eq!(request.state, State::Cancelled, "{request:?}");
    let why = book.audited(&id).into_iter().next_back().unwrap();
    assert_eq!(why, ("cancelled".to_owned(), "1 of its builds were cancelled".to_owned()));
}

#[test]
fn who_waits_for_builds_holds_nobody_up_and_stops_when_cancelled() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-long", LONG)], &[]));
    let book = Book::open(&up);
    let one = "carry.at_once = 1";
    let _serving = serving(&up, up.root_url(), (&buildbot.url(), "old-*"), one, "1 h");
    let long = asked(&book, "long", &["old-long"]);
    until("the build is forced", || (!told(&book.find(&long)).is_empty()).then_some(()));
    let other = asked(&book, "other", &["lint-c"]);
    assert_eq!(book.ended(&other).state, State::Done);
    let waits = book.find(&long);
    assert_eq!((waits.state, told(&waits)[0].waits), (State::Asked, true), "{waits:?}");
    book.apply(&long, Event::CancelAsked, <_>::default());
    assert_eq!(book.ended(&long).state, State::Cancelled);
}

#[test]
fn a_master_that_is_down_is_waited_for_and_given_up_in_the_end() {
    let (up, buildbot, proxy) = (up(), Buildbot::start(&[("old-linux", &["true"])], &[]), Proxy::start());
    proxy.forward_to(buildbot.address());
    proxy.rule(|_, _| Fault::Status(503));
    let book = Book::open(&up);
    let patient = serving(&up, up.root_url(), (&proxy.url(), "old-*"), "", "0 s");
    let id = asked(&book, "patient", &["lint-c", "old-linux"]);
    let request = until("the master is found to be down", || {
        let request = book.find(&id);
        (!told(&request).is_empty()).then_some(request)
    });
    assert_eq!(request.state, State::Asked, "{request:?}");
    let report = &told(&request)[0];
    assert_eq!((report.outcome, report.waits), (Outcome::Failed, true), "{report:?}");
    until("the other half is done", || members(&up).contains_key("lint-c").then_some(()));
    assert_eq!(book.find(&id).state, State::Asked, "it is not over");
    proxy.heal();
    let request = book.ended(&id);
    assert_eq!((request.state, told(&request)[0].outcome), (State::Done, Outcome::Forced), "{request:?}");
    drop(patient);
    proxy.rule(|_, _| Fault::Status(503));
    let _hasty = serving(&up, up.root_url(), (&proxy.url(), "old-*"), "carry.give_up = \"1 s\"", "0 s");
    let id = asked(&book, "hasty", &["lint-python", "old-linux"]);
    let request = book.ended(&id);
    let why = request.error.as_deref().unwrap();
    assert!(why.contains("old-linux: given up: failed to call") && why.contains("503"), "{why}");
    assert_eq!((request.state, told(&request)[0].waits), (State::Failed, false), "{request:?}");
    assert!(members(&up).contains_key("lint-python"), "the other half is done");
    assert_eq!(request.report.unwrap()["jobs"][0]["label"], json!("lint-python"));
}

#[test]
fn what_was_cancelled_and_is_tried_again_is_built_anew_as_its_other_half_is() {
    let builders = [("old-long", LONG), ("old-linux", &["true"] as &[&str])];
    let (up, buildbot) = (up(), Buildbot::start(&builders, &[]));
    let book = Book::open(&up);
    let _serving = serving(&up, up.root_url(), (&buildbot.url(), "old-*"), "", "0 s");
    let id = asked(&book, "both", &["lint-c", "old-long", "old-linux"]);
    assert_eq!(book.ended(&id).state, State::Done);
    let first = told(&book.find(&id));
    book.apply(&id, Event::CancelAsked, <_>::default());
    assert_eq!(book.ended(&id).state, State::Cancelled);
    book.apply(&id, Event::Retried, <_>::default());
    assert_eq!(book.ended(&id).state, State::Done);
    let second = told(&book.find(&id));
    let urls = |reports: &[BuildReport]| reports.iter().map(|report| report.url.clone().unwrap()).collect::<Vec<_>>();
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(urls(&first).iter().all(|url| !urls(&second).contains(url)), "{first:?} {second:?}");
    assert!(second.iter().all(|report| report.outcome == Outcome::Forced), "{second:?}");
    let members = members(&up);
    assert_eq!((members["lint-c"].len(), members["Action"].len()), (2, 2));
}

#[test]
fn cancelling_ends_though_a_master_is_gone_and_can_be_asked_for_again() {
    let (up, buildbot, proxy) = (up(), Buildbot::start(&[("old-long", LONG)], &[]), Proxy::start());
    proxy.forward_to(buildbot.address());
    let book = Book::open(&up);
    let hasty = "carry.give_up = \"2 s\"";
    let first = serving(&up, up.root_url(), (&proxy.url(), "old-*"), hasty, "0 s");
    let id = asked(&book, "both", &["lint-c", "old-long"]);
    assert_eq!(book.ended(&id).state, State::Done);
    let job = made(&book.find(&id), "lint-c");
    buildbot.kill();
    book.apply(&id, Event::CancelAsked, <_>::default());
    let request = book.ended(&id);
    let why = request.error.as_deref().unwrap();
    assert_eq!(request.state, State::Failed, "{why}");
    assert!(why.starts_with("given up: cancel builds on old: failed to") && why.contains("of its tasks"), "{why}");
    assert_eq!(state(&up, job), TaskState::Exception, "the other half is cancelled");
    drop(first);
    buildbot.restart();
    proxy.forward_to(buildbot.address());
    let _patient = serving(&up, up.root_url(), (&proxy.url(), "old-*"), "", "0 s");
    book.apply(&id, Event::CancelAsked, <_>::default());
    let request = book.ended(&id);
    assert_eq!(request.state, State::Cancelled, "{:?}", request.error);
    let (_, why) = book.audited(&id).into_iter().next_back().unwrap();
    assert_eq!(why, "none of its tasks was left to cancel; 1 of its builds were cancelled");
}

#[test]
fn a_build_on_its_way_to_a_slow_master_is_not_forced_again_and_can_be_cancelled() {
    let (up, buildbot) = (up(), Buildbot::start(&[("old-long", LONG)], &[]));
    let book = Book::open(&up);
    for (key, cancelled) in [("again", false), ("cancelled", true)] {
        let proxy = Proxy::start();
        proxy.forward_to(buildbot.address());
        proxy.rule(|method, _| if method == "POST" { Fault::Silence } else { Fault::None });
        let first = serving(&up, up.root_url(), (&proxy.url(), "old-*"), "", "0 s");
        let id = asked(&book, key, &["old-long"]);
        assert!(proxy.held(|| book.find(&id).state.is_terminal()), "{}", first.log());
        // It is killed, and what it sent reaches the master only after the next has begun to look.
        drop(first);
        if cancelled {
            book.apply(&id, Event::CancelAsked, <_>::default());
        }
        let (looks, looked) = mpsc::channel();
        let second = Proxy::start();
        second.forward_to(buildbot.address());
        second.rule(move |_, path| {
            if path == "/api/v2/buildsets" {
                // Nobody listens after the first.
                let _ = looks.send(());
            }
            Fault::None
        });
        let _second = serving(&up, up.root_url(), (&second.url(), "old-*"), "", "0 s");
        looked.recv_timeout(LATE).unwrap();
        proxy.release();
        let request = book.ended(&id);
        if cancelled {
            assert_eq!(request.state, State::Cancelled, "{request:?}");
            let (_, why) = book.audited(&id).into_iter().next_back().unwrap();
            assert_eq!(why, "1 of its builds were cancelled");
        } else {
            assert_eq!((request.state, told(&request)[0].outcome), (State::Done, Outcome::Found), "{request:?}");
        }
        let ours = reasons(&buildbot).into_iter().filter(|reason| reason.contains(id.as_str())).count();
        assert_eq!(ours, 1, "{key}");
    }
}
