//! A service that is killed anywhere: the next one ends each request once, and makes each job once.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taskgraft_service::State;
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Book, Serving, TRIGGER, ann, wish};
use crate::hooked::{hooked, is_trigger, ours};
use crate::pushes::{members, recorded};
use crate::server::Up;

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
    let held = proxy.held(|| book.find(&id).state.is_terminal());
    drop(first);
    proxy.heal();
    let second = Serving::at(up, &proxy.url());
    let request = book.ended(&id, &second);
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

#[test]
fn what_nobody_can_tell_is_not_sent_twice() {
    // Somebody else's actions, whose schema leaves no room for a name.
    let mut file: Value = serde_json::from_slice(&std::fs::read(recorded().join("actions.json")).unwrap()).unwrap();
    for action in file["actions"].as_array_mut().unwrap() {
        if action["name"] == "add-new-jobs" {
            action["schema"]["additionalProperties"] = json!(false);
        }
    }
    let up = Up::start();
    hooked(&up, &file);
    let proxy = Proxy::start();
    proxy.forward_to(up.address());
    let book = Book::open(&up);
    for (made, fault) in [(0, Fault::Silence), (1, Fault::LateAnswer)] {
        proxy.rule(move |method, path| if is_trigger(method, path) { fault } else { Fault::None });
        let first = Serving::at(&up, &proxy.url());
        let id = book.receive(wish(&format!("{fault:?}"), ann(&[TRIGGER]), &["lint-c"]));
        assert!(proxy.held(|| book.find(&id).state.is_terminal()), "{}", first.log());
        drop(first);
        proxy.heal();
        let second = Serving::at(&up, &proxy.url());
        let request = book.ended(&id, &second);
        assert_eq!(request.state, State::Failed, "{fault:?}: {request:?}");
        assert!(request.error.unwrap().contains("it is not known whether it was asked for"));
        assert_eq!(members(&up).get("Action").map_or(0, Vec::len), made, "{fault:?}");
    }
}
