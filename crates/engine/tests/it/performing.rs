//! Actions performed from what an action task is told, to their ends, on the embedded Taskcluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use taskgraft_client::Credentials;
use taskgraft_core::action::deed::Refusal;
use taskgraft_core::ids::{TaskId, derive};
use taskgraft_core::plan::{Care, Policy};
use taskgraft_core::report::{TendOutcome, Terminal};
use taskgraft_core::state::TaskState;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{ActionAsk, ActionError, ActionReport, Keep, Terms, With, perform};

use crate::acting::{next_run, perform_at_most};
use crate::graph::{full_graph, layered};
use crate::proxy::Fault;
use crate::site::{Machine, SCHEDULER, Site, counts, definition, parameters};

const ROLE: &str = "assume:repo:github.com/example/lander:action:";

/// A push in which tests may be retriggered, and `scheduled` have tasks.
async fn push(site: &Site, scheduled: &[&str]) -> (TaskId, BTreeMap<String, TaskId>) {
    let mut graph: Value = serde_json::from_str(&full_graph(&layered(2, 2))).unwrap();
    for (label, entry) in graph.as_object_mut().unwrap() {
        entry["attributes"]["retrigger"] = json!(label.starts_with("test"));
        entry["attributes"]["cached_task"] = json!(label.starts_with("toolchain"));
    }
    let decision = site.decision(SCHEDULER).await;
    let mut labels = BTreeMap::new();
    for label in scheduled {
        labels.insert((*label).to_owned(), site.task(decision, SCHEDULER, label, &[]).await);
    }
    site.finish_decision(decision, &graph.to_string(), &labels, &parameters("3")).await;
    (decision, labels)
}

/// A running action task of this permission.
async fn action_task(site: &Site, group: TaskId, permission: &str) -> OwnRun {
    let task = TaskId::from_bytes(rand::random());
    let mut made = definition(site.now(), group, SCHEDULER, "action", &[]);
    made["scopes"] = json!([format!("{ROLE}{permission}")]);
    made["extra"] = json!({"action": {"context": {"clientId": "ann"}}});
    site.client().queue().create_task(task, made.to_string().into()).await.unwrap();
    site.claim(task).await;
    OwnRun { task, run: 0 }
}

fn ask(callback: &str, group: TaskId, task: Option<TaskId>, input: Value) -> ActionAsk {
    ActionAsk { group, task, input, callback: callback.to_owned() }
}

async fn act(machine: &Machine, own: OwnRun, ask: &ActionAsk) -> (Result<ActionReport, ActionError>, Vec<String>) {
    let acted = perform_at_most(machine, own, ask, 50).await;
    if acted.ended.is_ok() {
        for name in ["plan.json", "report.json", "task-graph.json", "label-to-taskid.json"] {
            assert!(acted.wrote(name), "{name}");
        }
    }
    (acted.ended, acted.log)
}

async fn state(site: &Site, task: TaskId) -> (TaskState, usize) {
    let status = site.client().queue().status(task).await.unwrap();
    (status.state, status.runs.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_happens_once_though_the_task_fails_again_and_the_action_is_tried_again() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0"]).await;
    let build = labels["build-0"];
    site.fail(build).await;
    let own = action_task(&site, group, "generic").await;
    let asked = ask("rerun", group, Some(build), json!({}));
    let (done, log) = act(&site.machine("one"), own, &asked).await;
    let report = done.unwrap();
    assert_eq!(report.result, Terminal::Done);
    assert_eq!(report.requests[0].tended[0].outcome, TendOutcome::Done);
    assert_eq!(state(&site, build).await, (TaskState::Pending, 2));
    assert!(log.iter().any(|line| line.starts_with("rerun") && line.contains("build-0")), "{log:#?}");
    assert!(log.last().unwrap().starts_with("done (1 of 1 run again"), "{log:#?}");

    // It fails once more, and the worker dies before it has told that the action is done.
    site.claim(build).await;
    site.client().queue().report_failed(build, 1).await.unwrap();
    let own = next_run(&site, own).await;
    let (done, log) = act(&site.machine("two"), own, &asked).await;
    let report = done.unwrap();
    assert_eq!((report.result, &report.requests[0].tended[0].outcome), (Terminal::Done, &TendOutcome::NotDue));
    assert_eq!(state(&site, build).await, (TaskState::Failed, 2), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rerun_refuses_a_task_that_is_not_of_this_push() {
    let site = Site::start().await;
    let (group, _) = push(&site, &["build-0"]).await;
    let (_, others) = push(&site, &["build-0"]).await;
    let stranger = others["build-0"];
    site.fail(stranger).await;
    let own = action_task(&site, group, "generic").await;
    let (done, _) = act(&site.machine("one"), own, &ask("rerun", group, Some(stranger), json!({}))).await;
    let error = done.unwrap_err();
    assert!(matches!(error, ActionError::Refusal(Refusal::Foreign { .. })), "{error}");
    // The reference says the same, and runs it again.
    assert_eq!(state(&site, stranger).await, (TaskState::Failed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn rerun_takes_a_task_that_was_created_directly_in_the_group() {
    let site = Site::start().await;
    let (group, _) = push(&site, &["build-0"]).await;
    let direct = site.task(group, SCHEDULER, "build-0", &[]).await;
    site.fail(direct).await;
    let own = action_task(&site, group, "generic").await;
    let (done, log) = act(&site.machine("one"), own, &ask("rerun", group, Some(direct), json!({}))).await;
    assert_eq!(done.unwrap().result, Terminal::Done, "{log:#?}");
    assert_eq!(state(&site, direct).await, (TaskState::Pending, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_all_spares_the_action_itself_and_what_somebody_ran_again() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0", "build-1", "test-0-0"]).await;
    site.complete(labels["test-0-0"]).await;
    let own = action_task(&site, group, "generic").await;
    let asked = ask("cancel-all", group, None, Value::Null);
    let (done, log) = act(&site.machine("one"), own, &asked).await;
    let report = done.unwrap();
    let cancelled: Vec<_> = report.requests[0].tended.iter().filter_map(|tend| tend.label.as_deref()).collect();
    assert_eq!(report.result, Terminal::Done, "{log:#?}");
    assert_eq!((cancelled.len(), state(&site, own.task).await.0), (2, TaskState::Running), "{cancelled:?}");
    for label in ["build-0", "build-1"] {
        assert_eq!(state(&site, labels[label]).await.0, TaskState::Exception, "{label}");
    }

    // Somebody wants one of them after all; the action's next run has nothing against that.
    site.client().queue().rerun_task(labels["build-0"]).await.unwrap();
    let later = site.task(group, SCHEDULER, "later", &[]).await;
    let own = next_run(&site, own).await;
    let (done, _) = act(&site.machine("two"), own, &asked).await;
    assert_eq!(done.unwrap().result, Terminal::Done);
    assert_eq!(state(&site, labels["build-0"]).await.0, TaskState::Pending);
    assert_eq!(state(&site, later).await.0, TaskState::Pending, "it was not there when all was to be cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_takes_a_task_of_this_group_and_minds_no_deadline() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0", "build-1"]).await;
    let own = action_task(&site, group, "generic").await;
    let elsewhere = site.decision(SCHEDULER).await;
    let (done, _) = act(&site.machine("one"), own, &ask("cancel", group, Some(elsewhere), Value::Null)).await;
    assert!(matches!(done.unwrap_err(), ActionError::Refusal(Refusal::Elsewhere(_))));

    site.proxy.rule(
        |method, path| {
            if method == "POST" && path.ends_with("/cancel") { Fault::Status(409) } else { Fault::None }
        },
    );
    let asked = ask("cancel", group, Some(labels["build-0"]), Value::Null);
    let (done, log) = act(&site.machine("two"), own, &asked).await;
    let report = done.unwrap();
    assert_eq!(report.requests[0].tended[0].outcome, TendOutcome::PastDeadline);
    assert_eq!(report.result, Terminal::Done, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_tends_no_further_task() {
    let site = Site::start().await;
    let labels = ["build-0", "build-1", "test-0-0", "test-0-1", "test-1-0", "test-1-1"];
    let (group, _) = push(&site, &labels).await;
    let own = action_task(&site, group, "generic").await;
    site.client().queue().cancel_task(own.task).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    site.proxy.rule(move |method, path| {
        seen.fetch_add(usize::from(method == "POST" && path.ends_with("/cancel")), Ordering::SeqCst);
        Fault::None
    });
    let (done, log) = act(&site.machine("one"), own, &ask("cancel-all", group, None, Value::Null)).await;
    let report = done.unwrap();
    assert_eq!(report.result, Terminal::Cancelled, "{log:#?}");
    assert!(report.requests[0].tended.iter().all(|tend| tend.outcome == TendOutcome::Stopped));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_task_is_cloned_once_under_an_id_that_follows_from_the_request() {
    let site = Site::start().await;
    let (group, _) = push(&site, &[]).await;
    let own = action_task(&site, group, "retrigger-decision").await;
    let asked = ask("retrigger-decision", group, Some(group), Value::Null);
    let (done, _) = act(&site.machine("one"), own, &asked).await;
    let report = done.unwrap();
    let id = derive::clone(&own.task.into(), group, 0);
    assert_eq!((report.result, report.requests[0].tasks[0].task_id), (Terminal::Done, id));
    let (clone, original) =
        (site.client().queue().task(id).await.unwrap(), site.client().queue().task(group).await.unwrap());
    assert_eq!((&clone.metadata.name, &clone.scopes), (&original.metadata.name, &original.scopes));
    let lives =
        |task: &taskgraft_core::api::queue::TaskDefinition| task.deadline.0.duration_since(task.created.0).as_secs();
    assert_eq!(lives(&clone), lives(&original));
    let own = next_run(&site, own).await;
    act(&site.machine("two"), own, &asked).await.0.unwrap();
    assert_eq!(site.group(group).await["Decision Task"].len(), 1, "the clone, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_not_everybody_may_run_needs_its_role() {
    let site = Site::start().await;
    let (group, _) = push(&site, &[]).await;
    let own = action_task(&site, group, "generic").await;
    for callback in ["retrigger-decision", "rebuild-cached-tasks"] {
        let (done, _) = act(&site.machine(callback), own, &ask(callback, group, Some(group), Value::Null)).await;
        let error = done.unwrap_err().to_string();
        assert!(error.contains(&format!("{ROLE}{callback}")), "{error}");
    }
    let own = action_task(&site, group, "rebuild-cached-tasks").await;
    let (done, _) = act(&site.machine("two"), own, &ask("rebuild-cached-tasks", group, None, Value::Null)).await;
    let made: Vec<_> = done.unwrap().requests[0].tasks.iter().map(|task| task.label.clone()).collect();
    assert_eq!(made, ["toolchain-a", "toolchain-b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_may_not_be_tended_are_named_before_any_is() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0", "build-1"]).await;
    let own = action_task(&site, group, "generic").await;
    let root = site.running.credentials();
    // One of the two, and nothing else than what an action task has.
    let scopes = [
        format!("queue:cancel-task:{SCHEDULER}/{group}/{}", labels["build-0"]),
        format!("queue:create-artifact:{}/0", own.task),
        "queue:get-artifact:public/*".to_owned(),
        "queue:list-*".to_owned(),
        "queue:get-*".to_owned(),
        "queue:status:*".to_owned(),
        "auth:current-scopes".to_owned(),
    ];
    let mut machine = site.machine("one");
    let narrowed =
        Credentials { authorized_scopes: Some(scopes.into()), ..Credentials::new(&root.client_id, &root.access_token) };
    machine.means.client = site.client_as(narrowed);
    let (done, _) = act(&machine, own, &ask("cancel-all", group, None, Value::Null)).await;
    let error = done.unwrap_err();
    let ActionError::Untendable(missing) = &error else { panic!("{error}") };
    let named: Vec<_> = missing.scopes.iter().collect();
    let scope = format!("queue:cancel-task:{SCHEDULER}/{group}/{}", labels["build-1"]);
    assert_eq!(named, [(&scope, &vec!["build-1".to_owned()])]);
    assert_eq!(state(&site, labels["build-0"]).await.0, TaskState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rounds_make_what_they_need_once_and_run_again_what_must_not_be_made_again() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-1"]).await;
    site.fail(labels["build-1"]).await;
    let own = action_task(&site, group, "generic").await;
    let input = json!({"requests": [
        {"tasks": ["test-0-0", "build-1"], "times": 2}, {"tasks": ["test-0-0", "test-0-1"], "times": 1},
    ]});
    let (done, log) = act(&site.machine("one"), own, &ask("retrigger-multiple", group, None, input)).await;
    let report = done.unwrap();
    assert_eq!(report.result, Terminal::Done, "{log:#?}");
    assert_eq!(report.requests[0].tended[0].care, Care::Rerun);
    let group = site.group(group).await;
    let expected = [
        ("action", 1),
        ("build-0", 1),
        ("build-1", 1),
        ("test-0-0", 3),
        ("test-0-1", 1),
        ("toolchain-a", 1),
        ("toolchain-b", 1),
    ];
    assert_eq!(counts(&group), BTreeMap::from(expected));
    assert_eq!(state(&site, labels["build-1"]).await, (TaskState::Pending, 2));
    // Only what was asked for waits for the action task.
    for (label, tasks) in &group {
        let waits = tasks.iter().any(|task| task.task.dependencies.contains(&own.task));
        assert_eq!(waits, label.starts_with("test"), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_references_rules_a_later_run_finishes_the_plan_too() {
    let site = Site::start().await;
    let (group, _) = push(&site, &[]).await;
    let own = action_task(&site, group, "generic").await;
    let asked = ask("add-new-jobs", group, None, json!({"tasks": ["build-0"], "times": 2, "unknown": "let pass"}));
    let root = site.running.credentials();
    let act = async |name: &str, own: OwnRun, scopes: &[&str]| {
        let mut machine = site.machine(name);
        let scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        let root = Credentials::new(&root.client_id, &root.access_token);
        machine.means.client = site.client_as(Credentials { authorized_scopes: scopes, ..root });
        let terms = Terms::of_task(Policy::Reference, own.task);
        let with = With { terms, keep: Keep::Run(own), out: site.dir.path().join(name) };
        perform(&machine.means, &asked, &with, std::future::pending(), |_| ()).await
    };
    // The role must be there as it is written: one that covers it doesn't count.
    let error = act("none", own, &["assume:repo:*", "queue:*", "index:*", "auth:*"]).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{ROLE}generic")), "{error}");
    let role = format!("{ROLE}generic");
    let scopes = [role.as_str(), "queue:*", "index:*", "auth:*"];
    assert_eq!(act("one", own, &scopes).await.unwrap().result, Terminal::Done);
    let made = site.group(group).await;
    let expected = [("action", 1), ("build-0", 2), ("toolchain-a", 2), ("toolchain-b", 2)];
    assert_eq!(counts(&made), BTreeMap::from(expected));
    let waiting = made.values().flatten().filter(|task| task.task.dependencies.contains(&own.task)).count();
    assert_eq!(waiting, 6, "all of them wait for the action task");
    let own = next_run(&site, own).await;
    assert_eq!(act("two", own, &scopes).await.unwrap().result, Terminal::Done);
    assert_eq!(counts(&site.group(group).await), BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_done_is_refused_before_anything_is() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0"]).await;
    let own = action_task(&site, group, "generic").await;
    let machine = site.machine("one");
    let add = |input| ask("add-new-jobs", group, None, input);
    let cases = [
        (add(json!({"tasks": ["test-0-0"], "time": 2})), "time"),
        (add(json!({"tasks": ["test-0-0"], "times": 101})), "times"),
        (add(json!({"tasks": ["test-0-0"], "taskgraft": {"key": ""}})), "taskgraft"),
        (add(json!({"tasks": ["test-0-9"]})), "test-0-0"),
        (add(json!({"tasks": []})), "names no job"),
        (add(json!({"tasks": ["test-0-0"], "times": 51})), "51 new tasks"),
        (ask("retrigger", group, Some(labels["build-0"]), json!({})), "should be rerun"),
        (ask("retrigger", group, None, json!({})), "none was named"),
        (ask("cancel", group, None, Value::Null), "none was named"),
        (ask("cancel", group, Some(group), json!({"x": 1})), "takes no input"),
        (ask("release-promotion", group, None, Value::Null), "no such action"),
        (ask("add-new-jobs", labels["build-0"], None, json!({"tasks": ["test-0-0"]})), "there is no such artifact"),
    ];
    for (asked, words) in cases {
        let (done, _) = act(&machine, own, &asked).await;
        let error = done.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    assert_eq!(counts(&site.group(group).await), BTreeMap::from([("action", 1), ("build-0", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_with_another_input_is_refused() {
    let site = Site::start().await;
    let (group, _) = push(&site, &[]).await;
    let own = action_task(&site, group, "generic").await;
    let asked = |label: &str| ask("add-new-jobs", group, None, json!({"tasks": [label]}));
    act(&site.machine("one"), own, &asked("toolchain-a")).await.0.unwrap();
    let own = next_run(&site, own).await;
    let (done, _) = act(&site.machine("two"), own, &asked("toolchain-b")).await;
    assert!(matches!(done.unwrap_err(), ActionError::OtherRequest(_)));
    // The same input, said with its default, is no other.
    let said = ask("add-new-jobs", group, None, json!({"times": 1, "tasks": ["toolchain-a"]}));
    assert_eq!(act(&site.machine("three"), own, &said).await.0.unwrap().result, Terminal::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_carries_another_plan_than_todays_says_what_moved() {
    let site = Site::start().await;
    let (group, labels) = push(&site, &["build-0"]).await;
    let machine = site.machine("one");
    let shown = {
        let push = machine.load(group).await;
        let request = crate::site::request(&push, &["test-0-0"], "shown");
        let lookups = taskgraft_engine::Lookups::Online(
            machine.means.client.clone(),
            taskgraft_engine::Artifacts::Queue(machine.means.client.clone(), machine.means.cache.clone()),
        );
        taskgraft_engine::plan(&lookups, &push, &request, Policy::Graft).await.unwrap().plan.outline()
    };
    let keyed = taskgraft_core::action::reserved::Reserved::keyed("click-1").unwrap().shown(shown);
    let input = taskgraft_core::action::reserved::add(json!({"tasks": ["test-0-0"]}), &keyed).unwrap();
    site.fail(labels["build-0"]).await;
    let own = action_task(&site, group, "generic").await;
    let (done, _) = act(&machine, own, &ask("add-new-jobs", group, None, input)).await;
    let error = done.unwrap_err();
    assert!(
        matches!(&error, ActionError::Strayed(moved) if moved.iter().any(|each| each.label == "build-0")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn being_told_to_stop_while_looking_ends_it_at_once() {
    let site = Site::start().await;
    let (group, _) = push(&site, &[]).await;
    let own = action_task(&site, group, "generic").await;
    let machine = site.machine("one");
    // No look-up is answered.
    site.proxy.rule(|_, _| Fault::Status(503));
    let with =
        With { terms: Terms::of_task(Policy::Graft, own.task), keep: Keep::Run(own), out: site.dir.path().join("out") };
    let asked = ask("add-new-jobs", group, None, json!({"tasks": ["test-0-0"]}));
    let performing = perform(&machine.means, &asked, &with, std::future::ready(()), |_| ());
    let done = tokio::time::timeout(Duration::from_secs(5), performing).await.unwrap();
    assert!(matches!(done.unwrap_err(), ActionError::Stopped));
}
