//! Requests that come to their end.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use taskgraft_core::api::auth::CreateClientRequest;
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;
use taskgraft_service::journal::Change;
use taskgraft_service::{Event, PushName, State};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Book, CONFIG, ROLE, Serving, TRIGGER, ann, made, message, state, wish};
use crate::hooked::{Worker, grant, hooked, ours, templated};
use crate::pushes::{DECISION, members};
use crate::server::{Up, wait_for};
use crate::waiting::until;

/// An embedded Taskcluster that performs the push's actions, but not its jobs.
const ACTING: [&str; 3] = ["--no-worker", "--action-worker", "proj-lander/action"];
const WORKING: [&str; 6] =
    ["--worker", "proj-lander/b-linux", "--worker", "proj-lander/t-linux", "--action-worker", "proj-lander/action"];

#[test]
fn a_request_goes_by_the_pushs_hook_to_green_jobs() {
    let up = Up::with(&WORKING);
    hooked(&up, &ours().0);
    let serving = Serving::start(&up);
    let book = Book::open(&up);
    let id = book.receive(wish("click", ann(&[TRIGGER]), &["lint-c"]));
    let request = book.ended(&id);
    assert_eq!((request.state, request.error), (State::Done, None), "{}", serving.log());
    let request = book.find(&id);
    assert_eq!((request.decision, request.project.as_deref()), (DECISION.parse().ok(), Some("lander")));
    assert_eq!(members(&up)["Action"], [request.action_task.unwrap()]);
    assert_eq!(members(&up)["lint-c"], [made(&request, "lint-c")]);
    assert_eq!(request.plan.as_ref().unwrap()["request"]["labels"], json!(["lint-c"]));
    let task = made(&request, "lint-c").to_string();
    let followed = up.taskgraft(["task", &task, "--follow"]);
    assert_eq!(followed.code, Some(0), "{}", followed.stderr);
    let (steps, why): (Vec<String>, Vec<String>) = book.audited(&id).into_iter().unzip();
    assert_eq!(steps, ["received", "allowed", "sent", "succeeded"]);
    assert!(why[1].starts_with("the asker holds hooks:trigger-hook:project-lander/"), "{}", why[1]);
    assert_eq!(serving.stopped(), Some(0));
    let lines = book.lines(&id);
    let sent = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with("sent")).unwrap();
    let action = request.action_task.unwrap();
    assert_eq!((&sent["request"], &sent["asker"]), (&json!(id), &json!("ann@lander.example")));
    assert_eq!((&sent["decision"], &sent["task"]), (&json!(DECISION), &json!(action)));
}

#[test]
fn action_yml_alone_will_do_with_all_that_the_decision_task_may() {
    let up = Up::start();
    templated(&up);
    let _worker = Worker::of(&up, "proj-lander/decision");
    let serving = Serving::start(&up);
    let book = Book::open(&up);
    let few = book.receive(wish("few", ann(&[TRIGGER]), &["lint-c"]));
    let refused = book.ended(&few);
    assert_eq!(refused.state, State::Refused, "{refused:?}");
    assert!(refused.error.unwrap().contains("assume:repo:github.com/example/lander:branch:main"));
    let id = book.receive(wish("all", ann(&["assume:repo:github.com/example/lander:*"]), &["lint-c"]));
    let request = book.ended(&id);
    assert_eq!((request.state, request.error), (State::Done, None), "{}", serving.log());
    assert_eq!(members(&up)["lint-c"].len(), 1);
}

#[test]
fn a_message_acts_with_the_role_that_a_rule_names() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    grant(&up, ROLE, &[TRIGGER]);
    let serving = Serving::start(&up);
    let book = Book::open(&up);
    let mut new = wish("message", message(), &["lint-c"]);
    new.asked.push = PushName::OfTask(DECISION.parse().unwrap());
    let id = book.receive(new);
    let request = book.ended(&id);
    assert_eq!((request.state, request.error), (State::Done, None), "{}", serving.log());
    let why = &book.audited(&id)[1].1;
    assert_eq!(why, "rule 1 lets it through with the role project:lander:pulse");
}

#[test]
fn the_service_needs_no_more_rights_than_its_page_says() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    grant(&up, ROLE, &[TRIGGER]);
    let role = format!("assume:{ROLE}");
    let own = [TRIGGER, &role, "queue:cancel-task:lander-level-3/*", "queue:rerun-task:lander-level-3/*"];
    let request = CreateClientRequest {
        description: String::new(),
        expires: Millis(Timestamp::now() + SignedDuration::from_hours(1)),
        scopes: Some(own.map(str::to_owned).to_vec()),
        delete_on_expiration: false,
    };
    let client = wait_for(up.client().auth().create_client("project/taskgraft", &request)).unwrap();
    let token = client.access_token.as_str();
    let variables = [("TASKCLUSTER_CLIENT_ID", "project/taskgraft"), ("TASKCLUSTER_ACCESS_TOKEN", token)];
    let serving = Serving::with(&up, &variables);
    let book = Book::open(&up);
    for (key, authority) in [("click", ann(&[TRIGGER])), ("message", message())] {
        let id = book.receive(wish(key, authority, &["test-unit-3"]));
        let request = book.ended(&id);
        assert_eq!((request.state, request.error), (State::Done, None), "{key}: {}", serving.log());
        book.apply(&id, Event::CancelAsked, Change::default());
        let request = book.ended(&id);
        assert_eq!((request.state, request.error), (State::Cancelled, None), "{key}: {}", serving.log());
    }
    // What the service itself may not do is no fault of the asker's, and is not done.
    wait_for(up.client().auth().delete_client("project/taskgraft")).unwrap();
    let id = book.receive(wish("late", ann(&[TRIGGER]), &["lint-c"]));
    let failed = book.ended(&id);
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    assert!(!members(&up).contains_key("lint-c"));
}

#[test]
fn what_is_cancelled_leaves_nothing_unfinished_of_its_own() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    let _serving = Serving::start(&up);
    let book = Book::open(&up);
    let id = book.receive(wish("click", ann(&[TRIGGER]), &["test-unit-3"]));
    let done = book.ended(&id);
    assert_eq!(done.state, State::Done, "{:?}", done.error);
    let (copy, needed) = (made(&done, "test-unit-3"), made(&done, "build-opt"));
    book.apply(&id, Event::CancelAsked, Change::default());
    assert_eq!(book.ended(&id).state, State::Cancelled);
    assert_eq!(state(&up, copy), TaskState::Exception);
    assert!(!state(&up, needed).is_resolved(), "others may need it");
    let again = book.receive(wish("again", ann(&[TRIGGER]), &["test-asan-1"]));
    let done = book.ended(&again);
    let change = Change { with_dependencies: Some(true), ..Change::default() };
    book.apply(&again, Event::CancelAsked, change);
    assert_eq!(book.ended(&again).state, State::Cancelled);
    for label in ["test-asan-1", "build-asan"] {
        assert_eq!(state(&up, made(&done, label)), TaskState::Exception, "{label}");
    }
}

#[test]
fn what_the_queue_has_forgotten_is_nothing_to_cancel() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    let book = Book::open(&up);
    let id = book.receive(wish("long ago", ann(&[TRIGGER]), &["lint-c"]));
    let sent = Change { action_task: Some(TaskId::from_bytes([9; 16])), ..Change::default() };
    let decided = Change { decision: DECISION.parse().ok(), ..Change::default() };
    book.apply(&id, Event::Allowed, decided);
    book.apply(&id, Event::Sent, sent);
    book.apply(&id, Event::Succeeded, Change::default());
    book.apply(&id, Event::CancelAsked, Change::default());
    let request = {
        let _serving = Serving::start(&up);
        book.ended(&id)
    };
    assert_eq!((request.state, request.error), (State::Cancelled, None));
}

#[test]
fn what_comes_while_taskcluster_is_down_waits_and_is_done() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    let proxy = Proxy::start();
    proxy.forward_to(up.address());
    proxy.rule(|_, _| Fault::Status(503));
    let serving = Serving::at(&up, &proxy.url());
    let book = Book::open(&up);
    let ids: Vec<_> = ["a", "b", "c"].map(|key| book.receive(wish(key, ann(&[TRIGGER]), &["lint-c"]))).into();
    // It was tried in vain.
    until("a warning", || serving.log().contains("later").then_some(()));
    assert!(ids.iter().all(|id| book.find(id).state == State::Received));
    // Meanwhile the service is stopped, and started again.
    assert_eq!(serving.stopped(), Some(0));
    let serving = Serving::at(&up, &proxy.url());
    proxy.heal();
    for id in &ids {
        let request = book.ended(id);
        assert_eq!((request.state, request.error), (State::Done, None), "{}", serving.log());
    }
    assert_eq!((members(&up)["Action"].len(), members(&up)["lint-c"].len()), (3, 3));
}

#[test]
fn what_nobody_answers_for_too_long_has_failed_and_was_not_sent() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    let proxy = Proxy::start();
    proxy.forward_to(up.address());
    proxy.rule(|_, _| Fault::Status(503));
    let book = Book::open(&up);
    let id = book.receive(wish("click", ann(&[TRIGGER]), &["lint-c"]));
    let config = format!("carry.give_up = \"1 s\"{CONFIG}");
    let _serving = Serving::told(&up, &config, &[("TASKCLUSTER_ROOT_URL", &proxy.url())]);
    let request = book.ended(&id);
    assert_eq!(request.state, State::Failed, "{request:?}");
    assert!(request.error.unwrap().starts_with("given up: "));
    proxy.heal();
    book.apply(&id, Event::Retried, Change::default());
    assert_eq!(book.ended(&id).state, State::Done);
    assert_eq!(members(&up)["lint-c"].len(), 1);
}

#[test]
fn what_failed_can_be_tried_again_and_does_what_is_missing() {
    let up = Up::with(&ACTING);
    hooked(&up, &ours().0);
    let serving = Serving::start(&up);
    let book = Book::open(&up);
    let generic = "repo:github.com/example/lander:action:generic";
    wait_for(up.client().auth().delete_role(generic)).unwrap();
    let id = book.receive(wish("click", ann(&[TRIGGER]), &["lint-c"]));
    let failed = book.ended(&id);
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    grant(&up, generic, &["queue:create-task:*", "queue:scheduler-id:lander-level-3", "queue:route:*"]);
    book.apply(&id, Event::Retried, Change::default());
    let done = book.ended(&id);
    assert_eq!((done.state, done.error), (State::Done, None), "{}", serving.log());
    assert_eq!(members(&up)["lint-c"].len(), 1);
}
