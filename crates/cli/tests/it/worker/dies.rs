//! Workers that are killed anywhere: another one, or the same again, ends with exactly the tasks of one request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::{ReasonResolved, RunState, TaskState};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Worker, action_task, add, changed_action_task, log, resolved, runs, status};
use crate::pushes::{another, members_of};
use crate::server::Up;

/// A job that needs another, which needs others.
const JOBS: [&str; 2] = ["lint-c", "test-unit-3"];
/// So many servers are at work at once: most of the time goes by while claims expire.
const LANES: usize = 8;

/// What the action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// It adds jobs that have no tasks.
    Add,
    /// It cancels all that is left of the push.
    CancelAll,
}

impl Deed {
    fn begin(self, up: &Up, decision: &str) -> TaskId {
        match self {
            Self::Add => add(up, decision, &JOBS),
            Self::CancelAll => {
                let open = |task: &mut Value| {
                    task["taskQueueId"] = json!("proj-lander/nobodys");
                    task["metadata"]["name"] = json!("open");
                };
                changed_action_task(up, decision, "any", &json!({}), open);
                action_task(up, decision, "cancel-all", &json!(null))
            }
        }
    }

    /// Checks that it was done, and once.
    fn check(self, up: &Up, decision: &str, killed: &str) {
        let mut members = members_of(up, decision);
        members.remove("Action: Add");
        let counts: BTreeMap<_, _> = members.iter().map(|(label, ids)| (label.as_str(), ids.len())).collect();
        match self {
            Self::Add => {
                assert!(JOBS.iter().all(|label| counts.contains_key(label)), "{killed}: {counts:?}");
                assert!(counts.values().all(|count| *count == 1), "{killed}: {counts:?}");
            }
            Self::CancelAll => {
                assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("open", 1)], "{killed}");
                let cancelled = (RunState::Exception, Some(ReasonResolved::Canceled));
                assert_eq!(runs(&status(up, members["open"][0])), [cancelled], "{killed}");
            }
        }
    }
}

/// Who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another worker, once the claim has expired.
    Other,
    /// The same worker again, at once.
    Same,
}

/// From now on the n-th request that a worker makes for a run, claiming it included, meets `fault`; the others pass.
fn nth_of_a_run(proxy: &Proxy, n: usize, fault: Fault) {
    let (mut seen, mut claimed) = (0, false);
    proxy.rule(move |method, path| {
        // Looks at the run's state come by the clock, and are no steps.
        let is_look = method == "GET" && path.ends_with("/status");
        claimed |= path.contains("/claim-work/");
        if !claimed || is_look || path.contains("/currentScopes") && seen == 0 {
            return Fault::None;
        }
        seen += 1;
        // Silent before it claims is no step either.
        if seen == n + 1 && !(n == 0 && fault == Fault::Silence) { fault } else { Fault::None }
    });
}

/// Kills the worker of an action at its n-th request. False if the action was done before.
fn killed_at(up: &Up, proxy: &Proxy, n: usize, (deed, next): (Deed, Next)) -> bool {
    let mut bytes = [u8::try_from(n).unwrap(); 16];
    bytes[0] = 7;
    let killed = format!("{deed:?} killed at {n}");
    let decision = TaskId::from_bytes(bytes);
    another(up, decision.as_str());
    let action = deed.begin(up, decision.as_str());
    nth_of_a_run(proxy, n, if n.is_multiple_of(2) { Fault::LateAnswer } else { Fault::Silence });
    let name = format!("w{n}");
    let first = Worker::start(up, &name, &["--capacity", "1"]);
    let held = proxy.held(|| status(up, action).state.is_resolved());
    drop(first);
    let before = status(up, action);
    proxy.heal();
    let other = format!("other{n}");
    let _second = Worker::start(up, if next == Next::Same { &name } else { &other }, &["--capacity", "1"]);
    let status = resolved(up, action);
    assert_eq!(status.state, TaskState::Completed, "{killed}: {}", log(up, action));
    let runs = runs(&status);
    let (last, earlier) = runs.split_last().unwrap();
    assert_eq!(*last, (RunState::Completed, Some(ReasonResolved::Completed)), "{killed}");
    // On a busy machine the next one's claim may expire as well.
    let expired = (RunState::Exception, Some(ReasonResolved::ClaimExpired));
    assert!(earlier.iter().all(|run| *run == expired), "{killed}: {earlier:?}");
    let same_run = next == Next::Same || before.state.is_resolved();
    assert_eq!(earlier.is_empty(), same_run, "{killed}: {earlier:?}");
    deed.check(up, decision.as_str(), &killed);
    held
}

fn killed_at_every_step(deed: Deed, next: Next) {
    let steps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let steps = &steps;
            scope.spawn(move || {
                let proxy = Proxy::start();
                // The same worker need not wait for a claim to end; another one must.
                let claim = if next == Next::Same { "1200" } else { "4" };
                let url = proxy.url();
                let up =
                    Up::with(&["--no-worker", "--claim-seconds", claim, "--long-poll-ms", "100", "--root-url", &url]);
                proxy.forward_to(up.address());
                // Of a claim whose answer it never got a worker knows nothing later.
                let mut n = if next == Next::Same { lane + 1 } else { lane };
                while killed_at(&up, &proxy, n, (deed, next)) {
                    steps.fetch_add(1, Ordering::SeqCst);
                    n += LANES;
                }
            });
        }
    });
    let steps = steps.into_inner();
    let least = if deed == Deed::CancelAll { 10 } else { 20 };
    assert!(steps > least, "an action has more steps than {steps}");
}

#[test]
fn killed_at_any_step_another_worker_ends_with_the_tasks_of_one_request() {
    killed_at_every_step(Deed::Add, Next::Other);
}

#[test]
fn killed_at_any_step_the_same_worker_goes_on_at_once() {
    killed_at_every_step(Deed::Add, Next::Same);
}

#[test]
fn all_is_cancelled_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::CancelAll, Next::Same);
}
