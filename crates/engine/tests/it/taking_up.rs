//! Plans that a run finds among its artifacts: only one of the same asking, on the same push, is finished.

use serde_json::{Value, json};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Plan, Policy};
use taskgraft_core::report::Terminal;
use taskgraft_core::state::ExceptionReason;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::{ActionAsk, ActionError, Terms, rehearse};

use crate::acting::{action_task, ask, perform};
use crate::graph::layered;
use crate::site::{Site, counts};

fn adding(group: TaskId, labels: &[&str]) -> ActionAsk {
    ask(group, "add-new-jobs", json!({"tasks": labels}))
}

/// What the run would plan if it were asked for this.
async fn planned(site: &Site, own: OwnRun, ask: &ActionAsk) -> Plan {
    let terms = Terms::of_task(Policy::Graft, own.task);
    rehearse(&site.machine("somebody").means, ask, &terms, |_| ()).await.unwrap()
}

/// Leaves a plan where the run looks for one.
async fn leave(site: &Site, own: OwnRun, plan: &Plan) {
    site.artifact(own.task, "public/taskgraft/plan.json", &plan.to_json()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_something_else_is_not_finished() {
    let site = Site::start().await;
    let (here, _) = site.push(&layered(1, 2), &[]).await;
    let (elsewhere, _) = site.push(&layered(1, 2), &[]).await;
    let asked = adding(here, &["test-0-0"]);
    let mut runs = 0;
    let others = [
        (adding(elsewhere, &["test-0-0"]), "add-new-jobs"),
        (adding(here, &["test-0-1"]), "add-new-jobs"),
        (asked.clone(), "retrigger"),
    ];
    for (other, action) in others {
        let own = action_task(&site, here).await;
        runs += 1;
        let mut plan = planned(&site, own, &other).await;
        plan.request.told.as_mut().unwrap().action = action.to_owned();
        leave(&site, own, &plan).await;
        let acted = perform(&site.machine(own.task.as_str()), own, &asked).await;
        assert!(matches!(acted.ended, Err(ActionError::OtherRequest(_))), "{:?}: {:?}", other.input, acted.ended);
        assert_eq!(counts(&site.group(here).await).into_iter().collect::<Vec<_>>(), [("action", runs)]);
        assert!(site.group(elsewhere).await.is_empty(), "{:?}", other.input);
    }
    // Another action task's.
    let (own, other) = (action_task(&site, here).await, action_task(&site, here).await);
    leave(&site, own, &planned(&site, other, &asked).await).await;
    let acted = perform(&site.machine("worker"), own, &asked).await;
    assert!(matches!(&acted.ended, Err(ActionError::OtherRequest(id)) if id.as_str() == other.task.as_str()));
    // Its own is.
    let own = action_task(&site, here).await;
    leave(&site, own, &planned(&site, own, &asked).await).await;
    site.client().queue().report_exception(own.task, 0, ExceptionReason::WorkerShutdown).await.unwrap();
    site.claim(own.task).await;
    let acted = perform(&site.machine("worker"), OwnRun { run: 1, ..own }, &asked).await;
    assert_eq!(acted.report().result, Terminal::Done);
    assert!(acted.says("an earlier try"), "{:#?}", acted.log);
    assert_eq!(counts(&site.group(here).await)["test-0-0"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_by_other_rules_is_not_finished() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(1, 1), &[]).await;
    let own = action_task(&site, decision).await;
    let asked = ask(decision, "cancel-all", Value::Null);
    let mut plan = planned(&site, own, &asked).await;
    assert!(plan.tasks.is_empty(), "{plan:?}");
    plan.policy = Policy::Reference;
    leave(&site, own, &plan).await;
    let acted = perform(&site.machine("worker"), own, &asked).await;
    assert!(matches!(acted.ended, Err(ActionError::OtherRequest(_))), "{:?}", acted.ended);
}
