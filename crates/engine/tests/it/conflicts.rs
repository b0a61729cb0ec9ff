//! What the queue says no to.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use taskgraft_client::{Client, Clock, Config, Retry};
use taskgraft_core::frontier::Outcome;
use taskgraft_core::ids::derive;
use taskgraft_core::report::Terminal;

use crate::graph::{full_graph, job, layered};
use crate::proxy::Fault;
use crate::site::{SCHEDULER, Site, TestClock, counts, definition, parameters};

#[tokio::test(flavor = "multi_thread")]
async fn a_squatted_id_is_passed_over() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    // Somebody in the group took the id that the copy would have.
    let squatted = derive::copy(&"R1".parse().unwrap(), "test-0-0", 0, 0);
    let task = definition(site.now(), decision, SCHEDULER, "squatter", &[]);
    site.client().queue().create_task(squatted, task.to_string().into()).await.unwrap();
    let report = site.machine("ann").add(decision, &["test-0-0"], "R1").await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert!(!report.warnings.is_empty(), "the squatter is told of");
    let group = site.group(decision).await;
    assert_eq!(counts(&group)["test-0-0"], 1);
    assert_eq!(group["test-0-0"][0].status.task_id, derive::copy(&"R1".parse().unwrap(), "test-0-0", 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_group_takes_nothing_and_says_so() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    site.client().queue().seal_task_group(decision).await.unwrap();
    let error = site.machine("ann").add(decision, &["test-0-0"], "R1").await.unwrap_err();
    assert!(error.to_string().contains("sealed"), "{error}");
    assert!(site.group(decision).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_sealed_half_way_ends_the_request_with_what_exists() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    // The group is sealed while the answer to the first createTask is on its way.
    let mut creates = 0;
    site.proxy.rule(move |method, _| {
        creates += usize::from(method == "PUT");
        if method == "PUT" && creates > 1 { Fault::Status(503) } else { Fault::None }
    });
    let request = crate::site::request(&push, &["test-0-0"], "R1");
    let report = machine.carry_out(&push, request.clone()).await.unwrap();
    assert_eq!(report.result, Terminal::Unfinished, "{report:?}");
    assert_eq!(machine.plans.unfinished(decision).unwrap().len(), 1, "it is offered for resumption");
    site.proxy.heal();
    site.client().queue().seal_task_group(decision).await.unwrap();
    let report = machine.carry_out(&push, request).await.unwrap();
    assert_eq!(report.result, Terminal::Refused, "{report:?}");
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("toolchain-a", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_another_scheduler_is_not_touched() {
    let site = Site::start().await;
    let jobs = layered(1, 1);
    // The decision task's group is of another scheduler than the decision task says: only its first task decides that,
    // so the group is opened by somebody else.
    let decision = taskgraft_core::ids::TaskId::from_bytes(rand::random());
    site.task(decision, "somebody-else", "first", &[]).await;
    let task = site.decision("other-level-3").await;
    site.finish_decision(task, &full_graph(&jobs), &std::collections::BTreeMap::new(), &parameters("3")).await;
    let machine = site.machine("ann");
    let mut push = machine.load(task).await;
    push.group = Some(decision);
    push.group_fact = None;
    let request = crate::site::request(&push, &["test-0-0"], "R1");
    let report = machine.carry_out(&push, request).await.unwrap();
    assert_eq!(report.result, Terminal::Refused, "{report:?}");
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("first", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_created_has_grown_too_old_has_new_timestamps() {
    let site = Site::start().await;
    let jobs = [job("build", &[]), job("test", &["build"])];
    let (decision, _) = site.push(&jobs, &[]).await;
    let machine = site.machine("ann");
    let push = machine.load(decision).await;
    // The queue takes the build, but its answers are lost for twenty minutes.
    site.proxy.rule(|method, _| if method == "PUT" { Fault::LostAnswer } else { Fault::None });
    let request = crate::site::request(&push, &["test"], "R1");
    let report = machine.carry_out(&push, request.clone()).await.unwrap();
    assert_eq!(report.result, Terminal::Unfinished);
    site.proxy.heal();
    site.clock.advance(Duration::from_secs(20 * 60));
    let report = machine.carry_out(&push, request).await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("build", 1), ("test", 1)]);
}

/// A clock whose machine falls asleep for twenty minutes in every pause.
#[derive(Debug)]
struct Asleep(Arc<TestClock>);

impl Clock for Asleep {
    fn now(&self) -> Timestamp {
        Clock::now(&*self.0)
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.advance(Duration::from_secs(20 * 60));
        self.0.sleep(pause)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_grow_too_old_between_two_tries_are_stamped_anew_and_make_no_second_task() {
    let site = Site::start().await;
    let jobs = [job("build", &[]), job("test", &["build"])];
    let (decision, _) = site.push(&jobs, &[]).await;
    let mut machine = site.machine("ann");
    let push = machine.load(decision).await;
    let known = machine.means.client.config().clone();
    let retry = Retry { within: Duration::from_secs(3600), ..known.retry };
    machine.means.client = Client::new(Config { retry, clock: Arc::new(Asleep(site.clock.clone())), ..known }).unwrap();
    // The queue takes the build, its answer is lost, and the same bytes are sent again twenty minutes later.
    let creates = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&creates);
    site.proxy.rule(move |method, _| {
        let first = method == "PUT" && counted.fetch_add(1, Ordering::SeqCst) == 0;
        if first { Fault::LostAnswer } else { Fault::None }
    });
    let report = machine.carry_out(&push, crate::site::request(&push, &["test"], "R1")).await.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert!(matches!(report.tasks[0].outcome, Outcome::Adopted { .. }), "{report:?}");
    assert_eq!(creates.load(Ordering::SeqCst), 4, "lost, too old, another definition; and the test");
    assert_eq!(counts(&site.group(decision).await).into_iter().collect::<Vec<_>>(), [("build", 1), ("test", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_answer_was_lost_is_adopted_from_a_group_sealed_since() {
    let site = Site::start().await;
    let (decision, _) = site.push(&[job("test", &[])], &[]).await;
    let mut machine = site.machine("ann");
    let push = machine.load(decision).await;
    let retry = Retry { tries: u32::MAX, ..Retry::default() };
    machine.means.client = machine.means.client.with_patience(retry, Duration::from_secs(9), Arc::default());
    // The queue takes the task, its answer is lost, and the group is sealed before the same bytes come again.
    let (creates, sealed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, open) = (Arc::clone(&creates), Arc::clone(&sealed));
    site.proxy.rule(move |method, _| {
        if method != "PUT" {
            return Fault::None;
        }
        match (counted.fetch_add(1, Ordering::SeqCst), open.load(Ordering::SeqCst)) {
            (0, _) => Fault::LostAnswer,
            (_, false) => Fault::Status(503),
            (_, true) => Fault::None,
        }
    });
    let seal = async {
        while creates.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        site.client().queue().seal_task_group(decision).await.unwrap();
        sealed.store(true, Ordering::SeqCst);
    };
    let (report, ()) = tokio::join!(machine.carry_out(&push, crate::site::request(&push, &["test"], "R1")), seal);
    let report = report.unwrap();
    assert_eq!(report.result, Terminal::Done, "{report:?}");
    assert!(matches!(report.tasks[0].outcome, Outcome::Adopted { .. }), "{report:?}");
    assert_eq!(counts(&site.group(decision).await)["test"], 1);
}
