//! Requests that make jobs on several pushes, as backfill does.

use serde_json::json;
use taskgraft_core::ids::{RequestKey, TaskId};
use taskgraft_core::plan::{Plan, Policy, Request};

use super::push::{Push, id, task};

/// The same job on this push and on that of group `id(50)`.
fn both() -> Plan {
    let push = Push::new(vec![task("build", &[]), task("test", &[("build", "build")])]);
    let mut plan = push.graft(&["test"]);
    let there = RequestKey::Part { request: plan.request.id.clone(), group: id(50) };
    let request = Request { id: there.id(), group: Some(id(50)), ..plan.request.clone() };
    plan.elsewhere = vec![push.plan(&request, Policy::Graft)];
    plan
}

#[test]
fn one_request_makes_other_tasks_on_each_push() {
    let plan = both();
    let ids = |plan: &Plan| -> Vec<TaskId> { plan.tasks.iter().filter_map(|task| task.task_id).collect() };
    let (here, there) = (ids(&plan), ids(&plan.elsewhere[0]));
    assert_eq!((here.len(), there.len()), (2, 2));
    assert!(here.iter().all(|id| !there.contains(id)));
    assert_eq!(Plan::read(plan.to_json().as_bytes()).unwrap(), plan);
    let parts = plan.clone().parts();
    assert_eq!((parts.len(), ids(&parts[0]), ids(&parts[1])), (2, here, there));
    assert_ne!(parts[0].hash(), plan.hash(), "the hash is of all of it");
}

#[test]
fn what_is_no_part_of_the_request_is_refused() {
    let plan = serde_json::to_value(both()).unwrap();
    let there = plan["elsewhere"][0].clone();
    for (place, value) in [
        ("/elsewhere/0/request/id", json!("R2")),
        ("/elsewhere/0/request/group", json!(id(51))),
        ("/elsewhere/0/scheduler_id", json!("other-level-3")),
        ("/elsewhere/0/policy", json!("reference")),
        ("/elsewhere/0/tasks/0/task_id", json!(id(52))),
        ("/elsewhere/0/elsewhere", json!([there])),
        ("/elsewhere", json!([there, there])),
    ] {
        let mut broken = plan.clone();
        match broken.pointer_mut(place) {
            Some(at) => *at = value,
            None => broken["elsewhere"][0]["elsewhere"] = value,
        }
        assert!(Plan::read(broken.to_string().as_bytes()).is_err(), "{place}");
    }
}
