//! Workers that are killed anywhere: another one, or the same again, ends with exactly the tasks of one request.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};

use taskgraft_core::action::ACTIONS;
use taskgraft_core::state::{ReasonResolved, RunState, TaskState};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::deeds::{Asked, DEEDS, Deed};
use super::{Worker, log, resolved, runs, status};
use crate::server::Up;
use crate::waiting::held_before;

/// Who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another worker, once the claim has expired.
    Other,
    /// The same worker again, at once.
    Same,
}

impl Next {
    /// How long a claim lasts, in seconds: the same worker need not wait for its end; another one must. A push is made
    /// within one claim, also on a busy machine.
    fn claim(self) -> &'static str {
        if self == Self::Same { "1200" } else { "8" }
    }

    /// So many servers are at work at once: where claims expire, that is what most of the time goes by with.
    fn lanes(self) -> usize {
        if self == Self::Same { 3 } else { 16 }
    }

    /// Whether this request of a run is a step at which its worker is killed.
    fn is_step(self, deed: &Deed, request: Request) -> bool {
        match (self, request) {
            // Of a claim whose answer it never got a worker knows nothing later.
            (Self::Same, request) => request != Request::Claim,
            // Another worker knows what the queue knows. What all actions look up and tell is tried with one of them.
            (Self::Other, request) => request == Request::Task || deed.is_tried_throughout(),
        }
    }
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// It asks for work.
    Claim,
    /// It changes a task.
    Task,
    /// It makes an artifact.
    Artifact,
    /// It changes nothing.
    Look,
}

impl Request {
    fn of(method: &str, path: &str) -> Self {
        let batch = ["/tasks", "/tasks/status", "/tasks/indexes"];
        match method {
            "POST" if path.contains("/claim-work/") => Self::Claim,
            "PUT" | "POST" if path.contains("/artifact") => Self::Artifact,
            "GET" => Self::Look,
            "POST" if batch.iter().any(|end| path.ends_with(end)) => Self::Look,
            _ => Self::Task,
        }
    }

    /// Whether dying before it arrives and dying before its answer does are both tried. For what changes nothing they
    /// are the same to everybody; all actions make artifacts alike.
    fn is_tried_twice(self, deed: &Deed) -> bool {
        self == Self::Task || self == Self::Artifact && deed.is_tried_throughout()
    }
}

/// A Taskcluster whose workers die.
struct Site {
    proxy: Proxy,
    up: Up,
    next: Next,
}

/// When a worker dies.
#[derive(Debug, Clone, Copy)]
struct Death {
    /// At this step.
    at: usize,
    /// Before the request arrives, or before its answer does.
    fault: Fault,
}

impl Site {
    fn start(next: Next) -> Self {
        let proxy = Proxy::start();
        let url = proxy.url();
        let args = ["--no-worker", "--claim-seconds", next.claim(), "--long-poll-ms", "100", "--root-url", &url];
        let up = Up::with(&args);
        proxy.forward_to(up.address());
        Self { proxy, up, next }
    }

    /// From now on one step of a run meets a fault, and all else passes. Tells what the step is, once it has come.
    fn disturb(&self, deed: &'static Deed, death: Death) -> Receiver<Request> {
        let (mut seen, mut claimed, next) = (0, false, self.next);
        let (tell, told) = mpsc::channel();
        self.proxy.rule(move |method, path| {
            let request = Request::of(method, path);
            claimed |= request == Request::Claim;
            // Looks at the run's state come by the clock.
            let by_the_clock = method == "GET" && path.ends_with("/status");
            if !claimed || by_the_clock || !next.is_step(deed, request) {
                return Fault::None;
            }
            seen += 1;
            if seen != death.at + 1 {
                return Fault::None;
            }
            // Nobody asks any more once the action has ended.
            tell.send(request).ok();
            death.fault
        });
        told
    }

    /// Kills the worker of an action at a step, and has another go on. Tells what the step was; none if the action had
    /// ended before.
    fn killed(&self, deed: &'static Deed, death: Death) -> Option<Request> {
        let (up, next) = (&self.up, self.next);
        let killed = format!("{}, {death:?}, gone on with by {next:?}", deed.callback);
        let asked = Asked::on_a_push(up, deed);
        let action = asked.action;
        let told = self.disturb(deed, death);
        let mut worker = Worker::start(up, action.as_str(), &["--capacity", "1"]);
        let held = held_before(&self.proxy, || {
            assert!(worker.lives(), "{killed}: it ended by itself");
            status(up, action).state.is_resolved()
        });
        let step = told.try_recv().ok().filter(|_| held);
        if held {
            worker.kill();
        }
        let before = status(up, action);
        self.proxy.heal();
        if held {
            let name = if next == Next::Same { action.to_string() } else { format!("other-{action}") };
            worker = Worker::start(up, &name, &["--capacity", "1"]);
        }
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
        // Killed, it would leave a poll behind that claims the next action for nobody.
        worker.signal("-TERM");
        worker.ended();
        step
    }
}

/// How far a deed has been tried.
#[derive(Debug, Default)]
struct Progress {
    /// The next step to kill at.
    at: AtomicUsize,
    /// At so many a worker was killed.
    steps: AtomicUsize,
    /// Whether there are no more.
    is_over: AtomicBool,
}

impl Progress {
    /// Kills at one step after the other, beside others who do the same, until there is none.
    fn go_on(&self, site: &Site, deed: &'static Deed) {
        while !self.is_over.load(Ordering::SeqCst) {
            let at = self.at.fetch_add(1, Ordering::SeqCst);
            let Some(step) = site.killed(deed, Death { at, fault: Fault::LateAnswer }) else {
                self.is_over.store(true, Ordering::SeqCst);
                return;
            };
            self.steps.fetch_add(1, Ordering::SeqCst);
            if step.is_tried_twice(deed) {
                site.killed(deed, Death { at, fault: Fault::Silence });
            }
        }
    }
}

fn killed_at_every_step(next: Next) {
    let tried: Vec<_> = DEEDS.iter().map(|deed| (deed, Progress::default())).collect();
    std::thread::scope(|scope| {
        for lane in 0..next.lanes() {
            let tried = &tried;
            scope.spawn(move || {
                let site = Site::start(next);
                // Each begins with another, and then helps with what is left.
                for (deed, progress) in tried.iter().cycle().skip(lane).take(tried.len()) {
                    progress.go_on(&site, deed);
                }
            });
        }
    });
    for (deed, progress) in tried {
        let steps = progress.steps.into_inner();
        let fewest = deed.fewest_steps(next == Next::Same);
        assert!(fewest > 0 && steps >= fewest, "{deed:?}: killed at {steps} steps, and there are at least {fewest}");
    }
}

#[test]
fn killed_at_any_step_of_any_action_another_worker_ends_with_what_one_request_makes() {
    killed_at_every_step(Next::Other);
}

#[test]
fn killed_at_any_step_of_any_action_the_same_worker_goes_on_at_once() {
    killed_at_every_step(Next::Same);
}

#[test]
fn there_is_a_deed_for_every_action() {
    let deeds: BTreeSet<_> = DEEDS.iter().map(|deed| deed.callback).collect();
    assert_eq!(deeds, ACTIONS.iter().map(|action| action.cb_name).collect());
}
