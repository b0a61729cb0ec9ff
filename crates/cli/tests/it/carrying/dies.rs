//! A service that is killed anywhere: the next one ends each request once, and makes each job once.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::state::TaskState;
use taskgraft_service::journal::Change;
use taskgraft_service::{Event, Request, State};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Book, Serving, TRIGGER, ann, wish};
use crate::hooked::{hooked, is_trigger, ours};
use crate::pushes::{members, recorded};
use crate::server::{Up, wait_for};
use crate::waiting::{held_before, until};

/// So many services die at once.
const LANES: usize = 3;
/// What it takes at least, what is kept from before aside: the push, its group and actions, the rights, the trigger, the report.
const FEWEST_STEPS: usize = 8;

/// From now on the service's n-th request meets `fault`; the others pass.
fn nth(proxy: &Proxy, n: usize, fault: Fault) {
    let mut seen = 0;
    proxy.rule(move |method, path| {
        // Looks at the action task come by the clock, and are no steps.
        if method == "POST" && path.starts_with("/api/queue/v1/tasks") {
            return Fault::None;
        }
        seen += 1;
        if seen == n + 1 { fault } else { Fault::None }
    });
}

/// Kills the service at its n-th request for one request. False if that had ended before.
fn killed_at(up: &Up, proxy: &Proxy, n: usize, fault: Fault) -> bool {
    let killed = format!("{fault:?} at {n}");
    nth(proxy, n, fault);
    let book = Book::open(up);
    let id = book.receive(wish(&killed, ann(&[TRIGGER]), &["lint-c"]));
    let first = Serving::at(up, &proxy.url());
    let held = held_before(proxy, || book.find(&id).state.is_terminal());
    drop(first);
    proxy.heal();
    let second = Serving::at(up, &proxy.url());
    let request = book.ended(&id);
    assert_eq!((request.state, request.error), (State::Done, None), "{killed}: {}", second.log());
    let ends = book.audited(&id).into_iter().filter(|(what, _)| what == "succeeded").count();
    assert_eq!(ends, 1, "{killed}");
    held
}

#[test]
fn killed_at_any_step_the_next_one_ends_each_request_once() {
    let steps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let steps = &steps;
            scope.spawn(move || {
                let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
                hooked(&up, &ours().0);
                let proxy = Proxy::start();
                proxy.forward_to(up.address());
                let (mut n, mut asked) = (lane, 0);
                loop {
                    let held = [Fault::Silence, Fault::LateAnswer].map(|fault| killed_at(&up, &proxy, n, fault));
                    asked += held.len();
                    let members = members(&up);
                    assert_eq!(members["lint-c"].len(), asked, "each job once");
                    assert_eq!(members["Action"].len(), asked, "each request has one action task");
                    if held == [false, false] {
                        return;
                    }
                    steps.fetch_add(1, Ordering::SeqCst);
                    n += LANES;
                }
            });
        }
    });
    let steps = steps.into_inner();
    assert!(steps >= FEWEST_STEPS, "there are more steps than {steps}");
}

/// Services that die while they ask for the push's action.
struct Scene {
    up: Up,
    proxy: Proxy,
    book: Book,
}

impl Scene {
    /// A push with these actions, which nobody performs.
    fn of(actions: &Value) -> Self {
        let up = Up::start();
        hooked(&up, actions);
        let proxy = Proxy::start();
        proxy.forward_to(up.address());
        let book = Book::open(&up);
        Self { up, proxy, book }
    }

    fn serving(&self) -> Serving {
        Serving::at(&self.up, &self.proxy.url())
    }

    fn receive(&self, key: &str) -> RequestId {
        self.book.receive(wish(key, ann(&[TRIGGER]), &["lint-c"]))
    }

    /// The request at its end, though its service is killed at the moment that it asks for the action; what `happens` does
    /// to the request, happens right before.
    fn killed_asking(&self, id: &RequestId, fault: Fault, happens: Option<Event>) -> Request {
        self.proxy.rule(move |method, path| if is_trigger(method, path) { fault } else { Fault::None });
        let first = self.serving();
        assert!(held_before(&self.proxy, || self.book.find(id).state.is_terminal()), "{}", first.log());
        if let Some(event) = happens {
            self.book.apply(id, event, Change::default());
        }
        drop(first);
        self.proxy.heal();
        let _serving = self.serving();
        self.book.ended(id)
    }

    /// A request that was sent and has failed, for somebody cancelled its action task; it is to be tried again.
    fn failed_before(&self) -> (RequestId, TaskId) {
        let (id, _serving) = (self.receive("again"), self.serving());
        let task = until("its action task", || self.book.find(&id).action_task);
        self.cancel(task);
        let failed = self.book.ended(&id);
        assert_eq!((failed.state, failed.action_task), (State::Failed, Some(task)));
        self.book.apply(&id, Event::Retried, Change::default());
        (id, task)
    }

    fn cancel(&self, task: TaskId) {
        wait_for(self.up.client().queue().cancel_task(task)).unwrap();
    }

    fn actions(&self) -> Vec<TaskId> {
        members(&self.up).remove("Action").unwrap_or_default()
    }
}

/// Somebody else's actions; whether their input has room for a request's name.
fn theirs(room: bool) -> Value {
    let mut file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    for action in file["actions"].as_array_mut().unwrap() {
        if action["name"] == "add-new-jobs" {
            action["schema"]["additionalProperties"] = json!(room);
        }
    }
    file
}

#[test]
fn what_nobody_can_tell_is_not_sent_twice_and_not_called_cancelled() {
    let scene = Scene::of(&theirs(false));
    let mut made = 0;
    for happens in [None, Some(Event::CancelAsked)] {
        for fault in [Fault::Silence, Fault::LateAnswer] {
            let id = scene.receive(&format!("{fault:?} {happens:?}"));
            let request = scene.killed_asking(&id, fault, happens);
            assert_eq!(request.state, State::Failed, "{fault:?} {happens:?}: {request:?}");
            assert!(request.error.unwrap().contains("it is not known whether it was asked for"));
            made += usize::from(fault == Fault::LateAnswer);
            assert_eq!(scene.actions().len(), made, "{fault:?} {happens:?}");
            if happens.is_some() {
                // What may run and can't be cancelled is not sent beside it, however often it is tried again.
                let _serving = scene.serving();
                scene.book.apply(&id, Event::Retried, Change::default());
                let request = scene.book.ended(&id);
                assert!(request.error.unwrap().contains("it is not known whether it was asked for"));
                assert_eq!(scene.actions().len(), made, "{fault:?}");
            }
        }
    }
    // Also where the time before is known.
    let (id, _) = scene.failed_before();
    let request = scene.killed_asking(&id, Fault::Silence, None);
    assert!(request.error.unwrap().contains("it is not known whether it was asked for"));
}

#[test]
fn what_was_sent_by_a_service_that_died_is_found_by_its_name() {
    let scene = Scene::of(&theirs(true));
    let id = scene.receive("made");
    let killed = std::thread::scope(|scope| {
        let killed = scope.spawn(|| scene.killed_asking(&id, Fault::LateAnswer, None));
        let book = Book::open(&scene.up);
        let task = until("its action task", || book.find(&id).action_task);
        scene.cancel(task);
        killed.join().unwrap()
    });
    assert_eq!(killed.error.as_deref(), Some("the action task is exception"));
    let id = scene.receive("not made");
    let killed = scene.killed_asking(&id, Fault::Silence, None);
    assert_eq!(killed.state, State::Failed);
    assert!(killed.error.as_ref().unwrap().contains("no action task for it"), "{killed:?}");
    assert_eq!(scene.actions().len(), 1);
}

#[test]
fn what_is_cancelled_while_it_is_tried_again_leaves_no_action_task_behind() {
    let scene = Scene::of(&ours().0);
    let (id, before) = scene.failed_before();
    let request = scene.killed_asking(&id, Fault::LateAnswer, Some(Event::CancelAsked));
    assert_eq!((request.state, request.error), (State::Cancelled, None));
    let actions = scene.actions();
    assert_eq!((actions.len(), actions.contains(&before)), (2, true));
    for task in actions {
        let status = wait_for(scene.up.client().queue().status(task)).unwrap();
        assert_eq!(status.state, TaskState::Exception);
    }
}
