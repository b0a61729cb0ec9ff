//! A task made once more from its own definition: what the reference's `retrigger-decision` does.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::make::{PlanError, check_group};
use super::model::Plan;
use super::request::{Policy, Purpose, Request};
use super::task::{PlannedTask, Role, WaitsFor};
use super::verdict::{LabelVerdict, Verdict, Why};
use crate::definition::relativize_datestamps;
use crate::ids::derive;

/// Plans a clone of the task that the request's [`Purpose::Clone`] names and that `definition` is, as getTask answers it.
///
/// All its moments are counted from its creation, and will be again; its schedulerId is the one of new tasks. Nothing
/// else is changed: neither its group, nor what it depends on.
///
/// # Errors
/// A definition without a name, creation time or the request's group; a group that takes no new tasks.
pub fn clone_of(request: &Request, definition: &Value, facts: &Facts, policy: Policy) -> Result<Plan, PlanError> {
    check_group(request, facts, policy)?;
    let broken = |problem: &str| PlanError::Uncloneable(problem.to_owned());
    let Purpose::Clone { of } = request.purpose else { return Err(broken("the request is for something else")) };
    let label = definition.pointer("/metadata/name").and_then(Value::as_str).ok_or_else(|| broken("it has no name"))?;
    if definition.get("taskGroupId").and_then(Value::as_str) != request.group.as_ref().map(crate::ids::TaskId::as_str) {
        return Err(broken("it is of another task group"));
    }
    let mut template =
        relativize_datestamps(definition, policy).map_err(|error| PlanError::Uncloneable(error.to_string()))?;
    if let (Some(fields), Some(scheduler)) = (template.as_object_mut(), &facts.scheduler_id) {
        fields.insert("schedulerId".to_owned(), json!(scheduler));
    }
    let verdict = Verdict::New { why: Why::AskedFor { copies: 1 }, passed_over: Vec::new() };
    let task = PlannedTask {
        label: label.to_owned(),
        role: Role::Clone { of },
        task_id: request.group.map(|_| derive::clone(&request.id, of, 0)),
        k: 0,
        dependencies: Vec::new(),
        waits_for: WaitsFor::default(),
        entry: Arc::new(entry(label, definition)),
        template: Arc::new(template),
    };
    let verdicts = vec![LabelVerdict { label: label.to_owned(), verdict }];
    Ok(Plan { verdicts, tasks: vec![task], ..Plan::bare(request, facts, policy) })
}

/// Its entry in task-graph.json; it has none in the full graph.
fn entry(label: &str, definition: &Value) -> Map<String, Value> {
    let description = definition.pointer("/metadata/description").and_then(Value::as_str).unwrap_or_default();
    let kind = definition.pointer("/tags/kind").and_then(Value::as_str).unwrap_or_default();
    let fields = [
        ("kind", json!(kind)),
        ("label", json!(label)),
        ("description", json!(description)),
        ("attributes", json!({})),
        ("dependencies", json!({})),
        ("soft_dependencies", json!([])),
        ("if_dependencies", json!([])),
        ("optimization", Value::Null),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::ArtifactUrls;
    use crate::frontier::{Call, Frontier, Limits};
    use crate::ids::TaskId;
    use crate::params::Parameters;

    fn cloned(policy: Policy) -> Plan {
        let (group, of) = (TaskId::from_bytes([1; 16]), TaskId::from_bytes([2; 16]));
        let definition = json!({
            "taskGroupId": group, "schedulerId": "-", "created": "2026-01-01T00:00:00.000Z",
            "deadline": "2026-01-02T00:00:00.500Z", "dependencies": [group], "metadata": {"name": "Decision"},
            "payload": {"since": "2025-12-31T00:00:00.000Z", "odd": "2026-01-01 00:00:00Z", "task-reference": "<self>"},
        });
        let urls = ArtifactUrls { root: "https://tc.example.com".into(), proxy: None };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut facts = Facts::new(now, urls, Parameters::default());
        facts.scheduler_id = Some("lander-level-3".to_owned());
        let mut request = Request::add(TaskId::from_bytes([3; 16]).into(), Some(group), Some(group), &[]);
        request.purpose = Purpose::Clone { of };
        clone_of(&request, &definition, &facts, policy).unwrap()
    }

    #[test]
    fn a_clone_is_the_same_task_later() {
        let plan = cloned(Policy::Graft);
        assert_eq!(Plan::read(plan.to_json().as_bytes()).unwrap(), plan);
        let mut frontier = Frontier::new(plan, Limits::default()).unwrap();
        let steps = frontier.next("2026-11-22T13:00:00Z".parse().unwrap(), 10);
        let [step] = steps.as_slice() else { panic!("{steps:?}") };
        let Call::Create { task_id, definition } = &step.call else { panic!("{step:?}") };
        assert_eq!(*task_id, derive::clone(&TaskId::from_bytes([3; 16]).into(), TaskId::from_bytes([2; 16]), 0));
        assert_eq!(definition["created"], "2026-11-22T13:00:00.000Z");
        assert_eq!(definition["deadline"], "2026-11-23T13:00:00.000Z");
        assert_eq!(definition["schedulerId"], "lander-level-3");
        assert_eq!(definition["dependencies"], json!([TaskId::from_bytes([1; 16])]));
        // What was past then is no deadline, and what is no reference of ours stays.
        assert_eq!(definition["payload"]["since"], "2025-12-31T00:00:00.000Z");
        assert_eq!(definition["payload"]["odd"], "2026-01-01 00:00:00Z");
        assert_eq!(definition["payload"]["task-reference"], "<self>");
    }
}
