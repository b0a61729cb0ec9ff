//! Workers that are killed anywhere: another one, or the same again, ends with exactly the tasks of one request.

use std::sync::atomic::{AtomicUsize, Ordering};

use taskgraft_core::state::{ReasonResolved, RunState, TaskState};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::deeds::{Asked, Deed};
use super::{Worker, log, resolved, runs, status};
use crate::server::Up;

/// Who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another worker, once the claim has expired.
    Other,
    /// The same worker again, at once.
    Same,
}

impl Next {
    /// How long a claim lasts, in seconds: the same worker need not wait for its end; another one must.
    fn claim(self) -> &'static str {
        if self == Self::Same { "1200" } else { "4" }
    }

    /// So many servers are at work at once: where claims expire, that is what most of the time goes by with.
    fn lanes(self) -> usize {
        if self == Self::Same { 3 } else { 8 }
    }
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
    let killed = format!("{deed:?} killed at {n}");
    let asked = Asked::on_a_push(up, deed, u8::try_from(n).unwrap());
    let action = asked.action;
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
    asked.check(up, &killed);
    held
}

fn killed_at_every_step(deed: Deed, next: Next) {
    let steps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for lane in 0..next.lanes() {
            let steps = &steps;
            scope.spawn(move || {
                let proxy = Proxy::start();
                let (claim, url) = (next.claim(), proxy.url());
                let up =
                    Up::with(&["--no-worker", "--claim-seconds", claim, "--long-poll-ms", "100", "--root-url", &url]);
                proxy.forward_to(up.address());
                // Of a claim whose answer it never got a worker knows nothing later.
                let mut n = if next == Next::Same { lane + 1 } else { lane };
                while killed_at(&up, &proxy, n, (deed, next)) {
                    steps.fetch_add(1, Ordering::SeqCst);
                    n += next.lanes();
                }
            });
        }
    });
    let steps = steps.into_inner();
    assert!(steps > deed.fewest_steps(), "{deed:?} has more steps than {steps}");
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

#[test]
fn a_task_is_run_again_once_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::Rerun, Next::Same);
}

#[test]
fn many_jobs_are_retriggered_once_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::RetriggerMultiple, Next::Same);
}

#[test]
fn what_failed_is_retriggered_once_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::RetriggerFailed, Next::Same);
}

#[test]
fn what_is_missing_is_run_once_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::RunMissing, Next::Same);
}

#[test]
fn earlier_pushes_get_a_job_once_wherever_the_worker_is_killed() {
    killed_at_every_step(Deed::Backfill, Next::Same);
}
