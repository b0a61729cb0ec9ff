//! Requests that are cancelled, and then tried again after all: everything is made anew, once.

use serde_json::Value;
use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::state::TaskState;
use taskgraft_service::journal::Change;
use taskgraft_service::{Event, Request, State};
use taskgraft_testkit::proxy::{Fault, Proxy};

use super::{Book, Serving, TRIGGER, ann, made, state, wish};
use crate::hooked::{Worker, hooked, is_trigger, ours, templated};
use crate::pushes::members;
use crate::server::Up;
use crate::waiting::held_before;

/// A job that needs [`BUILD`].
const JOB: &str = "test-unit-3";
const BUILD: &str = "build-opt";
/// All that the push's decision task may.
const ALL: &str = "assume:repo:github.com/example/lander:*";

/// A push whose actions are performed, but not its jobs, and a service whose calls can be met with faults.
struct Scene {
    up: Up,
    book: Book,
    proxy: Proxy,
}

impl Scene {
    fn of(actions: &Value) -> Self {
        let up = Up::with(&["--no-worker", "--action-worker", "proj-lander/action"]);
        hooked(&up, actions);
        Self::at(up)
    }

    fn at(up: Up) -> Self {
        let proxy = Proxy::start();
        proxy.forward_to(up.address());
        Self { book: Book::open(&up), up, proxy }
    }

    fn serving(&self) -> Serving {
        Serving::at(&self.up, &self.proxy.url())
    }

    /// The request's end after `event`.
    fn after(&self, id: &RequestId, event: Event, change: Change) -> Request {
        self.book.apply(id, event, change);
        self.book.ended(id)
    }

    fn cancelled(&self, id: &RequestId) {
        let request = self.after(id, Event::CancelAsked, Change::default());
        assert_eq!((request.state, request.error), (State::Cancelled, None));
    }

    /// The job that the request has made by now.
    fn job(&self, request: &Request) -> TaskId {
        assert_eq!((request.state, request.error.as_deref()), (State::Done, None));
        made(&self.book.find(&request.id), JOB)
    }

    fn state(&self, task: TaskId) -> TaskState {
        state(&self.up, task)
    }

    /// How many action tasks, jobs and builds there are.
    fn count(&self) -> [usize; 3] {
        let members = members(&self.up);
        ["Action", JOB, BUILD].map(|label| members.get(label).map_or(0, Vec::len))
    }
}

#[test]
fn all_of_it_is_made_anew_once_wherever_the_service_dies() {
    let scene = Scene::of(&ours().0);
    let first = scene.serving();
    let id = scene.book.receive(wish("click", ann(&[TRIGGER]), &[JOB]));
    let mut jobs = vec![scene.job(&scene.book.ended(&id))];
    let build = made(&scene.book.find(&id), BUILD);
    scene.cancelled(&id);
    drop(first);
    // Nobody serves when somebody wants it after all; then whoever does dies before or after the hook is triggered.
    for (n, fault) in [(1, Fault::Silence), (2, Fault::LateAnswer)] {
        scene.book.apply(&id, Event::Retried, Change::default());
        scene.proxy.rule(move |method, path| if is_trigger(method, path) { fault } else { Fault::None });
        let dying = scene.serving();
        assert!(held_before(&scene.proxy, || scene.book.find(&id).state.is_terminal()), "{}", dying.log());
        drop(dying);
        scene.proxy.heal();
        let serving = scene.serving();
        let job = scene.job(&scene.book.ended(&id));
        assert!(!jobs.contains(&job) && !scene.state(job).is_resolved(), "{fault:?}: {}", serving.log());
        jobs.push(job);
        // Clicked and delivered again, it is what it was.
        assert_eq!(scene.book.receive(wish("click", ann(&[TRIGGER]), &[JOB])), id);
        assert_eq!(scene.count(), [n + 1, n + 1, 1], "{fault:?}: what others may need is shared");
        scene.cancelled(&id);
        assert_eq!(scene.state(job), TaskState::Exception);
    }
    // The build is another action task's than the last one's.
    let _serving = scene.serving();
    assert!(!scene.state(build).is_resolved());
    let with = Change { with_dependencies: Some(true), ..Change::default() };
    scene.book.apply(&id, Event::Retried, Change::default());
    scene.job(&scene.book.ended(&id));
    assert_eq!(scene.after(&id, Event::CancelAsked, with).state, State::Cancelled);
    assert_eq!(scene.state(build), TaskState::Exception);
}

#[test]
fn what_failed_since_it_was_cancelled_is_not_made_twice() {
    let scene = Scene::of(&ours().0);
    let _serving = scene.serving();
    let id = scene.book.receive(wish("click", ann(&[TRIGGER]), &[JOB]));
    scene.job(&scene.book.ended(&id));
    scene.cancelled(&id);
    // The hook is triggered, and the service told that it is not there.
    scene.proxy.rule(|method, path| if is_trigger(method, path) { Fault::Status(404) } else { Fault::None });
    assert_eq!(scene.after(&id, Event::Retried, Change::default()).state, State::Failed);
    scene.proxy.heal();
    let job = scene.job(&scene.after(&id, Event::Retried, Change::default()));
    assert_eq!(scene.count(), [2, 2, 1]);
    assert!(!scene.state(job).is_resolved());
}

#[test]
fn action_tasks_that_the_service_makes_itself_are_made_anew_as_well() {
    let up = Up::start();
    templated(&up);
    let _worker = Worker::of(&up, "proj-lander/decision");
    let scene = Scene::at(up);
    let _serving = scene.serving();
    let id = scene.book.receive(wish("click", ann(&[ALL]), &[JOB]));
    let first = scene.job(&scene.book.ended(&id));
    scene.cancelled(&id);
    let second = scene.job(&scene.after(&id, Event::Retried, Change::default()));
    assert_eq!((scene.state(first), scene.count()[1..].to_vec()), (TaskState::Exception, vec![2, 1]));
    assert!(!scene.state(second).is_resolved());
    scene.cancelled(&id);
    assert_eq!(scene.state(second), TaskState::Exception);
}

#[test]
fn what_could_not_be_cancelled_is_before_it_is_made_anew() {
    let scene = Scene::of(&ours().0);
    let serving = scene.serving();
    let id = scene.book.receive(wish("click", ann(&[TRIGGER]), &[JOB]));
    let first = scene.job(&scene.book.ended(&id));
    scene.proxy.rule(|_, path| if path.ends_with("/cancel") { Fault::Status(403) } else { Fault::None });
    let failed = scene.after(&id, Event::CancelAsked, Change::default());
    assert_eq!(failed.state, State::Failed, "{}", serving.log());
    assert!(!scene.state(first).is_resolved());
    let failed = scene.after(&id, Event::Retried, Change::default());
    assert!(failed.error.unwrap().starts_with("cancel what the request made: failed to"));
    assert_eq!(scene.count(), [1, 1, 1], "it would run beside what was not cancelled");
    scene.proxy.heal();
    let second = scene.job(&scene.after(&id, Event::Retried, Change::default()));
    assert_eq!((scene.state(first), scene.count()), (TaskState::Exception, [2, 2, 1]));
    assert!(!scene.state(second).is_resolved());
}
